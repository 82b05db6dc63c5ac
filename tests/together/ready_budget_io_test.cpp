#include <weft/io/net/tcp.hpp>
#include <weft/runtime/coro/ready_budget.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/tests/support/io_fixture.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <span>

using namespace weft::test;
using weft::task;

namespace {

/// Takes what is always there until somebody says that it is enough.
template <class Turn>
task<> turn_until(bool const& enough, int& turns, Turn turn) {
    for (; turns < 10'000'000 && !enough; ++turns) {
        co_await turn();
    }
}

/// A byte goes around between two tasks, a hundred times, beside the one that never waits.
template <class Turn>
task<int> echo_beside(Turn turn) {
    stream_pair pair = co_await connected_pair();
    bool enough = false;
    int turns = 0;
    auto echo = [](weft::tcp_stream& stream) -> task<> {
        std::array<std::byte, 1> data;
        while (co_await stream.read_some(data) != 0) {
            co_await stream.write_all(data);
        }
    };
    auto ask = [&enough](weft::tcp_stream& stream) -> task<> {
        std::array<std::byte, 1> data{};
        for (int i = 0; i < 100; ++i) {
            co_await stream.write_all(data);
            CHECK(co_await stream.read_some(data) == 1);
        }
        CHECK(stream.shutdown_write());
        enough = true;
    };
    auto body = [&](weft::nursery& n) -> task<> {
        n.spawn(echo(pair.far));
        n.spawn(ask(pair.near));
        co_await turn_until(enough, turns, turn);
    };
    co_await weft::scope(body);
    co_return turns;
}

}  // namespace

TEST_SUITE("together/ready_budget_io") {
    TEST_CASE("a receiver that always finds something does not keep I/O from going on") {
        weft::runtime rt(with_workers(1));
        weft::channel<int> numbers(4);
        auto turn = [&]() -> task<> {
            (void)numbers.try_send(1);
            (void)co_await numbers.recv();
        };
        int const turns = rt.block_on(echo_beside(turn));
        CHECK(turns < 10'000'000);
    }

    TEST_CASE("one that writes and reads nothing does not either") {
        weft::runtime rt(with_workers(1));
        auto all = [&]() -> task<int> {
            stream_pair other = co_await connected_pair();
            auto turn = [&]() -> task<> {
                co_await other.near.write_all(std::span<std::byte const>());
                (void)co_await (other.far.read_exact(std::span<std::byte>()) | weft::as_result);
            };
            co_return co_await echo_beside(turn);
        };
        CHECK(rt.block_on(all()) < 10'000'000);
    }

    TEST_CASE("a loop that writes nothing ends under a stop") {
        weft::runtime rt(with_workers(1));
        int turns = 0;
        bool const never = false;
        auto all = [&]() -> task<> {
            stream_pair other = co_await connected_pair();
            auto turn = [&]() -> task<> {
                co_await other.near.write_all(std::span<std::byte const>());
            };
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(turn_until(never, turns, turn));
                while (turns < 100) {
                    co_await weft::yield();
                }
                n.request_stop();
            };
            co_await weft::scope(body);
        };
        rt.block_on(all());
        CHECK(turns < 10'000'000);
    }

    TEST_CASE("one that always finds its mutex free does not either") {
        weft::runtime rt(with_workers(1));
        weft::mutex lock;
        auto turn = [&]() -> task<> { auto const guard = co_await lock.scoped_lock(); };
        int const turns = rt.block_on(echo_beside(turn));
        CHECK(turns < 10'000'000);
    }
}
