#include <weft/runtime/runtime_base.hpp>

#include <cstdio>

namespace weft {

namespace {

void report_lost_error(std::exception_ptr const& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (std::exception const& e) {
        std::fprintf(stderr, "weft: a spawned task ended with an exception: %s\n", e.what());
    } catch (...) {
        std::fprintf(stderr, "weft: a spawned task ended with an exception of unknown type\n");
    }
}

}  // namespace

runtime_base::runtime_base(unsigned worker_count, detail::driver_factory make_driver)
    : scheduler_(worker_count, make_driver)
    , root_(&scheduler_, detail::on_error::report) {
    root_.error_hook = &report_lost_error;
    scheduler_.set_root(root_);
}

runtime_base::~runtime_base() {
    root_.request_stop(stop_reason(stop_kind::shutdown));
    root_.join_blocking();
}

}  // namespace weft
