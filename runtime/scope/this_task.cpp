#include <weft/runtime/scope/this_task.hpp>

#include <weft/runtime/values/error.hpp>

namespace weft {

clock::duration deadline::remaining() const noexcept {
    if (!*this) {
        return clock::duration::max();
    }
    clock::time_point const now = clock::now();
    return time_ > now ? time_ - now : clock::duration::zero();
}

namespace detail {

deadline deadline_of(context const& surroundings) noexcept {
    return deadline(to_time_point(surroundings.ambient->deadline));
}

stop_token soft_token_of(context const& surroundings) noexcept {
    stop_state* const soft = surroundings.ambient->soft_stop;
    return stop_token(soft != nullptr ? soft : surroundings.stop);
}

void stop_check_operation::throw_cancelled() {
    throw operation_cancelled();
}

}  // namespace detail

}  // namespace weft
