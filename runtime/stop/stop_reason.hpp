#pragma once

/// Why a stop was requested, and where in the program.

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weft {

enum class stop_kind : std::uint8_t {
    none,              ///< no stop was requested
    requested,         ///< somebody called request_stop()
    deadline,          ///< a deadline has passed
    shutdown,          ///< the runtime is being destroyed
    sibling_failed,    ///< another child of the same scope or join ended with an error
    sibling_finished,  ///< another child of the same race won it
};

/// "requested", "deadline", …
[[nodiscard]] constexpr char const* name_of(stop_kind kind) noexcept {
    switch (kind) {
        case stop_kind::none:
            return "none";
        case stop_kind::requested:
            return "requested";
        case stop_kind::deadline:
            return "deadline";
        case stop_kind::shutdown:
            return "shutdown";
        case stop_kind::sibling_failed:
            return "sibling failed";
        case stop_kind::sibling_finished:
            return "sibling finished";
    }
    return "";
}

/// A string literal: text that lives as long as the program, which the compiler checks.
class static_text {
public:
    template <std::size_t Size>
    consteval static_text(char const (&text)[Size]) noexcept : text_(text) {}

    constexpr static_text() noexcept = default;

    [[nodiscard]] constexpr char const* c_str() const noexcept { return text_; }

private:
    char const* text_ = "";
};

/// Why work should stop: a kind, a text of the user's, and the place that asked.
///
/// A stop that reaches a task through its ancestors keeps the reason that it began with.
///
/// Thread safety: a value.
/// Cancellation: never suspends.
/// Lifetime: refers to string literals only.
/// Complexity: three words; never allocates.
/// Errors: none.
/// Example: examples/graceful_shutdown.cpp
class stop_reason {
public:
    /// No stop.
    constexpr stop_reason() noexcept = default;

    constexpr stop_reason(stop_kind kind,
                          std::source_location asked_at = std::source_location::current()) noexcept
        : asked_at_(asked_at)
        , kind_(kind) {}

    constexpr stop_reason(stop_kind kind,
                          static_text text,
                          std::source_location asked_at = std::source_location::current()) noexcept
        : text_(text)
        , asked_at_(asked_at)
        , kind_(kind) {}

    /// A reason of the user's own: of the kind `requested`.
    template <std::size_t Size>
    consteval stop_reason(char const (&text)[Size],
                          std::source_location asked_at = std::source_location::current()) noexcept
        : stop_reason(stop_kind::requested, text, asked_at) {}

    [[nodiscard]] constexpr stop_kind kind() const noexcept { return kind_; }

    /// The user's words, or an empty string.
    [[nodiscard]] constexpr char const* text() const noexcept { return text_.c_str(); }

    /// The call that asked for the stop.
    [[nodiscard]] constexpr std::source_location asked_at() const noexcept { return asked_at_; }

    /// True when there is a stop to give a reason for.
    [[nodiscard]] constexpr explicit operator bool() const noexcept {
        return kind_ != stop_kind::none;
    }

private:
    static_text text_;
    std::source_location asked_at_;
    stop_kind kind_ = stop_kind::none;
};

}  // namespace weft
