#pragma once

/// What a node of a program came to, in a form that can be compared and printed.

#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace weft::fuzz {

/// The error of a leaf: it has a code, so that as_result sees it as a value.
[[nodiscard]] std::error_code leaf_error(int number) noexcept;

/// The number of an error: that of a leaf's, or one that stands for what the library throws.
inline constexpr int timed_out = 1000;
inline constexpr int cancelled = 1001;
inline constexpr int refused = 1002;  ///< by a policy
inline constexpr int closed = 1003;
inline constexpr int odd_errors = 2000;    ///< and more
inline constexpr int other_errors = 5000;  ///< and more

[[nodiscard]] int number_of(std::error_code code) noexcept;

/// The errors in a group, depth first; else the one.
[[nodiscard]] std::vector<int> numbers_of(std::exception_ptr const& error);

class outcome {
public:
    enum class sort : unsigned char { value, error, stopped };

    [[nodiscard]] static outcome of_value(int value) { return {sort::value, value, {}}; }

    [[nodiscard]] static outcome of_errors(std::vector<int> errors) {
        return {sort::error, 0, std::move(errors)};
    }

    [[nodiscard]] static outcome of_error(int error) { return of_errors({error}); }

    [[nodiscard]] static outcome stopped() { return {sort::stopped, 0, {}}; }

    [[nodiscard]] bool has_value() const noexcept { return sort_ == sort::value; }

    [[nodiscard]] bool has_error() const noexcept { return sort_ == sort::error; }

    [[nodiscard]] bool was_stopped() const noexcept { return sort_ == sort::stopped; }

    [[nodiscard]] int value() const noexcept { return value_; }

    [[nodiscard]] std::vector<int> const& errors() const noexcept { return errors_; }

    [[nodiscard]] std::string text() const;

    friend bool operator==(outcome const&, outcome const&) = default;

private:
    outcome(sort what, int value, std::vector<int> errors)
        : sort_(what)
        , value_(value)
        , errors_(std::move(errors)) {}

    sort sort_;
    int value_;
    std::vector<int> errors_;
};

/// How values are put together: depends on their order.
[[nodiscard]] constexpr int fold(int before, int value) noexcept {
    return (before * 31 + value) % 9973;
}

/// How a value, an error's number or a stop goes into a value.
[[nodiscard]] constexpr int value_of_error(int number) noexcept {
    return 10'000 + number;
}

inline constexpr int value_of_stop = 9'999;

}  // namespace weft::fuzz
