#pragma once

/// Bridges between the library's stop and the standard's.

#include <weft/runtime/stop/stop_token.hpp>

#include <source_location>
#include <stop_token>
#include <utility>

namespace weft {

/// A stop source that a std::stop_token stops, too: `stop_from_std from(standard_token);
/// with_stop_token(from.token(), …)`.
///
/// Thread safety: constructed and destroyed by its owner; the stop may come from any thread.
/// Cancellation: never suspends.
/// Lifetime: must outlive the users of its token. Destruction waits for a stop that is being passed
///     on.
/// Complexity: one registration; the standard's token has shared state.
/// Errors: none.
class stop_from_std {
public:
    explicit stop_from_std(std::stop_token token,
                           std::source_location at = std::source_location::current())
        : callback_(std::move(token), pass_on{&source_, at}) {}

    stop_from_std(stop_from_std const&) = delete;
    stop_from_std& operator=(stop_from_std const&) = delete;

    [[nodiscard]] stop_token token() noexcept { return source_.token(); }

private:
    struct pass_on {
        void operator()() const noexcept { source->request_stop(at); }

        stop_source* source;
        std::source_location at;
    };

    stop_source source_;
    std::stop_callback<pass_on> callback_;
};

/// A std::stop_source that a token of the library stops: `std_from_stop to(token);
/// legacy(to.token())`.
///
/// Thread safety: constructed and destroyed by its owner; the stop may come from any thread.
/// Cancellation: never suspends.
/// Lifetime: the token's source must outlive it; the standard's tokens may outlive both.
/// Complexity: one registration, and the standard's shared state.
/// Errors: std::bad_alloc.
class std_from_stop {
public:
    explicit std_from_stop(stop_token token) : callback_(token, pass_on{&source_}) {}

    std_from_stop(std_from_stop const&) = delete;
    std_from_stop& operator=(std_from_stop const&) = delete;

    [[nodiscard]] std::stop_token token() const noexcept { return source_.get_token(); }

private:
    struct pass_on {
        void operator()() const noexcept { source->request_stop(); }

        std::stop_source* source;
    };

    std::stop_source source_;
    stop_callback<pass_on> callback_;
};

}  // namespace weft
