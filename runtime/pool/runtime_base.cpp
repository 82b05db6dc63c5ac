#include <weft/runtime/pool/runtime_base.hpp>

#include <weft/runtime/sched/thread_event.hpp>

#include <cstdio>
#include <utility>

namespace weft {

runtime_base::runtime_base(unsigned worker_count,
                           detail::driver_factory make_driver,
                           error_hook on_unhandled_error)
    : on_unhandled_error_(std::move(on_unhandled_error))
    , scheduler_(worker_count, make_driver)
    , root_(&scheduler_, detail::on_error::report) {
    root_.listener = on_unhandled_error_.listener();
    scheduler_.set_root(root_);
}

runtime_base::~runtime_base() {
    end();
}

/// Aborts where the caller would wait for itself.
void runtime_base::require_outsider(char const* act) const noexcept {
    scheduler_.check_process();
    bool const is_inside = scheduler_.is_current() || detail::makes_call_for(scheduler_);
    if (is_inside) [[unlikely]] {
        char message[256];
        std::snprintf(
            message,
            sizeof message,
            "%s in a task of it, or in a blocking call of one, and would wait for itself: "
            "do that in the thread that made the runtime, and do not call exit() in a "
            "task",
            act);
        detail::panic(__FILE__, __LINE__, "this thread works for somebody else", message);
    }
}

void runtime_base::join() noexcept {
    require_outsider("a runtime is joined");
    join_root();
}

void runtime_base::shutdown(time_span grace, std::source_location at) noexcept {
    require_outsider("a runtime is shut down");
    root_.request_stop(stop_reason(stop_kind::shutdown, at), grace);
    join_root();
}

void runtime_base::end() noexcept {
    require_outsider("a runtime is destroyed");
    root_.request_stop(stop_reason(stop_kind::shutdown));
    join_root();
}

void runtime_base::join_root() noexcept {
    detail::scoped_lock const lock(end_mutex_);
    if (!has_ended_) {
        root_.join_blocking();
        has_ended_ = true;
    }
}

}  // namespace weft
