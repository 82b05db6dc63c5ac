#pragma once

#include <weft/runtime/stop/stop_token.hpp>

#include <cstddef>
#include <utility>

namespace weft {

/// A source that is stopped by the first of several tokens, or by its own request_stop().
///
/// Thread safety: constructed and destroyed by its owner; stops may be requested from any thread.
/// Cancellation: never suspends.
/// Lifetime: the tokens' sources must outlive it; it must outlive the users of its token.
/// Complexity: one callback per token, in place; no allocation.
/// Errors: none.
template <std::size_t Count>
class linked_stop_source {
public:
    template <class... Tokens>
        requires(sizeof...(Tokens) == Count)
    explicit linked_stop_source(Tokens... tokens) noexcept : links_{{this, tokens}...} {}

    linked_stop_source(linked_stop_source const&) = delete;
    linked_stop_source& operator=(linked_stop_source const&) = delete;

    /// True for the caller that was first to ask.
    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return source_.request_stop(at);
    }

    bool request_stop(stop_reason reason) noexcept { return source_.request_stop(reason); }

    [[nodiscard]] bool stop_requested() noexcept { return source_.stop_requested(); }

    [[nodiscard]] stop_token token() noexcept { return source_.token(); }

private:
    class link {
        struct pass_on {
            void operator()() const noexcept { source->request_stop(other.reason()); }

            stop_source* source;
            stop_token other;
        };

        stop_callback<pass_on> callback_;

    public:
        link(linked_stop_source* owner, stop_token other) noexcept
            : callback_(other, pass_on{&owner->source_, other}) {}
    };

    stop_source source_;  // before the links, which use it
    link links_[Count];
};

template <class... Tokens>
linked_stop_source(Tokens...) -> linked_stop_source<sizeof...(Tokens)>;

}  // namespace weft
