#include <weft/runtime/test_runtime.hpp>

namespace weft::test {

runtime::runtime(unsigned worker_count)
    : runtime_base(worker_count != 0 ? worker_count : 1, [this](unsigned) -> detail::driver* {
        return new detail::virtual_driver(*this);
    }) {}

runtime::~runtime() {
    // First: otherwise a sleep could end by itself before the stop reaches it.
    request_stop(stop_reason(stop_kind::shutdown));
    time().begin_self_advance();
}

clock::time_point runtime::now() const noexcept {
    return clock::time_point(std::chrono::nanoseconds(virtual_clock::now()));
}

void runtime::advance(clock::duration distance) noexcept {
    WEFT_CHECK(detail::current_worker() == nullptr,
               "advance is called on a worker, which would wait for itself: use sleep_for");
    time().advance(detail::to_nanoseconds(distance));
}

}  // namespace weft::test
