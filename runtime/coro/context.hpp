#pragma once

/// What a coroutine inherits from the one that awaits or spawns it: where to run, when to stop, and
/// what surrounds it.
///
/// A context is immutable while coroutines refer to it and lives in the frame (or the object) of
/// whoever narrowed it, so that inheriting it is the copy of one pointer. Nothing is looked up in
/// thread-local storage.

#include <weft/runtime/stop/stop_token.hpp>

#include <cstdint>

namespace weft::detail {

class scheduler;
struct local_binding;

/// What is narrowed rarely. Lives in the frame of whoever narrowed it last.
struct ambient_state {
    /// Asked before the hard stop, or right behind it without a grace; null where nobody can ask
    /// softly.
    stop_state* soft_stop = nullptr;
    /// On the drivers' clock; all ones without one.
    std::uint64_t deadline = ~std::uint64_t{0};
    /// The innermost task-local value.
    local_binding const* locals = nullptr;
};

inline constexpr ambient_state nothing_ambient{};

struct context {
    context(scheduler* home, stop_state* state) noexcept : sched(home), stop(state) {}

    scheduler* sched;  ///< null under a sync_wait without a runtime
    stop_state* stop;  ///< the innermost stop state; never null
    ambient_state const* ambient = &nothing_ambient;
};

/// A context with a stop state of its own, which follows the parent's.
struct stop_context : context {
    explicit stop_context(context const& parent) noexcept
        : context(parent.sched, &own_stop)
        , own_stop(parent.stop) {
        ambient = parent.ambient;
    }

    /// Takes its place under a parent by follow(), before anybody uses it.
    stop_context() noexcept : context(nullptr, &own_stop) {}

    void follow(context const& parent) noexcept {
        sched = parent.sched;
        ambient = parent.ambient;
        own_stop.follow(parent.stop);
    }

    stop_context(scheduler* home, stop_state* parent) noexcept
        : context(home, &own_stop)
        , own_stop(parent) {}

    stop_state own_stop;
};

}  // namespace weft::detail
