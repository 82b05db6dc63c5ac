#pragma once

#include <weft/runtime/task/detail/settle.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <utility>

namespace weft::detail {

/// Awaits the task that a factory gives, as a settle_operation does. What the factory throws
/// instead of giving one is the error, as if it came from the task: so a policy sees one kind of
/// failure only.
template <class T>
class attempt_operation : private settle_operation<T> {
    using base = settle_operation<T>;

public:
    /// Calls the factory.
    template <class Factory>
    explicit attempt_operation(Factory& factory) noexcept {
        try {
            this->watch(factory());
        } catch (...) {
            thrown_ = std::current_exception();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return thrown_ != nullptr; }

    using base::await_suspend;

    void await_resume() noexcept {
        if (thrown_ == nullptr) {
            base::await_resume();
        }
    }

    // --- after the await --------------------------------------------------------

    [[nodiscard]] bool was_stopped() const noexcept {
        return thrown_ == nullptr && base::was_stopped();
    }

    /// The error, or null.
    [[nodiscard]] std::exception_ptr error() const noexcept {
        return thrown_ != nullptr ? thrown_ : base::error();
    }

    /// Requires: not stopped. The value, or throws the error.
    T take() {
        if (thrown_ != nullptr) {
            std::rethrow_exception(thrown_);
        }
        return base::take();
    }

private:
    std::exception_ptr thrown_;
};

}  // namespace weft::detail
