#include <weft/runtime/testing/test_runtime.hpp>

namespace weft::test {

runtime::runtime(runtime_options const& options)
    : runtime_base(
          options.workers != 0 ? options.workers : 1,
          [this](unsigned) -> detail::driver* { return new detail::virtual_driver(*this); },
          options.on_unhandled_error) {}

runtime::~runtime() {
    // First: otherwise a sleep could end by itself before the stop reaches it.
    request_stop(stop_reason(stop_kind::shutdown));
    time().begin_self_advance();
}

void runtime::join() noexcept {
    detail::self_advance const moving(time());
    runtime_base::join();
}

void runtime::shutdown(time_span grace, std::source_location at) noexcept {
    // First, as in the destructor.
    request_stop(stop_reason(stop_kind::shutdown, at), stop_options{.grace = grace});
    join();
}

clock::time_point runtime::now() const noexcept {
    return detail::to_time_point(virtual_clock::now());
}

void runtime::advance(time_span distance) noexcept {
    WEFT_CHECK(detail::current_worker() == nullptr,
               "advance is called on a worker, which would wait for itself: use sleep_for");
    time().advance(distance.nanoseconds());
}

}  // namespace weft::test
