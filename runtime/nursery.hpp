#pragma once

#include <weft/runtime/call.hpp>
#include <weft/runtime/join_handle.hpp>
#include <weft/runtime/task_group.hpp>

#include <cstddef>
#include <source_location>
#include <string_view>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

class scope_core;

}  // namespace detail

/// A child's name, for `spawn`: `n.spawn(named("reader"), read(stream))`. Copied by the spawn.
class named {
public:
    explicit named(std::string_view name) noexcept : name_(name) {}

    [[nodiscard]] std::string_view name() const noexcept { return name_; }

private:
    std::string_view name_;
};

/// Starts children that end before their scope does. Made by `scope`, passed to its body.
///
/// Thread safety: `spawn` from the scope's body and from its children, on any worker, and from any
///     other thread while the body or a child keeps the scope open; `request_stop` from any thread.
/// Cancellation: a stop of the surrounding task stops every child. A child that fails stops its
///     siblings, except in a supervisor scope.
/// Lifetime: lives until the scope's await ends; do not keep references beyond it. A spawn into a
///     scope that has ended aborts, as far as it is noticed.
/// Resumption: children start on the pool, in the order in which they were spawned if one worker
///     runs them. A child that is spawned after a stop starts, too, and is stopped at its first
///     await.
/// Complexity: O(1) per spawn. A record of its own costs memory for as long as a child has a
///     handle, a name or a value; other children cost their frame.
/// Errors: `spawn` throws std::bad_alloc; then the task is destroyed. An error of a child is
///     rethrown by the scope's await.
/// Example: examples/hello.cpp
class nursery {
public:
    nursery(nursery const&) = delete;
    nursery& operator=(nursery const&) = delete;

    /// The handle may be dropped.
    template <class T>
    join_handle<T> spawn(task<T> child) {
        return start(std::move(child), {});
    }

    /// Calls `function(arguments...)`, which gives something to await. The callable and its
    /// arguments are copied into the child, so a lambda with captures is safe here.
    template <class Function, class... Arguments>
        requires std::invocable<Function&, Arguments&...>
    auto spawn(Function function, Arguments... arguments) {
        return start(call(std::move(function), std::move(arguments)...), {});
    }

    /// The name appears in the text of an exception_group.
    template <class T>
    join_handle<T> spawn(named name, task<T> child) {
        return start(std::move(child), name.name());
    }

    template <class Function, class... Arguments>
        requires std::invocable<Function&, Arguments&...>
    auto spawn(named name, Function function, Arguments... arguments) {
        return start(call(std::move(function), std::move(arguments)...), name.name());
    }

    /// Asks the body and every child to stop. True for the first to ask.
    bool request_stop(stop_reason const& reason) noexcept { return group_->request_stop(reason); }

    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return request_stop(stop_reason(stop_kind::requested, at));
    }

    /// The token of the stop that the children follow.
    [[nodiscard]] stop_token token() noexcept { return stop_token(&group_->stop()); }

    /// How many children have not ended; exact when nobody starts or ends.
    [[nodiscard]] std::size_t children() const noexcept { return group_->children(); }

private:
    friend class detail::scope_core;

    explicit nursery(detail::task_group& group) noexcept : group_(&group) {}

    template <class T>
    join_handle<T> start(task<T> child, std::string_view name) {
        return detail::handle_access::make(group_->spawn(std::move(child), name));
    }

    detail::task_group* group_;
};

}  // namespace weft
