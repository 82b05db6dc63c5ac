#pragma once

/// What sending to and receiving from a channel waits in.
///
/// Most operations complete at once, so what one needs to wait is made when it has to.

#include <weft/sync/wait/channel_state.hpp>

#include <concepts>
#include <coroutine>
#include <exception>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace weft {

/// What `recv` waits in. Yields an empty optional when the channel is closed and empty.
template <class Source, bool ResultForm = false>
class [[nodiscard]] recv_operation {
    using value_type = typename Source::value_type;

public:
    using is_channel_operation = std::true_type;

    explicit recv_operation(Source& source) noexcept : source_(&source) {}

    recv_operation(recv_operation const&) = delete;
    recv_operation& operator=(recv_operation const&) = delete;

    ~recv_operation() = default;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        detail::promise_base& promise = waiter.promise();
        if (!promise.stop().stop_requested() && try_now()) [[likely]] {
            return !detail::spend_budget() && detail::give_way(promise);
        }
        return prepare_to_wait().begin(promise);
    }

    std::conditional_t<ResultForm, result<std::optional<value_type>>, std::optional<value_type>>
    await_resume() {
        if (wait_.has_value()) [[unlikely]] {
            outcome_ = wait_->finish();
        }
        if constexpr (ResultForm) {
            if (outcome_ == detail::hand_over::stopped) {
                return failure(std::errc::operation_canceled);
            }
        }
        if constexpr (requires { source_->take_after_waking(value_); }) {
            if (outcome_ == detail::hand_over::done && !value_.has_value()) {
                source_->take_after_waking(value_);
            }
        }
        return std::move(value_);
    }

    /// A thread that is no worker waits here.
    std::optional<value_type> block() {
        detail::require_foreign_thread();
        prepare_to_wait().block();
        return await_resume();
    }

    [[nodiscard]] recv_operation<Source, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return recv_operation<Source, true>(*source_);
    }

private:
    friend struct detail::channel_access;

    class wait : public detail::receiver_wait<value_type> {
        using base = detail::receiver_wait<value_type>;

    public:
        wait(Source& source, std::optional<value_type>& target) noexcept
            : base(source.core(), target, &try_locked)
            , source_(&source) {}

    private:
        static bool try_locked(detail::channel_waiter& waiter, detail::wake_chain& woken) noexcept {
            auto& self = static_cast<wait&>(waiter);
            return self.take_step([&] { return self.source_->pop(self.value, woken); });
        }

        Source* source_;
    };

    WEFT_ALWAYS_INLINE bool try_now() noexcept {
        try {
            outcome_ = source_->recv_now(value_);
        } catch (...) {
            prepare_to_wait().fail(std::current_exception());
            return true;
        }
        return outcome_ != detail::hand_over::pending;
    }

    wait& prepare_to_wait() noexcept {
        wait_.emplace(*source_, value_);
        if constexpr (ResultForm) {
            wait_->tell_when_stopped();
        }
        return *wait_;
    }

    Source* source_;
    detail::hand_over outcome_ = detail::hand_over::pending;
    std::optional<value_type> value_;
    std::optional<wait> wait_;
};

/// What `send` waits in.
template <class State, bool ResultForm = false>
class [[nodiscard]] send_operation {
    using value_type = typename State::value_type;

public:
    using is_channel_operation = std::true_type;

    send_operation(State& channel, detail::value_ref<value_type> source) noexcept
        : channel_(&channel)
        , value_(source) {}

    send_operation(send_operation const&) = delete;
    send_operation& operator=(send_operation const&) = delete;

    ~send_operation() = default;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        detail::promise_base& promise = waiter.promise();
        if (!promise.stop().stop_requested() && try_now()) [[likely]] {
            return !detail::spend_budget() && detail::give_way(promise);
        }
        return prepare_to_wait().begin(promise);
    }

    std::conditional_t<ResultForm, result<void>, void> await_resume() {
        if (wait_.has_value()) [[unlikely]] {
            outcome_ = wait_->finish();
        }
        if constexpr (ResultForm) {
            return detail::send_result(outcome_);
        } else if (outcome_ != detail::hand_over::done) [[unlikely]] {
            detail::throw_send_error(outcome_);
        }
    }

    /// A thread that is no worker waits here.
    void block() {
        detail::require_foreign_thread();
        prepare_to_wait().block();
        await_resume();
    }

    [[nodiscard]] send_operation<State, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return send_operation<State, true>(*channel_, value_);
    }

private:
    friend struct detail::channel_access;

    class wait : public detail::sender_wait<value_type> {
        using base = detail::sender_wait<value_type>;

    public:
        wait(State& channel, detail::value_ref<value_type> source) noexcept
            : base(channel, source, &try_locked) {}

    private:
        static bool try_locked(detail::channel_waiter& waiter, detail::wake_chain& woken) noexcept {
            auto& self = static_cast<wait&>(waiter);
            auto& channel = static_cast<State&>(self.core());
            return self.take_step([&] { return channel.push(self.value, woken, self.dropped_); });
        }

        std::optional<value_type> dropped_;  // destroyed without the lock
    };

    WEFT_ALWAYS_INLINE bool try_now() noexcept {
        std::optional<value_type> dropped;
        try {
            outcome_ = channel_->send_now(value_, dropped);
        } catch (...) {
            prepare_to_wait().fail(std::current_exception());
            return true;
        }
        return outcome_ != detail::hand_over::pending;
    }

    wait& prepare_to_wait() noexcept {
        wait_.emplace(*channel_, value_);
        if constexpr (ResultForm) {
            wait_->tell_when_stopped();
        }
        return *wait_;
    }

    State* channel_;
    detail::value_ref<value_type> value_;
    detail::hand_over outcome_ = detail::hand_over::pending;
    std::optional<wait> wait_;
};

}  // namespace weft
