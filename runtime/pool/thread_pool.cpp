#include <weft/runtime/pool/thread_pool.hpp>

#include <weft/runtime/pool/thread_driver.hpp>

#include <sched.h>

namespace weft {

namespace {

detail::driver* make_thread_driver(unsigned) {
    return new detail::thread_driver;
}

}  // namespace

unsigned available_processors() noexcept {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) != 0) {
        return 1;
    }
    int const count = CPU_COUNT(&set);
    return count > 0 ? static_cast<unsigned>(count) : 1;
}

thread_pool::thread_pool(thread_pool_options const& options)
    : runtime_base(options.workers != 0 ? options.workers : available_processors(),
                   make_thread_driver,
                   options.on_unhandled_error) {}

}  // namespace weft
