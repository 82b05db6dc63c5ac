#pragma once

/// What sending to and receiving from a channel waits in.

#include <weft/sync/channel_state.hpp>

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
class [[nodiscard]] recv_operation : private detail::receiver_wait<typename Source::value_type> {
    using value_type = typename Source::value_type;
    using base = detail::receiver_wait<value_type>;

public:
    using is_channel_operation = std::true_type;

    explicit recv_operation(Source& source) noexcept
        : base(source.core(), &try_now)
        , source_(&source) {
        this->resume_when_stopped_ = ResultForm;
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return this->begin(waiter.promise(),
                           [](auto& self, auto& woken) noexcept { return try_now(self, woken); });
    }

    std::conditional_t<ResultForm, result<std::optional<value_type>>, std::optional<value_type>>
    await_resume() {
        this->finish();
        if (this->error != nullptr) [[unlikely]] {
            std::rethrow_exception(std::move(this->error));
        }
        if constexpr (ResultForm) {
            if (this->outcome() == detail::hand_over::stopped) {
                return failure(std::errc::operation_canceled);
            }
        }
        if constexpr (requires { source_->take_after_waking(this->value); }) {
            if (this->outcome() == detail::hand_over::done && !this->value.has_value()) {
                source_->take_after_waking(this->value);
            }
        }
        return std::move(this->value);
    }

    /// A thread that is no worker waits here.
    std::optional<value_type> block() {
        detail::require_foreign_thread();
        base::block();
        return await_resume();
    }

    [[nodiscard]] recv_operation<Source, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return recv_operation<Source, true>(*source_);
    }

private:
    friend struct detail::channel_access;

    WEFT_ALWAYS_INLINE static bool try_now(detail::channel_waiter& waiter,
                                           detail::wake_chain& woken) noexcept {
        auto& self = static_cast<recv_operation&>(static_cast<base&>(waiter));
        try {
            self.outcome_ = self.source_->pop(self.value, woken);
        } catch (...) {
            self.error = std::current_exception();
            self.outcome_ = detail::hand_over::failed;
        }
        return self.outcome_ != detail::hand_over::pending;
    }

    Source* source_;
};

/// What `send` waits in.
template <class State, bool ResultForm = false>
class [[nodiscard]] send_operation : private detail::sender_wait<typename State::value_type> {
    using value_type = typename State::value_type;
    using base = detail::sender_wait<value_type>;

public:
    using is_channel_operation = std::true_type;

    send_operation(State& channel, detail::value_ref<value_type> source) noexcept
        : base(channel, source, &try_now) {
        this->resume_when_stopped_ = ResultForm;
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return this->begin(waiter.promise(),
                           [](auto& self, auto& woken) noexcept { return try_now(self, woken); });
    }

    std::conditional_t<ResultForm, result<void>, void> await_resume() {
        this->finish();
        if (this->error != nullptr) [[unlikely]] {
            std::rethrow_exception(std::move(this->error));
        }
        if constexpr (ResultForm) {
            return detail::send_result(this->outcome());
        } else if (this->outcome() != detail::hand_over::done) [[unlikely]] {
            detail::throw_send_error(this->outcome());
        }
    }

    /// A thread that is no worker waits here.
    void block() {
        detail::require_foreign_thread();
        base::block();
        await_resume();
    }

    [[nodiscard]] send_operation<State, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return send_operation<State, true>(state(), this->value);
    }

private:
    friend struct detail::channel_access;

    [[nodiscard]] State& state() const noexcept { return static_cast<State&>(this->core()); }

    WEFT_ALWAYS_INLINE static bool try_now(detail::channel_waiter& waiter,
                                           detail::wake_chain& woken) noexcept {
        auto& self = static_cast<send_operation&>(static_cast<base&>(waiter));
        try {
            self.outcome_ = self.state().push(self.value, woken, self.dropped_);
        } catch (...) {
            self.error = std::current_exception();
            self.outcome_ = detail::hand_over::failed;
        }
        return self.outcome_ != detail::hand_over::pending;
    }

    std::optional<value_type> dropped_;
};

}  // namespace weft
