#include <weft/runtime/when_all.hpp>

#include <weft/runtime/scope.hpp>

namespace weft::detail {

void join_state::note_unhappy() noexcept {
    // relaxed: publish — ordered by the count that follows (I3)
    unhappy_.store(true, relaxed);
    context_.own_stop.request_stop();  // keeps I4
}

std::coroutine_handle<> join_state::finish_unhappy(promise_base& parent) noexcept {
    bool stopped = false;
    for (std::uint32_t i = 0; i < count_; ++i) {
        if (children_[i]->outcome_ == outcome::error) {
            return parent.handle();
        }
        stopped = stopped || children_[i]->outcome_ == outcome::stopped;
    }
    return stopped ? pass_stop(parent) : parent.handle();
}

}  // namespace weft::detail
