#include <weft/runtime/this_task.hpp>

#include <weft/runtime/base/error.hpp>
#include <weft/runtime/worker.hpp>

namespace weft {

clock::duration deadline::remaining() const noexcept {
    if (!*this) {
        return clock::duration::max();
    }
    detail::worker* const here = detail::current_worker();
    clock::time_point const now =
        here != nullptr ? clock::time_point(std::chrono::nanoseconds(here->now())) : clock::now();
    return time_ > now ? time_ - now : clock::duration::zero();
}

namespace detail {

deadline deadline_of(context const& surroundings) noexcept {
    nanoseconds_u64 const time = surroundings.surroundings->deadline;
    return time != no_deadline ? deadline(clock::time_point(std::chrono::nanoseconds(time)))
                               : deadline();
}

stop_token soft_token_of(context const& surroundings) noexcept {
    stop_state* const soft = surroundings.surroundings->soft_stop;
    return stop_token(soft != nullptr ? soft : surroundings.stop);
}

void stop_check_operation::throw_cancelled() {
    throw operation_cancelled();
}

}  // namespace detail

}  // namespace weft
