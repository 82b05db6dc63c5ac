// The combinators of runtime/ around operations of the kernel: losers give up what they wait for,
// and lose nothing that had arrived.

#include <weft/io/net/tcp.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::runtime;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;

task<char> read_one(tcp_stream& from) {
    char byte = 0;
    co_await from.read_exact(std::span(&byte, 1));
    co_return byte;
}

task<> write_one(tcp_stream& to, char byte) {
    co_await to.write_all(std::string_view(&byte, 1));
}

task<char> nothing_after(std::chrono::microseconds delay) {
    co_await weft::sleep_for(delay);
    co_return '\0';
}

task<tcp_stream> connect_to(weft::address where) {
    tcp_stream connected = co_await tcp_stream::connect(where);
    co_return connected;
}

}  // namespace

TEST_SUITE("io/combinators") {
    TEST_CASE("the stream that has something to read wins, and the other one can be read later") {
        on_one_and_two_workers([](runtime&) -> task<> {
            stream_pair quiet = co_await connected_pair();
            stream_pair loud = co_await connected_pair();
            for (char byte = 'a'; byte <= 'z'; ++byte) {
                co_await write_one(loud.far, byte);
                auto const first =
                    co_await weft::when_any(read_one(quiet.near), read_one(loud.near));
                CHECK(first.index() == 1);
                CHECK(std::get<1>(first) == byte);
            }
            co_await write_one(quiet.far, '!');
            CHECK(co_await read_one(quiet.near) == '!');
        });
    }

    TEST_CASE(
        "a read that loses has taken what it says, even at the last moment, and nothing else") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        on_one_and_two_workers([seed](runtime&) -> task<> {
            random_numbers random(seed);
            stream_pair pair = co_await connected_pair();
            auto write_late = [&pair](char byte, std::chrono::microseconds delay) -> task<> {
                co_await weft::sleep_for(delay);
                co_await write_one(pair.far, byte);
            };
            auto read_noted = [](tcp_stream& from, char& taken) -> task<char> {
                taken = co_await read_one(from);
                co_return taken;
            };
            for (int round = 0; round < 1'000; ++round) {
                auto const byte = static_cast<char>('a' + round % 26);
                auto const delay = std::chrono::microseconds(random.below(200));
                auto const patience = std::chrono::microseconds(random.below(200));
                char taken = '\0';
                auto raced = weft::call([&] {
                    return weft::race(read_noted(pair.near, taken), nothing_after(patience));
                });
                auto const [got, written] =
                    co_await weft::all_settled(std::move(raced), write_late(byte, delay));
                written.value();
                CHECK((got.value() == '\0' || got.value() == byte));
                char const later = taken == '\0' ? co_await read_one(pair.near) : taken;
                CHECK(later == byte);
            }
        });
    }

    TEST_CASE("the first address that can be connected to is taken") {
        auto const before = fd_count();
        on_one_and_two_workers([](runtime&) -> task<> {
            silent_port const closed;
            tcp_listener listener(weft::address::loopback_v4(0));
            std::vector<task<tcp_stream>> tries;
            tries.push_back(connect_to(closed.where()));
            tries.push_back(connect_to(listener.local_address()));
            tries.push_back(connect_to(closed.where()));
            tcp_stream const connected = co_await weft::first_success(std::move(tries));
            tcp_stream const accepted = co_await listener.accept();
            CHECK(accepted.local_address().value() == connected.peer_address());
            std::vector<task<tcp_stream>> hopeless;
            hopeless.push_back(connect_to(closed.where()));
            auto const none = co_await (weft::first_success(std::move(hopeless)) | weft::as_result);
            CHECK(none.error() == std::errc::connection_refused);
        });
        CHECK(fd_count() == before);
    }

    TEST_CASE("a loop that looks at the results of its connects only ends with its runtime") {
        std::atomic<int> turns = 0;
        auto connects = []() -> task<> {
            silent_port const closed;
            (void)co_await tcp_stream::connect(closed.where());
        };
        auto loop = [&]() -> task<> {
            for (;;) {
                ++turns;
                turns.notify_all();
                auto const s = co_await (weft::timeout(100ms, connects()) | weft::as_result);
                if (s) {
                    co_return;
                }
            }
        };
        {
            runtime rt(with_workers(2));
            rt.spawn(loop());
            turns.wait(0);
        }
        CHECK(turns > 0);
    }

    TEST_CASE("an accept that loses leaves the connection to the next one") {
        on_one_and_two_workers([](runtime&) -> task<> {
            tcp_listener listener(weft::address::loopback_v4(0));
            auto accept_one = [](tcp_listener& from) -> task<char> {
                tcp_stream const taken = co_await from.accept();
                co_return 'x';
            };
            char const first = co_await weft::race(accept_one(listener), nothing_after(0us));
            CHECK(first == '\0');
            tcp_stream const near = co_await tcp_stream::connect(listener.local_address());
            char const second = co_await weft::race(accept_one(listener), nothing_after(24h));
            CHECK(second == 'x');
        });
    }

    TEST_CASE("each outcome of several connects is told, the refused ones too") {
        on_one_and_two_workers([](runtime&) -> task<> {
            silent_port const closed;
            tcp_listener listener(weft::address::loopback_v4(0));
            auto const [good, bad] = co_await weft::all_settled(
                connect_to(listener.local_address()), connect_to(closed.where()));
            CHECK(good.has_value());
            CHECK(bad.has_error());
        });
    }

    TEST_CASE("reads complete in the order in which their peers write") {
        on_one_and_two_workers([](runtime&) -> task<> {
            std::vector<stream_pair> pairs;
            for (int i = 0; i < 5; ++i) {
                pairs.push_back(co_await connected_pair());
            }
            std::vector<task<char>> reads;
            for (stream_pair& each : pairs) {
                reads.push_back(read_one(each.near));
            }
            auto body = [&pairs](weft::completions<char>& results) -> task<> {
                for (std::size_t const i : {3UL, 0UL, 4UL, 2UL, 1UL}) {
                    co_await write_one(pairs[i].far, static_cast<char>('0' + i));
                    auto const each = co_await results.next();
                    CHECK(each->index == i);
                    CHECK(each->value() == static_cast<char>('0' + i));
                }
            };
            auto all = weft::as_completed(std::move(reads), body);
            co_await all;
        });
    }

    TEST_CASE("a map over many connections talks to all of them, a few at a time") {
        on_one_and_two_workers([](runtime&) -> task<> {
            std::vector<stream_pair> pairs;
            for (int i = 0; i < 40; ++i) {
                pairs.push_back(co_await connected_pair());
            }
            auto talk = [](stream_pair& each) -> task<char> {
                co_await write_one(each.far, 'y');
                char const heard = co_await read_one(each.near);
                co_return heard;
            };
            auto const heard = co_await weft::map(pairs, talk, {.limit = 6});
            CHECK(std::string(heard.begin(), heard.end()) == std::string(40, 'y'));
        });
    }
}
