#include <weft/runtime/when_all.hpp>

#include <weft/runtime/scope.hpp>

namespace weft::detail {

std::coroutine_handle<> join_state::finish(promise_base& parent) noexcept {
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
