#pragma once

/// What reading from and writing to a stream waits in.

#include <weft/io/net/detail/socket_ops.hpp>
#include <weft/io/op/descriptor_ops.hpp>

#include <concepts>
#include <coroutine>
#include <system_error>

namespace weft {

/// What reading and writing wait in. Yields the number of bytes, or with `as_result` a result of
/// it.
template <class Transfer, bool ResultForm>
class [[nodiscard]] basic_transfer : private Transfer {
    static constexpr bool takes_what_is_there =
        std::derived_from<Transfer, detail::receive> ||
        std::derived_from<Transfer, detail::vectored_receive>;

public:
    /// As a branch of a select: a wait that takes nothing may lose.
    static constexpr bool leaves_no_trace = std::same_as<Transfer, detail::readiness>;

    template <class... Arguments>
    explicit basic_transfer(Arguments&&... arguments) noexcept
        : Transfer(static_cast<Arguments&&>(arguments)...) {
        if constexpr (ResultForm) {
            this->tell_when_stopped();
        }
    }

    basic_transfer(basic_transfer const&) = delete;
    basic_transfer& operator=(basic_transfer const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept {
        return this->is_empty() && detail::spend_budget();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        if (this->is_empty() && !waiter.promise().stop().stop_requested()) [[unlikely]] {
            return detail::give_way(waiter.promise());
        }
        return this->start(waiter.promise());
    }

    auto await_resume() {
        detail::io_op::last_use const ends(*this);
        if constexpr (ResultForm) {
            return this->outcome();
        } else {
            return this->count_or_throw();
        }
    }

    [[nodiscard]] basic_transfer<Transfer, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return basic_transfer<Transfer, true>(static_cast<Transfer&&>(*this));
    }

    // --- as a branch of a select, which waits without effect, and then tries ---------------------
    [[nodiscard]] basic_transfer<detail::readiness, true> until_ready() const noexcept
        requires takes_what_is_there
    {
        return basic_transfer<detail::readiness, true>(Transfer::until_ready());
    }

    [[nodiscard]] bool try_complete(std::error_code waited) noexcept
        requires takes_what_is_there
    {
        return this->is_empty() || Transfer::try_complete(waited);
    }

    [[nodiscard]] auto take() { return await_resume(); }

    /// The same of a wait for readiness, which takes nothing.
    [[nodiscard]] bool completes_now() noexcept
        requires leaves_no_trace
    {
        return Transfer::try_complete(std::error_code());
    }
};

/// Yields nothing, or with `as_result` a result<void>.
using readiness_operation = basic_transfer<detail::readiness, false>;
using transfer_operation = basic_transfer<detail::transfer, false>;
using vectored_transfer_operation = basic_transfer<detail::vectored_transfer, false>;
using receive_operation = basic_transfer<detail::receive, false>;
using vectored_receive_operation = basic_transfer<detail::vectored_receive, false>;

}  // namespace weft
