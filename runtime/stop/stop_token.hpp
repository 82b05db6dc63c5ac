#pragma once

/// Cooperative stop: sources, tokens and callbacks that live inside their owners and never
/// allocate.
///
/// Protocol. A `stop_state` is one node of a tree that follows the structure of the program: a
/// scope's state is the parent of its children's states. Actors: registrants (any thread), one
/// requester that wins, the owner who destroys the state.
///
///   word_:   requested (sticky) | locked (spin, a few instructions) | linked (the parent knows us)
///            | firing (the winner is not through)
///   first_:  callbacks not yet run, under the lock bit
///   firing_: what the winner is running, under the lock: a callback, noted on its stack, or the
///            walk through a child
///
///   request:    lock → set requested → { pop a callback, note it, unlock, run it, lock }*
///               → a follower? { unlock, request its stop, lock } → unlock
///               The callback of a child's link is not called: the same loop goes down to the
///               child, and up again when the child's callbacks have run, so that a chain of any
///               length takes one frame of the stack
///   register:   link to the parent if not yet linked → lock → requested? refuse : append → unlock
///   deregister: lock → in the list? unlink : running elsewhere? unlock and wait for it → unlock
///
/// I1 A callback runs at most once, and never after its deregistration returned.
/// I2 Deregistration returns only when the callback is not running, unless it is called from within
///    the callback itself; then the callback's object is not touched after the callback returns.
/// I3 Linking is lazy: a state joins its parent's list at the first registration or query. An
///    unused state costs its four words of initialisation. Links are made from the leaf upwards; a
///    parent that is already stopped stops the child during the link, so that no request is lost
///    however the two race.
/// I4 Lock order: a state's lock is never held while another's is taken; callbacks run with no lock
///    held.
/// I5 The state outlives its registrants, and the winner's loop: while that is in a child, the
///    parent's note names the child's link, and the child's destructor waits in `deregister` for it
///    (I2), and the destructor waits for a winner that is not through. So an owner may go on as
///    soon as the stop is seen, on whatever thread it is requested. Whoever asks second is not
///    waited for.
/// I6 The winner writes the reason before it sets `requested`; it does not change any more. A child
///    that is stopped by its parent takes the parent's reason over.

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/core/remote_request.hpp>
#include <weft/runtime/stop/stop_reason.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <utility>

namespace weft {

class stop_token;

namespace detail {

class stop_state;

/// A registration. Lives in the registrant; `run` is called at most once, on the thread that
/// requests the stop.
///
/// Its base is the request to a worker that many callbacks post: with the callback the node has
/// left the list, and its place serves the queue.
class stop_node : public remote_request {
public:
    explicit stop_node(stop_function function) noexcept : remote_request(function) {}

    stop_node(stop_node const&) = delete;
    stop_node& operator=(stop_node const&) = delete;

    ~stop_node() {
        WEFT_ASSERT(state_ == nullptr, "a stop callback is destroyed while registered");
    }

    /// Owner. Registers with `state`; null means "never stops". False when the stop was requested
    /// already; then nothing is registered and `run` is not called.
    [[nodiscard]] bool enroll(stop_state* state) noexcept;

    /// Owner. Afterwards the callback has either run completely or never will (I1, I2). Idempotent.
    void withdraw() noexcept;

private:
    friend class stop_state;

    stop_state* state_ = nullptr;

    // --- any thread, under the state's lock; so is `next` -------------------------
    remote_request** slot_ = nullptr;  // what points at us in the state's list; null: not listed
};

class stop_state {
public:
    explicit stop_state(stop_state* parent = nullptr) noexcept : parent_(parent) {}

    stop_state(stop_state const&) = delete;
    stop_state& operator=(stop_state const&) = delete;

    ~stop_state() {
        // acquire: observe the winner's last access; pairs with end_firing():hand back. Every
        // registrant is gone.
        if ((word_.load(acquire) & (linked_bit | firing_bit)) != 0) {
            leave_others();
        }
        WEFT_ASSERT(first_ == nullptr, "a stop state is destroyed while callbacks are registered");
    }

    /// Owner, before anybody uses the state.
    void follow(stop_state* parent) noexcept { parent_ = parent; }

    /// Any thread. Runs every registered callback on the calling thread. True for the caller that
    /// was first: its reason is the one that counts, and when every callback has run, it stops
    /// `follower`, too.
    bool request_stop(stop_reason const& reason, stop_state* follower = nullptr) noexcept;

    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return request_stop(stop_reason(stop_kind::requested, at));
    }

    /// Owner, before it destroys what the winner of a request uses beside the state. The destructor
    /// does it, too.
    void await_requester() noexcept;

    /// Any thread. Links to the ancestors on first use, hence not const.
    [[nodiscard]] bool stop_requested() noexcept {
        // acquire: observe what the requester wrote before request_stop(); pairs with
        // request_stop():publish
        std::uint32_t const word = word_.load(acquire);
        bool const is_known = (word & (requested_bit | linked_bit)) != 0 || parent_ == nullptr;
        return is_known ? (word & requested_bit) != 0 : link_and_query();
    }

    /// Any thread. Why the stop was requested; of the kind `none` while it was not.
    [[nodiscard]] stop_reason reason() noexcept {
        return stop_requested() ? reason_.value : stop_reason();
    }

    [[nodiscard]] stop_state* parent() const noexcept { return parent_; }

    /// Any thread. Whether somebody would hear of a stop; exact when nobody registers or
    /// deregisters.
    [[nodiscard]] bool has_callbacks() noexcept;

private:
    friend class stop_node;

    static constexpr std::uint32_t requested_bit = 1;
    static constexpr std::uint32_t locked_bit = 2;
    static constexpr std::uint32_t linked_bit = 4;
    static constexpr std::uint32_t firing_bit = 8;

    /// The callback that the winner runs, on its stack. Touched under the lock bit of the state
    /// whose callback it is.
    struct firing {
        stop_node* node;
        std::uintptr_t thread;
    };

    /// What the winner runs: nothing, a callback, or the callbacks of a child.
    class firing_note {
    public:
        firing_note() noexcept = default;

        explicit firing_note(firing& callback) noexcept
            : bits_(reinterpret_cast<std::uintptr_t>(&callback)) {}

        explicit firing_note(stop_state& child) noexcept
            : bits_(reinterpret_cast<std::uintptr_t>(&child) + child_bit) {}

        [[nodiscard]] bool is_set() const noexcept { return bits_ != 0; }

        /// Null when it is none.
        [[nodiscard]] firing* callback() const noexcept {
            return (bits_ & child_bit) == 0 ? reinterpret_cast<firing*>(bits_) : nullptr;
        }

        /// Requires: set, and no callback.
        [[nodiscard]] stop_state& child() const noexcept {
            return *reinterpret_cast<stop_state*>(bits_ - child_bit);
        }

    private:
        static constexpr std::uintptr_t child_bit = 1;

        std::uintptr_t bits_ = 0;
    };

    /// The registration with the parent. It exists from the link on, hence outside the
    /// constructor's work.
    struct parent_link : stop_node {
        explicit parent_link(stop_state& child) noexcept : stop_node(&is_link), child_(&child) {}

        /// Not called: tells a link from other callbacks. See request_stop().
        static void is_link(stop_node& node) noexcept;

        stop_state* child_;
    };

    union lazy_link {
        lazy_link() noexcept {}

        ~lazy_link() {}

        parent_link value;
    };

    union lazy_reason {
        lazy_reason() noexcept {}

        stop_reason value;
    };

    [[nodiscard]] bool add(stop_node& node) noexcept;
    [[nodiscard]] bool add_locked(stop_node& node) noexcept;
    void remove(stop_node& node) noexcept;
    void link_upwards() noexcept;
    bool link_and_query() noexcept;
    void leave_others() noexcept;
    void lock() noexcept;
    void unlock() noexcept;
    static void detach(stop_node& node) noexcept;
    void mark_requested(stop_reason const& reason, firing& now) noexcept;
    [[nodiscard]] stop_state& go_down(stop_node& link, firing& now) noexcept;
    [[nodiscard]] stop_state& go_up(firing& now) noexcept;
    void end_firing() noexcept;
    [[nodiscard]] bool is_running(stop_node const& node) const noexcept;

    // --- constant after construction, or follow() -----------------------------------
    stop_state* parent_;

    // --- any thread, atomic (see Protocol) ---------------------------------------
    /// Written by everybody (the lock, the request, the link); read by queries.
    atomic<std::uint32_t> word_{0};

    // --- any thread, under the lock bit of word_ ----------------------------------
    remote_request* first_ = nullptr;  // stop_nodes
    firing_note firing_;
    lazy_link link_;      // alive while the linked bit is set
    lazy_reason reason_;  // constant from the request on (I6)
};

}  // namespace detail

/// Asks a stop_source's owner nothing and tells its holder one thing: whether work should stop.
///
/// A token is a pointer; copies are free. A default-constructed token never stops.
///
/// Thread safety: every member may be called from any thread at the same time.
/// Cancellation: never suspends.
/// Lifetime: must not be used after its source is destroyed.
/// Complexity: O(1); the first query of a nested source links it to its ancestors.
/// Errors: operation_cancelled from throw_if_stopped().
class stop_token {
public:
    stop_token() noexcept = default;

    explicit stop_token(detail::stop_state* state) noexcept : state_(state) {}

    [[nodiscard]] bool stop_requested() const noexcept {
        return state_ != nullptr && state_->stop_requested();
    }

    [[nodiscard]] bool stop_possible() const noexcept { return state_ != nullptr; }

    /// Why; of the kind `none` while no stop was requested.
    [[nodiscard]] stop_reason reason() const noexcept {
        return state_ != nullptr ? state_->reason() : stop_reason();
    }

    /// Throws operation_cancelled if a stop was requested: for a computation that has a token and
    /// awaits nothing.
    void throw_if_stopped() const {
        if (stop_requested()) [[unlikely]] {
            throw_cancelled();
        }
    }

    [[nodiscard]] detail::stop_state* state() const noexcept { return state_; }

    friend bool operator==(stop_token a, stop_token b) noexcept { return a.state_ == b.state_; }

private:
    [[noreturn]] static void throw_cancelled();

    detail::stop_state* state_ = nullptr;
};

/// Requests a stop that its tokens see. May follow a parent: a stop of the parent stops this source
/// too.
///
/// Thread safety: `request_stop` and `token` may be called from any thread at the same time;
///     construction and destruction by the owner only.
/// Cancellation: never suspends.
/// Lifetime: must outlive every callback registered through its tokens, and every call on it, but
///     for the request that stopped it: the destructor waits for that one, so a task may destroy
///     the source as soon as it sees the stop. Must not be destroyed by one of its own callbacks.
/// Complexity: `request_stop` runs every registered callback on the calling thread.
/// Errors: none.
/// Example: examples/timeout.cpp
class stop_source {
public:
    stop_source() noexcept = default;

    explicit stop_source(stop_token parent) noexcept : state_(parent.state()) {}

    /// True for the caller that was first to ask: its reason is the one that tokens give.
    bool request_stop(std::source_location at = std::source_location::current()) noexcept {
        return state_.request_stop(at);
    }

    bool request_stop(stop_reason reason) noexcept { return state_.request_stop(reason); }

    [[nodiscard]] bool stop_requested() noexcept { return state_.stop_requested(); }

    [[nodiscard]] stop_token token() noexcept { return stop_token(&state_); }

private:
    detail::stop_state state_;
};

/// Calls `Callback` once when a stop is requested: at once, on the constructing thread, if it
/// already was.
///
/// Thread safety: constructed and destroyed by its owner; the callback runs on the thread that
///     requests the stop.
/// Cancellation: never suspends.
/// Lifetime: destruction waits for a callback that runs on another thread, so the callback may use
///     what its owner owns; a worker may be what waits, so a callback is brief and never waits for
///     a task. Destroying the object from within its own callback is allowed.
/// Complexity: O(1), no allocation.
/// Errors: the callback must not throw.
template <class Callback>
class stop_callback : private detail::stop_node {
public:
    template <class F>
    stop_callback(stop_token token, F&& callback)
        : detail::stop_node(&invoke)
        , callback_(std::forward<F>(callback)) {
        if (!enroll(token.state())) {
            callback_();
        }
    }

    stop_callback(stop_callback const&) = delete;
    stop_callback& operator=(stop_callback const&) = delete;

    ~stop_callback() { withdraw(); }

private:
    static void invoke(detail::stop_node& node) noexcept {
        static_cast<stop_callback&>(node).callback_();
    }

    Callback callback_;
};

template <class Callback>
stop_callback(stop_token, Callback) -> stop_callback<Callback>;

}  // namespace weft
