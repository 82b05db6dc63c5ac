#include <weft/io/net/tcp.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <system_error>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::task;

namespace {

task<> wait_for_bytes(weft::tcp_stream& stream) {
    co_await stream.readable();
}

}  // namespace

TEST_SUITE("io/tcp_readable") {
    TEST_CASE("readable ends when bytes have come, and takes none of them") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto send = [](weft::tcp_stream& from) -> task<> {
                co_await let_others_run();
                co_await from.write_all(std::span("abc", 3));
            };
            for (int i = 0; i < 10; ++i) {
                co_await weft::when_all(wait_for_bytes(pair.near), send(pair.far));
                co_await pair.near.readable();
                std::array<std::byte, 8> data;
                CHECK(co_await pair.near.read_some(data) == 3);
                CHECK(data[2] == std::byte{'c'});
            }
        });
    }

    TEST_CASE("the end of the stream makes it readable") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.far.shutdown_write());
            co_await pair.near.readable();
            std::array<std::byte, 8> data;
            CHECK(co_await pair.near.read_some(data) == 0);
        });
    }

    TEST_CASE("a reset makes it readable, and the read tells of it") {
        on_one_and_two_workers([](auto&) -> task<> {
            weft::tcp_listener listener(weft::address::loopback_v4(0));
            weft::unique_fd foreign = connect_foreign(listener.local_address());
            weft::tcp_stream stream = co_await listener.accept();
            close_with_reset(foreign);
            co_await stream.readable();
            std::array<std::byte, 8> data;
            auto const ended = co_await (stream.read_some(data) | weft::as_result);
            CHECK(ended.error() == std::errc::connection_reset);
        });
    }

    TEST_CASE("a wait that is stopped leaves the bytes to the next reader") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto const stopped =
                co_await weft::as_result(weft::timeout(1ms, wait_for_bytes(pair.near)));
            CHECK(stopped.error() == std::errc::timed_out);
            co_await pair.far.write_all(std::span("abc", 3));
            auto const waited = co_await (pair.near.readable() | weft::as_result);
            CHECK(waited.has_value());
            std::array<std::byte, 8> data;
            CHECK(co_await pair.near.read_some(data) == 3);
        });
    }

    TEST_CASE("a stop that races the bytes loses none of them") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        on_one_and_two_workers([&](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto wait = [](weft::tcp_stream& stream, weft::clock::duration limit) -> task<int> {
                auto const ended =
                    co_await (weft::timeout(limit, wait_for_bytes(stream)) | weft::as_result);
                co_return ended || ended.error() == std::errc::timed_out ? 1 : 0;
            };
            auto send = [](weft::tcp_stream& from, weft::clock::duration delay) -> task<> {
                co_await weft::sleep_for(delay);
                co_await from.write_all(std::span("a", 1));
            };
            for (int round = 0; round < 1'000; ++round) {
                auto const limit = std::chrono::microseconds(random.below(60));
                auto const delay = std::chrono::microseconds(random.below(60));
                auto const [good, sent] =
                    co_await weft::when_all(wait(pair.near, limit), send(pair.far, delay));
                std::array<std::byte, 8> data;
                CHECK(good == 1);
                CHECK(co_await pair.near.read_some(data) == 1);
            }
        });
    }

    TEST_CASE("closing ends the wait with closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto wait = [](weft::tcp_stream& stream) -> task<> {
                auto const ended = co_await (stream.readable() | weft::as_result);
                CHECK(ended.error() == weft::errc::closed);
            };
            auto close = [](weft::tcp_stream& stream) -> task<> {
                co_await let_others_run();
                co_await stream.close();
            };
            co_await weft::when_all(wait(pair.near), close(pair.near));
            auto const later = co_await (pair.near.readable() | weft::as_result);
            CHECK(later.error() == weft::errc::closed);
        });
    }

    TEST_CASE("a listener is readable when there is a connection, which stays to be accepted") {
        on_one_and_two_workers([](auto&) -> task<> {
            weft::tcp_listener listener(weft::address::loopback_v4(0));
            weft::unique_fd const foreign = connect_foreign(listener.local_address());
            co_await listener.readable();
            co_await listener.readable();
            weft::tcp_stream const stream = co_await listener.accept();
            CHECK(stream.is_open());
        });
    }
}
