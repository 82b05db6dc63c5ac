// Fibers that wait in what the other folders have: channels, locks, selects, and sockets.

#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/weft.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::fiber;
using weft::nursery;
using weft::task;
namespace this_fiber = weft::this_fiber;

namespace {

/// A line of a stream, a byte at a time, as code that knows of no buffers reads it.
std::string read_line(weft::tcp_stream& from) {
    std::string line;
    for (std::byte byte{}; byte != std::byte{'\n'};) {
        if (this_fiber::await(from.read_some(std::span(&byte, 1))) == 0) {
            throw std::runtime_error("the stream ends within a line");
        }
        line += static_cast<char>(byte);
    }
    return line;
}

void write(weft::tcp_stream& to, std::string_view text) {
    this_fiber::await(to.write_all(text));
}

}  // namespace

TEST_SUITE("together/fiber") {
    TEST_CASE("fibers send and receive through channels, in order, until one is closed") {
        on_one_and_two_workers([](weft::runtime&) -> task<> {
            auto [to, from] = weft::make_channel<int>(2);
            auto sends = fiber([out = std::move(to)]() mutable {
                for (int i = 0; i < 1'000; ++i) {
                    this_fiber::await(out.send(i));
                }
                auto const given_up = std::move(out);
            });
            auto receives = fiber([in = std::move(from)]() mutable {
                int next = 0;
                while (auto const value = this_fiber::await(in.recv())) {
                    next += *value == next ? 1 : 1'000'000;
                }
                return next;
            });
            auto const [nothing, received] =
                co_await weft::when_all(std::move(sends), std::move(receives));
            CHECK(received == 1'000);
        });
    }

    TEST_CASE("a mutex is held over awaits, and by one fiber at a time") {
        on_one_and_two_workers([](weft::runtime&) -> task<> {
            weft::mutex gate;
            int inside = 0;
            int most = 0;
            int turns = 0;
            auto body = [&](nursery& n) -> task<> {
                for (int i = 0; i < 8; ++i) {
                    n.spawn(fiber([&] {
                        for (int turn = 0; turn < 50; ++turn) {
                            auto const held = this_fiber::await(gate.scoped_lock());
                            most = std::max(most, ++inside);
                            this_fiber::yield();
                            --inside;
                            ++turns;
                        }
                    }));
                }
                co_return;
            };
            co_await weft::scope(body);
            CHECK(most == 1);
            CHECK(turns == 400);
        });
    }

    TEST_CASE("a select in a fiber takes what comes first") {
        on_one_and_two_workers([](weft::runtime&) -> task<> {
            auto got = co_await fiber([] {
                weft::channel<int> numbers(1);
                auto const late =
                    this_fiber::await(weft::select(numbers.recv(), weft::sleep_for(1ms)));
                this_fiber::await(numbers.send(5));
                auto const early =
                    this_fiber::await(weft::select(numbers.recv(), weft::sleep_for(1h)));
                return std::pair(late.index(), early.index());
            });
            CHECK(got.first == 1);
            CHECK(got.second == 0);
        });
    }

    TEST_CASE("fibers talk over a socket, from the depth of their calls") {
        on_one_and_two_workers([](weft::runtime&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto asks = fiber([&pair] {
                std::string all;
                for (int i = 0; i < 20; ++i) {
                    write(pair.near, "question " + std::to_string(i) + '\n');
                    all += read_line(pair.near);
                }
                return all;
            });
            auto answers = fiber([&pair] {
                for (int i = 0; i < 20; ++i) {
                    write(pair.far, "answer to " + read_line(pair.far));
                }
            });
            auto const [all, nothing] =
                co_await weft::when_all(std::move(asks), std::move(answers));
            CHECK(all.starts_with("answer to question 0\nanswer to question 1\n"));
            CHECK(all.ends_with("answer to question 19\n"));
        });
    }

    TEST_CASE("errors of I/O are thrown where the fiber waits, or told as results") {
        on_one_and_two_workers([](weft::runtime&) -> task<> {
            std::string const seen = co_await fiber([] {
                auto const nobody = [] {
                    weft::tcp_listener const closed(weft::address::loopback_v4(0));
                    return closed.local_address();
                }();
                auto const told =
                    this_fiber::await(weft::tcp_stream::connect(nobody) | weft::as_result);
                std::string text = told.error() == std::errc::connection_refused ? "told" : "?";
                try {
                    (void)this_fiber::await(weft::tcp_stream::connect(nobody));
                } catch (std::system_error const& error) {
                    text += error.code() == std::errc::connection_refused ? " thrown" : " ?";
                }
                return text;
            });
            CHECK(seen == "told thrown");
        });
    }

    TEST_CASE("a stop ends a read of a fiber, closes what is on its stack, and frees its buffer") {
        std::size_t const before = fd_count();
        {
            weft::runtime rt(with_workers(2));
            for (int i = 0; i < 50; ++i) {
                rt.block_on([]() -> task<> {
                    auto waits = fiber([] {
                        auto pair = this_fiber::await(connected_pair());
                        std::array<std::byte, 64> local;
                        (void)this_fiber::await(pair.near.read_some(local));
                    });
                    auto const ended = co_await weft::timeout(1ms, std::move(waits)).as_result();
                    CHECK(ended.error() == std::errc::timed_out);
                });
            }
        }
        CHECK(fd_count() == before);
    }
}
