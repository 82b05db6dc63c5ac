#pragma once

/// What the nodes of one program share, and the coroutines that run them.

#include <weft/io/net/tcp.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/debounce.hpp>
#include <weft/runtime/resilience/rate_limiter.hpp>
#include <weft/runtime/resilience/single_flight.hpp>
#include <weft/runtime/resilience/throttle.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/sync/locks/barrier.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/latch.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/locks/semaphore.hpp>
#include <weft/sync/locks/shared_mutex.hpp>
#include <weft/tests/fuzz/account.hpp>
#include <weft/tests/fuzz/program.hpp>
#include <weft/tests/support/counted.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace weft::fuzz {

/// What every node gives.
using parcel = test::counted;
using work = task<parcel>;

/// The least number leaves first.
struct least_first {
    [[nodiscard]] bool operator()(parcel const& left, parcel const& right) const noexcept {
        return left.value > right.value;
    }
};

/// In what kind of runtime a program runs.
enum class setting : std::uint8_t { virtual_time, pool, sockets };

/// A mutex with what shows whether it does its duty.
struct watched_mutex {
    mutex lock;
    waiting_line line;
    std::atomic<int> holders{0};
    std::atomic<int> waiting{0};
};

struct watched_shared_mutex {
    shared_mutex lock;
    std::atomic<int> readers{0};
    std::atomic<int> writers{0};
    std::atomic<int> waiting_readers{0};
    std::atomic<int> waiting_writers{0};
};

/// A channel with what shows whether it has forgotten somebody.
template <class Channel>
struct watched_channel {
    template <class... Arguments>
    explicit watched_channel(Arguments... arguments) : channel(arguments...) {}

    Channel channel;
    std::atomic<int> senders{0};
    std::atomic<int> receivers{0};
};

struct watched_limiter {
    explicit watched_limiter(rate_limiter_options const& options)
        : limits(options)
        , limiter(options) {}

    rate_limiter_options limits;
    rate_limiter limiter;
    std::mutex access;
    std::vector<std::int64_t> starts_us;
};

inline constexpr std::size_t semaphore_permits = 3;
inline constexpr std::size_t bulkhead_places = 2;
inline constexpr unsigned channel_count = 7;

class world {
public:
    world(setting place, account& record, test::object_count& count);
    world(world const&) = delete;
    world& operator=(world const&) = delete;
    ~world();

    [[nodiscard]] parcel make(int value) noexcept { return parcel(objects, value); }

    /// A node's time: virtual time has room for long ones.
    [[nodiscard]] clock::duration span(std::uint32_t time_us) const noexcept {
        return where == setting::virtual_time ? clock::duration(std::chrono::microseconds(time_us))
                                              : clock::duration(std::chrono::nanoseconds(time_us));
    }

    /// Everybody waits and nobody is going to wake anybody: whoever waits for what is there has
    /// been forgotten.
    void expect_nobody_forgotten();

    /// After the run, when everything has ended.
    void settle();

    /// Calls `function(watched_channel&, number)` with the channel of this number.
    template <class Function>
    auto with_channel(std::uint32_t number, Function function) {
        unsigned const index = number % channel_count;
        switch (index) {
            case 5:
                return function(unbounded, index);
            case 6:
                return function(priority, index);
            default:
                return function(channels[index], index);
        }
    }

    [[nodiscard]] static bool is_ordered(unsigned channel) noexcept { return channel != 6; }

    // --- constant ----------------------------------------------------------------------
    setting where;
    bool runs_in_order = false;  ///< one worker: what begins first has begun first

    // --- the oracle's ---------------------------------------------------------------------
    account& book;
    test::object_count& objects;
    ledger letters;
    instance root;

    // --- what the nodes share ------------------------------------------------------------
    std::array<watched_mutex, 2> mutexes;
    std::array<watched_shared_mutex, 2> shared_mutexes;
    semaphore permits{semaphore_permits, semaphore_permits};
    std::atomic<int> permits_taken{0};
    std::atomic<int> waiting_for_permits{0};

    /// Bounded, a rendezvous, and one for each policy.
    std::array<watched_channel<channel<parcel>>, 5> channels;
    watched_channel<unbounded_channel<parcel>> unbounded;
    watched_channel<priority_channel<parcel, least_first>> priority;
    broadcast<parcel> news{3};
    watch<parcel> latest;

    manual_reset_event gate;
    auto_reset_event bell;
    std::atomic<int> waiting_for_gate{0};
    std::atomic<int> waiting_for_bell{0};
    latch countdown{3};
    std::atomic<int> to_count{3};
    barrier<> meeting{2};
    semaphore seats{2, 2};  // as many as take part: more must not arrive at once
    mutex condition_lock;
    condition_variable changed;
    int changes = 0;
    once first;
    lazy<parcel, std::function<work()>> computed;

    blocking_pool pool{{.threads_max = 2}};
    circuit_breaker breaker;
    bulkhead places;
    std::atomic<int> in_bulkhead{0};
    watched_limiter bucket;
    watched_limiter window;
    debounce last_call;
    throttle first_call;
    single_flight<unsigned, parcel> flights;
    std::optional<tcp_listener> listener;

private:
    template <class Channel>
    void drain(watched_channel<Channel>& from, unsigned number);
    template <class Channel>
    void expect_served(watched_channel<Channel>& from, unsigned number);
};

/// Runs a node as a child of `parent`.
[[nodiscard]] work run(world& here, node const& what, frame_mark parent);

[[nodiscard]] inline work run_child(world& here, instance& self, std::size_t index) {
    return run(here, self.what().children[index], frame_mark(self));
}

/// The children from number `first` on.
[[nodiscard]] std::vector<work> run_children(world& here, instance& self, std::size_t first = 0);

// What a node does, by the files that hold it. None but those of the node's kind.
[[nodiscard]] work do_simple(world& here, instance& self);
[[nodiscard]] work do_join(world& here, instance& self);
[[nodiscard]] work do_range(world& here, instance& self);
[[nodiscard]] work do_scope(world& here, instance& self);
[[nodiscard]] work do_limit(world& here, instance& self);
[[nodiscard]] work do_policy(world& here, instance& self);
[[nodiscard]] work do_lock(world& here, instance& self);
[[nodiscard]] work do_signal(world& here, instance& self);
[[nodiscard]] work do_channel(world& here, instance& self);
[[nodiscard]] work do_stream(world& here, instance& self);
[[nodiscard]] work do_select(world& here, instance& self);
[[nodiscard]] work do_socket(world& here, instance& self);

}  // namespace weft::fuzz
