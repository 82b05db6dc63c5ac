// Branches of every kind that are always ready, beside each other: each wins its share, and with
// bias the first in the call wins, whatever its kind.

#include <weft/io/net/tcp.hpp>
#include <weft/io/signal.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::channel;
using weft::nursery;
using weft::task;

namespace {

void raise_in_process(int number) {
    CHECK(::kill(::getpid(), number) == 0);
}

// Each kind gives an operation that is ready, and makes the next one ready when one has won.

struct receives {
    receives() { make_ready(); }

    auto operation() noexcept { return values.recv(); }

    void make_ready() { CHECK(values.try_send(1).has_value()); }

    channel<int> values{1};
};

struct waits {
    waits() { make_ready(); }

    auto operation() noexcept { return event.wait(); }

    void make_ready() noexcept { event.set(); }

    weft::auto_reset_event event;
};

struct locks {
    auto operation() noexcept { return lock.lock(); }

    void make_ready() noexcept { lock.unlock(); }

    weft::mutex lock;
};

struct sleeps {
    auto operation() const noexcept { return weft::sleep_until(passed); }

    void make_ready() const noexcept {}

    weft::clock::time_point passed = weft::clock::now();
};

struct hears {
    explicit hears(weft::signal_set& set) : signals(set) { make_ready(); }

    auto operation() { return signals.next(); }

    void make_ready() const { raise_in_process(SIGUSR1); }

    weft::signal_set& signals;
};

struct runs {
    auto operation() const { return ends(); }

    void make_ready() const noexcept {}

    static task<> ends() { co_return; }
};

struct joins {
    explicit joins(weft::join_handle<int> ended) noexcept : handle(std::move(ended)) {}

    auto operation() noexcept { return handle.join(); }

    void make_ready() const noexcept {}

    weft::join_handle<int> handle;
};

void send_byte(weft::tcp_stream const& from) {
    char const byte = 'x';
    CHECK(::send(from.native_handle(), &byte, 1, 0) == 1);
}

/// What the kernel says is there may be a moment late.
void wait_for_input(int fd) {
    ::pollfd asked{fd, POLLIN, 0};
    CHECK(::poll(&asked, 1, 5'000) == 1);
}

struct sees {
    explicit sees(stream_pair connected) : pair(std::move(connected)) {
        send_byte(pair.far);
        wait_for_input(pair.near.native_handle());
    }

    auto operation() noexcept { return pair.near.readable(); }

    void make_ready() const noexcept {}

    stream_pair pair;
};

struct reads {
    explicit reads(stream_pair connected) : pair(std::move(connected)) { make_ready(); }

    auto operation() noexcept { return pair.near.read_some(data); }

    void make_ready() {
        send_byte(pair.far);
        wait_for_input(pair.near.native_handle());
    }

    stream_pair pair;
    std::array<std::byte, 1> data{};
};

struct accepts {
    accepts() { make_ready(); }

    auto operation() { return listener.accept(); }

    void make_ready() {
        foreign = connect_foreign(listener.local_address());
        wait_for_input(listener.native_handle());
    }

    weft::tcp_listener listener{weft::address::loopback_v4(0)};
    weft::unique_fd foreign;
};

using kinds =
    std::tuple<receives&, waits&, locks&, sleeps&, hears&, runs&, joins&, sees&, reads&, accepts&>;
constexpr std::size_t kind_count = std::tuple_size_v<kinds>;

/// All kinds, from number `First` round. Gives the number of the one that has won.
template <std::size_t First, std::size_t... I>
task<std::size_t> select_from(kinds all, bool is_biased, std::index_sequence<I...>) {
    std::size_t won = kind_count;
    if (is_biased) {
        auto const result = co_await weft::select(
            weft::biased, std::get<(First + I) % kind_count>(all).operation()...);
        won = (First + result.index()) % kind_count;
    } else {
        auto const result =
            co_await weft::select(std::get<(First + I) % kind_count>(all).operation()...);
        won = (First + result.index()) % kind_count;
    }
    ((won == I ? std::get<I>(all).make_ready() : void()), ...);
    co_return won;
}

template <std::size_t First>
task<> look_from(kinds all) {
    constexpr auto every_kind = std::make_index_sequence<kind_count>();
    constexpr int rounds = 40 * static_cast<int>(kind_count);
    CAPTURE(First);
    std::array<int, kind_count> wins{};
    std::array<int, kind_count> waited{};
    int longest = 0;
    for (int i = 0; i < rounds; ++i) {
        std::size_t const won = co_await select_from<First>(all, false, every_kind);
        ++wins[won];
        for (int& each : waited) {
            longest = std::max(longest, ++each);
        }
        waited[won] = 0;
    }
    for (std::size_t kind = 0; kind < kind_count; ++kind) {
        CAPTURE(kind);
        CHECK(wins[kind] >= rounds / static_cast<int>(kind_count) / 2);
    }
    CHECK(longest <= 4 * static_cast<int>(kind_count));
    for (int i = 0; i < 200; ++i) {
        CHECK(co_await select_from<First>(all, true, every_kind) == First);
    }
}

template <class Look>
void on_all_kinds(Look look) {
    weft::signal_set signals({SIGUSR1});
    on_one_and_two_workers([&](auto&) -> task<> {
        receives receiving;
        waits waiting;
        locks locking;
        sleeps sleeping;
        hears hearing(signals);
        runs running;
        accepts accepting;
        sees seeing(co_await connected_pair());
        reads reading(co_await connected_pair());
        auto body = [&](nursery& n) -> task<> {
            auto answer = []() -> task<int> { co_return 42; };
            joins joining(n.spawn(answer()));
            (void)co_await joining.handle.join();
            co_await look(kinds(receiving,
                                waiting,
                                locking,
                                sleeping,
                                hearing,
                                running,
                                joining,
                                seeing,
                                reading,
                                accepting));
        };
        co_await weft::scope(body);
        CHECK(co_await signals.next() == SIGUSR1);  // nobody has taken two
    });
}

template <std::size_t... First>
task<> look_from_each(kinds all, std::index_sequence<First...>) {
    (co_await look_from<First>(all), ...);
}

}  // namespace

TEST_SUITE("together/select_fairness") {
    TEST_CASE(
        "of ten kinds of branches that are always ready each wins its share, the first with bias") {
        on_all_kinds(
            [](kinds all) { return look_from_each(all, std::make_index_sequence<kind_count>()); });
    }

    TEST_CASE("a timer and a signal win beside a channel that is always ready") {
        weft::signal_set signals({SIGUSR1});
        on_one_and_two_workers([&](auto&) -> task<> {
            channel<int> values(64);
            int ticks = 0;
            int heard = 0;
            auto produce = [&]() -> task<> {
                bool open = true;
                while (open) {
                    auto const sent = co_await weft::as_result(values.send(1));
                    open = sent.has_value();
                }
            };
            auto body = [&](nursery& n) -> task<> {
                n.spawn(produce());
                auto next = weft::clock::now() + 1ms;
                raise_in_process(SIGUSR1);
                for (int i = 0; i < 5'000'000 && (ticks < 20 || heard < 20); ++i) {
                    auto const won = co_await weft::select(
                        values.recv(), signals.next(), weft::sleep_until(next));
                    if (won.index() == 1) {
                        ++heard;
                        raise_in_process(SIGUSR1);
                    } else if (won.index() == 2) {
                        ++ticks;
                        next += 1ms;
                    }
                }
                values.close();
            };
            co_await weft::scope(body);
            CHECK(ticks >= 20);
            CHECK(heard >= 20);
            CHECK(co_await signals.next() == SIGUSR1);
        });
    }

    TEST_CASE("a task that ends without waiting wins its share beside one that waits") {
        on_one_and_two_workers([](auto&) -> task<> {
            channel<int> values(1);
            int ended = 0;
            int started = 0;
            auto ends = []() -> task<> { co_return; };
            auto naps = [&]() -> task<> {
                ++started;
                co_await weft::sleep_for(48h);
            };
            for (int i = 0; i < 300; ++i) {
                (void)values.try_send(1);
                auto const won = co_await weft::select(naps(), values.recv(), ends());
                ended += won.index() == 2 ? 1 : 0;
                CHECK(won.index() != 0);
            }
            CHECK(ended >= 50);
            CHECK(started >= 50);
        });
    }
}

namespace {

task<> send_signals(int count, int& taken, bool& over) {
    for (int i = 0; i < count; ++i) {
        raise_in_process(SIGUSR1);
        auto const limit = weft::clock::now() + 5s;
        while (taken == i && weft::clock::now() < limit) {
            co_await weft::yield();
        }
        if (taken != i + 1) {
            break;
        }
    }
    over = true;
}

}  // namespace

TEST_SUITE("together/select_signal") {
    TEST_CASE("a signal that is not chosen is there for the next select") {
        weft::signal_set signals({SIGUSR1});
        on_one_and_two_workers([&](auto&) -> task<> {
            channel<int> values(1);
            channel<int> quiet(0);
            for (int i = 0; i < 100; ++i) {
                (void)values.try_send(1);
                raise_in_process(SIGUSR1);
                auto const value =
                    co_await weft::select(weft::biased, values.recv(), signals.next());
                CHECK(value.index() == 0);
                auto const number = co_await weft::select(quiet.recv(), signals.next());
                CHECK(number.template get<1>() == SIGUSR1);
            }
        });
    }

    TEST_CASE("as many signals are received as were sent, whoever wins the selects between them") {
        weft::signal_set signals({SIGUSR1});
        weft::runtime rt(with_workers(1));
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        constexpr int count = 500;
        int taken = 0;
        bool over = false;
        channel<int> values(1);
        auto chat = [&]() -> task<> {
            while (!over) {
                (void)values.try_send(1);
                co_await weft::sleep_for(std::chrono::microseconds(random.below(60)));
            }
            values.close();
        };
        auto receive = [&]() -> task<> {
            for (;;) {
                auto const won = co_await weft::select(values.recv(), signals.next());
                if (won.index() == 1) {
                    ++taken;
                } else if (!won.template get<0>().has_value()) {
                    co_return;
                }
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(chat());
                n.spawn(receive());
                co_await send_signals(count, taken, over);
            };
            co_await weft::scope(body);
        };
        rt.block_on(work());
        CHECK(taken == count);
    }
}
