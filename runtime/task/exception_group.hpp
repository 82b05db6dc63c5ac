#pragma once

/// Several errors at once.

#include <weft/runtime/base/function_ref.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <string_view>

namespace weft {

namespace detail {

class error_list;

}  // namespace detail

/// What a scope throws when more than one error has left its body and its children: all of them, in
/// order. A scope with one error throws that error itself.
///
/// An error may be a group in turn, when the scope of a child failed with several; groups nest as
/// the scopes did.
///
/// Thread safety: constant after construction; copies share their errors, and every member may be
///     called on any of them from any thread at the same time.
/// Cancellation: never suspends.
/// Lifetime: `errors()`, `name()` and `what()` are valid while a copy of the group lives.
/// Complexity: copying is O(1). The text is made when it is first asked for, by throwing and
///     catching every error once.
/// Errors: constructors throw std::bad_alloc; copying never throws.
/// Example: examples/parallel_fetch.cpp
class exception_group : public std::exception {
public:
    /// Listed in what(), of one group; the others are counted.
    static constexpr std::size_t listed_errors_max = 100;

    /// Spelled out in what(); the groups below are counted only.
    static constexpr std::size_t listed_depth_max = 32;

    /// The errors in this order, without names. Null pointers are left out, and so is an error that
    /// is the same object as one before it.
    explicit exception_group(std::span<std::exception_ptr const> errors);

    exception_group(exception_group const& other) noexcept;
    exception_group& operator=(exception_group const& other) noexcept;
    ~exception_group() override;

    /// One error a line, with the names of the children, and groups indented below their line:
    ///
    ///     2 errors
    ///       - accept: Address already in use
    ///       - session: 2 errors
    ///           - bad frame
    ///           - an exception that is no std::exception
    [[nodiscard]] char const* what() const noexcept override;

    [[nodiscard]] std::span<std::exception_ptr const> errors() const noexcept;

    [[nodiscard]] std::size_t size() const noexcept { return errors().size(); }

    /// The name of the child whose error stands at `index`, or nothing.
    [[nodiscard]] std::string_view name(std::size_t index) const noexcept;

    /// The errors of this group and of the groups in it, depth first, none of them a group.
    [[nodiscard]] exception_group flatten() const;

    /// Calls `function(error)` for each error that flatten() would give.
    void for_each(detail::function_ref<void(std::exception_ptr const&)> function) const;

private:
    friend class detail::error_list;
    struct shared;

    explicit exception_group(shared* owned) noexcept : shared_(owned) {}

    shared* shared_;
};

namespace detail {

/// Collects errors on their way into a group. An error that is there already, because it passed
/// through a join on its way, is not listed twice.
class error_list {
public:
    error_list() noexcept : collected_(nullptr), seen_(nullptr) {}

    error_list(error_list const&) = delete;
    error_list& operator=(error_list const&) = delete;
    ~error_list();

    /// Ignores null. Throws std::bad_alloc.
    void add(std::exception_ptr const& error, std::string_view name = {});

    /// Once, and nothing afterwards: null when there is no error, the error itself when there is
    /// one, else a group of all. Throws std::bad_alloc.
    [[nodiscard]] std::exception_ptr take();

    /// The same, as a group whatever their number.
    [[nodiscard]] exception_group take_group();

private:
    struct seen;

    exception_group::shared* collected_;
    seen* seen_;
};

}  // namespace detail

/// What one `throw` can say of several errors: null when there is none, the error itself when there
/// is one, else an exception_group of all.
///
/// Thread safety: as for the errors.
/// Cancellation: never suspends.
/// Lifetime: shares the errors.
/// Complexity: O(number of errors).
/// Errors: std::bad_alloc.
/// Example: examples/parallel_fetch.cpp
[[nodiscard]] std::exception_ptr group_errors(std::span<std::exception_ptr const> errors);

}  // namespace weft
