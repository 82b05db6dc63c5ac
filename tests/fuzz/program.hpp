#pragma once

/// A random program: a tree whose leaves do something and whose inner nodes are combinators.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft::fuzz {

/// What a node does. `a` and `b` are its numbers; where one is a time, it is in µs.
enum class kind : std::uint8_t {
    // --- leaves that end by themselves: what becomes of them can be predicted
    value,        ///< gives a
    error,        ///< throws error a
    odd_error,    ///< throws error a, which has no code
    flaky,        ///< throws error a in its first b runs, then gives a
    sleep,        ///< gives b after a
    sleep_error,  ///< throws error b after a
    yields,       ///< lets others run a times
    stop_point,   ///< this_task::stop_point
    // --- leaves that wait for each other
    lock,       ///< holds mutex a for b
    try_lock,   ///< the same, if it is free
    read,       ///< holds shared mutex a for b, beside other readers
    write,      ///< holds shared mutex a for b, alone
    acquire,    ///< holds a permits of the semaphore for b
    send,       ///< sends b values to channel a
    send_many,  ///< the same, in bulk
    try_send,   ///< the same, without waiting
    recv,       ///< receives up to b values from channel a
    recv_many,  ///< the same, in bulk
    try_recv,   ///< the same, without waiting
    close,      ///< closes channel a
    publish,    ///< sends b values to the broadcast, or to the watch
    subscribe,  ///< receives up to b values from the broadcast, or from the watch
    oneshot,    ///< a value from one task to another, after a
    pipe,       ///< b values through the halves of a channel of capacity a
    signal,     ///< sets event a
    await_signal,
    reset_signal,
    count_down,
    await_latch,
    arrive,     ///< at the barrier
    notify,     ///< changes what condition waits are for, and notifies
    condition,  ///< waits until that has been changed b times more
    call_once,
    get_lazy,
    blocking,  ///< a call of b on another thread
    select,    ///< shape a of several, with the children as tasks among its branches
    // --- leaves on sockets
    exchange,    ///< b blocks to the other end of a fresh connection and back
    short_read,  ///< reads less, or more, than the other end writes
    cut_off,     ///< the other end closes or resets in the middle
    closing,     ///< a close while an operation is in flight
    accepting,   ///< accepts what others call for
    calling,     ///< connects to who accepts
    read_select,
    // --- joins
    sequence,
    when_all,
    when_all_pair,  ///< of tasks that are known at compile time
    all_settled,
    all_settled_pair,
    when_any,
    race,
    first_success,
    as_completed,  ///< takes a outcomes
    for_each,      ///< at most a at a time; so for the next ones
    map,
    map_unordered,
    map_reduce,
    batches,
    // --- scopes and what surrounds one task
    scope,  ///< the first child is the body
    supervisor,
    handles,      ///< children with handles, which the body joins
    stop_handle,  ///< a child that is asked to stop after a
    stop_scope,   ///< a scope that is asked to stop after a
    soft_stop,    ///< a scope that is asked softly after a, with a grace of b
    until_soft,   ///< until_soft_stop
    with_token,   ///< with_stop_token, stopped after a
    timeout,
    deadline,
    shielded,
    finally,
    defer,
    as_result,
    hold,  ///< a child below the guard of mutex a
    remote_spawn,
    gated,  ///< a scope that lets at most a children run
    // --- policies
    retry,
    fallback,
    hedge,
    breaker,
    bulkhead,
    limiter,
    debounce,
    throttle,
    single_flight,
    time_limit,
    pipeline,
};

inline constexpr std::size_t kind_count = static_cast<std::size_t>(kind::pipeline) + 1;

/// In which programs a kind may stand.
enum class family : std::uint8_t {
    timeless,  ///< its outcome follows from those of its children
    timed,     ///< and from their times
    mixed,     ///< and from what others do
    socket,    ///< and from the kernel
};

struct kind_traits {
    std::string_view name;
    family belongs_to;
    std::uint8_t children_least;
    std::uint8_t children_most;
};

[[nodiscard]] kind_traits const& traits_of(kind what) noexcept;

struct node {
    kind what = kind::value;
    unsigned id = 0;  ///< in the order of the text
    std::uint32_t a = 0;
    std::uint32_t b = 0;
    std::vector<node> children;

    [[nodiscard]] bool is_leaf() const noexcept { return children.empty(); }
};

/// Numbers the nodes anew, in the order of the text; gives how many there are.
unsigned number_nodes(node& root);

/// The nodes in the order of their numbers.
[[nodiscard]] std::vector<node*> list_nodes(node& root);

/// A node a line, children indented below their parent.
[[nodiscard]] std::string text_of(node const& root);

[[nodiscard]] bool contains(node const& root, std::span<kind const> kinds);

}  // namespace weft::fuzz
