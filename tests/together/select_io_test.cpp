// I/O as a branch of a select: whichever branch wins, the others have lost no byte, no connection
// and no value.

#include <weft/io/net/tcp.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::channel;
using weft::nursery;
using weft::task;

namespace {

static_assert(weft::selectable<weft::readiness_operation>);
static_assert(weft::selectable<weft::receive_operation>);
static_assert(weft::selectable<weft::vectored_receive_operation>);
static_assert(weft::selectable<weft::accept_operation>);
static_assert(!weft::selectable<weft::transfer_operation>);  // could lose what it has read

/// Where `in` reads numbers of one byte each, and `numbers` takes others.
struct counts {
    int bytes = 0;
    int values = 0;
    int naps = 0;
    int wrong = 0;
};

task<> write_bytes(weft::tcp_stream& to, int count, std::uint64_t seed) {
    random_numbers random(seed);
    for (int i = 0; i < count; ++i) {
        auto const data = static_cast<std::byte>(i % 251);
        co_await to.write_all(std::span(&data, 1));
        if (random.one_in(2)) {
            co_await weft::sleep_for(std::chrono::microseconds(random.below(40)));
        }
    }
}

task<> send_values(channel<int>& to, int count, std::uint64_t seed) {
    random_numbers random(seed);
    for (int i = 0; i < count; ++i) {
        co_await to.send(i);
        if (random.one_in(2)) {
            co_await weft::sleep_for(std::chrono::microseconds(random.below(40)));
        }
    }
}

void note_bytes(counts& got, std::span<std::byte const> data) {
    for (std::byte const each : data) {
        got.wrong += each == static_cast<std::byte>(got.bytes % 251) ? 0 : 1;
        ++got.bytes;
    }
}

void note_value(counts& got, int value) {
    got.wrong += value == got.values ? 0 : 1;
    ++got.values;
}

/// One round with read_some as a branch.
task<> read_or_receive(weft::tcp_stream& in,
                       channel<int>& numbers,
                       counts& got,
                       weft::clock::duration nap) {
    std::array<std::byte, 3> data;
    auto const won =
        co_await weft::select(numbers.recv(), in.read_some(data), weft::sleep_for(nap));
    if (won.index() == 0) {
        note_value(got, *won.get<0>());
    } else if (won.index() == 1) {
        note_bytes(got, std::span(data).first(won.get<1>()));
    } else {
        ++got.naps;
    }
}

/// The same with a wait for readiness, and the read behind it.
task<> wait_or_receive(weft::tcp_stream& in,
                       channel<int>& numbers,
                       counts& got,
                       weft::clock::duration nap) {
    std::array<std::byte, 3> data;
    auto const won = co_await weft::select(in.readable(), numbers.recv(), weft::sleep_for(nap));
    if (won.index() == 0) {
        std::size_t const count = co_await in.read_some(data);
        note_bytes(got, std::span(data).first(count));
    } else if (won.index() == 1) {
        note_value(got, *won.get<1>());
    } else {
        ++got.naps;
    }
}

task<> receive_all(
    weft::tcp_stream& in, channel<int>& numbers, counts& got, int count, std::uint64_t seed) {
    random_numbers random(seed);
    while (got.bytes < count || got.values < count) {
        auto const nap = std::chrono::microseconds(random.below(60));
        switch (random.below(3)) {
            case 0:
                co_await read_or_receive(in, numbers, got, nap);
                break;
            case 1:
                co_await wait_or_receive(in, numbers, got, nap);
                break;
            default: {
                auto body = [&](nursery& n) -> task<> {
                    auto stop = [&n](weft::clock::duration after) -> task<> {
                        co_await weft::sleep_for(after);
                        n.request_stop();
                    };
                    n.spawn(stop, nap);
                    co_await read_or_receive(in, numbers, got, 48h);
                    n.request_stop();
                };
                co_await weft::scope(body);
            }
        }
    }
}

task<int> slow_answer(weft::clock::duration nap) {
    co_await weft::sleep_for(nap);
    co_return 42;
}

}  // namespace

TEST_SUITE("together/select_io") {
    TEST_CASE("a stream, a channel and a timer are branches as they are; the first that can wins") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            channel<int> numbers(1);
            auto late =
                co_await weft::select(numbers.recv(), pair.near.readable(), weft::sleep_for(1ms));
            CHECK(late.index() == 2);
            co_await pair.far.write_all(std::span("abc", 3));
            auto ready =
                co_await weft::select(numbers.recv(), pair.near.readable(), weft::sleep_for(48h));
            CHECK(ready.index() == 1);
            (void)numbers.try_send(7);
            auto value = co_await weft::select(
                weft::biased, numbers.recv(), pair.near.readable(), weft::sleep_for(48h));
            CHECK(value.index() == 0);
            std::array<std::byte, 8> data;
            auto bytes = co_await weft::select(
                numbers.recv(), pair.near.read_some(data), weft::sleep_for(48h));
            CHECK(bytes.index() == 1);
            CHECK(bytes.template get<1>() == 3);
        });
    }

    TEST_CASE("a read that loses has taken no byte, though bytes were there") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            channel<int> numbers(1);
            co_await pair.far.write_all(std::span("abc", 3));
            co_await pair.near.readable();
            (void)numbers.try_send(7);
            std::array<std::byte, 8> data{};
            auto won =
                co_await weft::select(weft::biased, numbers.recv(), pair.near.read_some(data));
            CHECK(won.index() == 0);
            CHECK(data[0] == std::byte{0});
            CHECK(co_await pair.near.read_some(data) == 3);
        });
    }

    TEST_CASE("the end of the stream and its errors are the read's, in either form") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            channel<int> quiet(0);
            std::array<std::byte, 8> data;
            CHECK(pair.far.shutdown_write());
            auto end = co_await weft::select(quiet.recv(), pair.near.read_some(data));
            CHECK(end.template get<1>() == 0);
            co_await pair.near.close();
            auto told =
                co_await weft::select(quiet.recv(), weft::as_result(pair.near.read_some(data)));
            CHECK(told.template get<1>().error() == weft::errc::closed);
            std::error_code thrown;
            try {
                (void)co_await weft::select(quiet.recv(), pair.near.read_some(data));
            } catch (std::system_error const& error) {
                thrown = error.code();
            }
            CHECK(thrown == weft::errc::closed);
        });
    }

    TEST_CASE("closing a stream ends the select that waits for it") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            channel<int> quiet(0);
            std::error_code told;
            auto wait = [&]() -> task<> {
                std::array<std::byte, 8> data;
                auto won =
                    co_await weft::select(quiet.recv(), weft::as_result(pair.near.read_some(data)));
                told = won.template get<1>().error();
            };
            auto body = [&](nursery& n) -> task<> {
                n.spawn(wait());
                co_await let_others_run();
                co_await pair.near.close();
            };
            co_await weft::scope(body);
            CHECK(told == weft::errc::closed);
        });
    }

    TEST_CASE("an accept that loses leaves the connection to the next one") {
        auto const fds_before = fd_count();
        on_one_and_two_workers([](auto&) -> task<> {
            weft::tcp_listener listener(weft::address::loopback_v4(0));
            channel<int> numbers(1);
            auto late = co_await weft::select(listener.accept(), weft::sleep_for(1ms));
            CHECK(late.index() == 1);
            weft::unique_fd const foreign = connect_foreign(listener.local_address());
            (void)numbers.try_send(1);
            auto lost = co_await weft::select(weft::biased, numbers.recv(), listener.accept());
            CHECK(lost.index() == 0);
            auto won = co_await weft::select(listener.accept(), numbers.recv());
            CHECK(won.index() == 0);
            CHECK(won.template get<0>().is_open());
            auto told = co_await weft::select(
                numbers.recv(), weft::as_result(listener.accept()), weft::sleep_for(1ms));
            CHECK(told.index() == 2);
        });
        CHECK(fd_count() == fds_before);
    }

    TEST_CASE("of two selects that wait for one connection, the other goes on waiting") {
        on_one_and_two_workers([](auto&) -> task<> {
            weft::tcp_listener listener(weft::address::loopback_v4(0));
            channel<int> enough(0);
            int accepted = 0;
            int ended = 0;
            auto wait = [&]() -> task<> {
                auto won = co_await weft::select(listener.accept(), enough.recv());
                (won.index() == 0 ? accepted : ended) += 1;
                if (won.index() == 0) {
                    enough.close();
                }
            };
            weft::unique_fd foreign;
            auto body = [&](nursery& n) -> task<> {
                n.spawn(wait());
                n.spawn(wait());
                co_await let_others_run();
                foreign = connect_foreign(listener.local_address());
            };
            co_await weft::scope(body);
            CHECK(accepted == 1);
            CHECK(ended == 1);
        });
    }

    TEST_CASE("a task and the handle of a child are branches beside I/O") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            std::array<std::byte, 8> data;
            auto task_won = co_await weft::select(pair.near.read_some(data), slow_answer(1ms));
            CHECK(task_won.template get<1>() == 42);
            auto body = [&](nursery& n) -> task<> {
                auto child = n.spawn(slow_answer(1ms));
                auto won = co_await weft::select(pair.near.read_some(data), child.join());
                CHECK(*won.template get<1>() == 42);
                co_await pair.far.write_all(std::span("abc", 3));
                auto late = n.spawn(slow_answer(48h));
                auto bytes = co_await weft::select(late.join(), pair.near.read_some(data));
                CHECK(bytes.template get<1>() == 3);
                n.request_stop();
            };
            co_await weft::scope(body);
        });
    }

    TEST_CASE("whoever wins and whenever a stop comes, every byte and every value arrives, once") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        constexpr int count = 1'000;
        on_one_and_two_workers([&](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            channel<int> numbers(1);
            counts got;
            auto body = [&](nursery& n) -> task<> {
                n.spawn(write_bytes(pair.far, count, seed));
                n.spawn(send_values(numbers, count, seed + 1));
                co_await receive_all(pair.near, numbers, got, count, seed + 2);
            };
            co_await weft::scope(body);
            CHECK(got.bytes == count);
            CHECK(got.values == count);
            CHECK(got.wrong == 0);
            CHECK(numbers.empty());
        });
    }
}
