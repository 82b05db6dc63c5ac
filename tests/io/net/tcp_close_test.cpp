#include <weft/io/net/tcp.hpp>
#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/tests/support/canary_buffer.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/socket_pair.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::address;
using weft::as_result;
using weft::const_buffer;
using weft::errc;
using weft::mutable_buffer;
using weft::nursery;
using weft::stream_options;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;
using weft::unique_fd;

using bytes = std::vector<unsigned char>;

/// How many tasks have come to the operation that they are about to wait in.
using arrivals = std::atomic<int>;

constexpr std::size_t mebibyte = 1024UL * 1024;

task<> wait_for(arrivals& arrived, int count) {
    while (arrived < count) {
        co_await weft::yield();
    }
    co_await let_others_run();
}

task<> read_until_closed(tcp_stream& stream, arrivals& arrived) {
    canary_buffer into(64);
    ++arrived;
    auto const ended = co_await (stream.read_some(into.bytes()) | as_result);
    into.retire();
    CHECK(ended.error() == errc::closed);
    CHECK(into.is_intact());
}

task<> read_vectors_until_closed(tcp_stream& stream, arrivals& arrived) {
    canary_buffer into(64);
    std::array<mutable_buffer, 2> const parts{mutable_buffer(into.bytes().first(10)),
                                              mutable_buffer(into.bytes().last(20))};
    ++arrived;
    auto const ended = co_await (stream.read_some(parts) | as_result);
    into.retire();
    CHECK(ended.error() == errc::closed);
    CHECK(into.is_intact());
}

task<> write_until_closed(tcp_stream& stream, arrivals& arrived) {
    bytes const much(16 * mebibyte);
    ++arrived;
    auto const ended = co_await (stream.write_all(much) | as_result);
    CHECK(ended.error() == errc::closed);
}

task<> accept_until_closed(tcp_listener& listener, arrivals& arrived) {
    ++arrived;
    auto const ended = co_await (listener.accept() | as_result);
    CHECK(ended.error() == errc::closed);
}

/// Waits in the plain form, which names the peer when it throws.
task<> read_until_thrown(tcp_stream& stream, arrivals& arrived, bool& told) {
    std::array<char, 8> into{};
    ++arrived;
    try {
        (void)co_await stream.read_some(into);
    } catch (std::system_error const& failed) {
        told = failed.code() == errc::closed &&
               std::string(failed.what()).find("127.0.0.1") != std::string::npos;
    }
}

task<> accept_until_thrown(tcp_listener& listener, arrivals& arrived, bool& told) {
    ++arrived;
    try {
        (void)co_await listener.accept();
    } catch (std::system_error const& failed) {
        told = failed.code() == errc::closed &&
               std::string(failed.what()).find("127.0.0.1") != std::string::npos;
    }
}

/// Nothing is left of the socket when this is done.
template <class Socket>
task<> close_and_destroy(std::optional<Socket>& socket, arrivals& arrived) {
    co_await wait_for(arrived, 1);
    co_await socket->close();
    socket.reset();
}

template <class Socket>
task<> close_after(Socket& socket, arrivals& arrived, int count) {
    co_await wait_for(arrived, count);
    co_await socket.close();
    CHECK_FALSE(socket.is_open());
    CHECK(socket.native_handle() == -1);
}

stream_options small_buffers() {
    stream_options options;
    options.send_buffer_size = 32 * 1024;
    options.receive_buffer_size = 32 * 1024;
    return options;
}

}  // namespace

TEST_SUITE("io/tcp/close") {
    TEST_CASE("closing a stream that nobody uses ends it for the peer") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            std::size_t const before = fd_count();
            co_await pair.near.close();
            CHECK(fd_count() == before - 1);
            CHECK_FALSE(pair.near.is_open());
            std::array<char, 4> into{};
            std::size_t const end = co_await pair.far.read_some(into);
            CHECK(end == 0);
        });
    }

    TEST_CASE("what was written before the close reaches the peer") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            bytes const sent = patterned_bytes(100'000);
            std::size_t const count = co_await pair.near.write_all(sent);
            CHECK(count == sent.size());
            co_await pair.near.close();
            bytes received(sent.size());
            std::size_t const got = co_await pair.far.read_exact(received);
            CHECK(got == sent.size());
            CHECK(received == sent);
        });
    }

    TEST_CASE("a read in flight ends with closed, and its buffer is not touched again") {
        on_one_and_two_workers([](auto&) -> task<> {
            arrivals arrived = 0;
            stream_pair pair = co_await connected_pair();
            co_await weft::when_all(read_until_closed(pair.near, arrived),
                                    close_after(pair.near, arrived, 1));
        });
    }

    TEST_CASE("a vectored read in flight ends with closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            arrivals arrived = 0;
            stream_pair pair = co_await connected_pair();
            co_await weft::when_all(read_vectors_until_closed(pair.near, arrived),
                                    close_after(pair.near, arrived, 1));
        });
    }

    TEST_CASE("a write that waits for room ends with closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            arrivals arrived = 0;
            stream_pair pair = co_await connected_pair(small_buffers());
            co_await weft::when_all(write_until_closed(pair.near, arrived),
                                    close_after(pair.near, arrived, 1));
        });
    }

    TEST_CASE("a read and a write in flight together both end with closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (int i = 0; i < 20; ++i) {
                arrivals arrived = 0;
                stream_pair pair = co_await connected_pair(small_buffers());
                co_await weft::when_all(read_until_closed(pair.near, arrived),
                                        write_until_closed(pair.near, arrived),
                                        close_after(pair.near, arrived, 2));
            }
        });
    }

    TEST_CASE("a read_exact that has got a part ends with closed, not with the end of the stream") {
        on_one_and_two_workers([](auto&) -> task<> {
            arrivals arrived = 0;
            stream_pair pair = co_await connected_pair();
            std::size_t const sent = co_await pair.far.write_all("part");
            CHECK(sent == 4);
            auto reader = [](tcp_stream& stream, arrivals& here) -> task<> {
                std::array<char, 8> into{};
                ++here;
                auto const ended = co_await (stream.read_exact(into) | as_result);
                CHECK(ended.error() == errc::closed);
            };
            co_await weft::when_all(reader(pair.near, arrived), close_after(pair.near, arrived, 1));
        });
    }

    TEST_CASE("ten accepts in flight all end with closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            arrivals arrived = 0;
            tcp_listener listener(address::loopback_v4(0));
            auto body = [&](nursery& children) -> task<> {
                for (int i = 0; i < 10; ++i) {
                    children.spawn(accept_until_closed(listener, arrived));
                }
                children.spawn(close_after(listener, arrived, 10));
                co_return;
            };
            co_await weft::scope(body);
        });
    }

    TEST_CASE("the plain form throws closed, and names the operation and the address") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener listener(address::loopback_v4(0));
            co_await listener.close();
            std::optional<std::system_error> seen;
            try {
                (void)co_await listener.accept();
            } catch (std::system_error const& error) {
                seen = error;
            }
            CHECK(seen.has_value());
            CHECK(seen->code() == errc::closed);
            std::string const where = listener.local_address().to_string();
            CHECK(std::string(seen->what()).find("accept on " + where) == 0);
        });
    }

    TEST_CASE("every operation after the close reports closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            co_await pair.near.close();
            std::array<char, 4> into{};
            std::array<mutable_buffer, 1> const parts{mutable_buffer(into)};
            std::array<const_buffer, 1> const from{const_buffer("x")};
            auto const some = co_await (pair.near.read_some(into) | as_result);
            auto const exact = co_await (pair.near.read_exact(into) | as_result);
            auto const vectored = co_await (pair.near.read_some(parts) | as_result);
            auto const written = co_await (pair.near.write_all("x") | as_result);
            auto const written_parts = co_await (pair.near.write_all(from) | as_result);
            CHECK(some.error() == errc::closed);
            CHECK(exact.error() == errc::closed);
            CHECK(vectored.error() == errc::closed);
            CHECK(written.error() == errc::closed);
            CHECK(written_parts.error() == errc::closed);
        });
    }

    TEST_CASE("a second close does nothing, also to a descriptor that reuses the number") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            co_await pair.near.close();
            unique_fd const reused(::dup(STDIN_FILENO));
            std::size_t const before = fd_count();
            co_await pair.near.close();
            CHECK(fd_count() == before);

            tcp_listener listener(address::loopback_v4(0));
            co_await listener.close();
            co_await listener.close();
            CHECK(fd_count() == before);
        });
    }

    TEST_CASE("two tasks that close one stream both return when it is closed") {
        weft::runtime rt(with_workers(2));
        tcp_listener listener(address::loopback_v4(0));
        auto closer = [](tcp_stream& stream, arrivals& arrived) -> task<> {
            co_await weft::yield();
            for (++arrived; arrived < 2;) {
                co_await weft::yield();
            }
            co_await stream.close();
            CHECK(stream.native_handle() == -1);
        };
        auto work = [&]() -> task<> {
            tcp_stream const client = co_await tcp_stream::connect(listener.local_address());
            tcp_stream server = co_await listener.accept();
            arrivals arrived = 0;
            auto body = [&](nursery& children) -> task<> {
                children.spawn(closer(server, arrived));
                children.spawn(closer(server, arrived));
                co_return;
            };
            co_await weft::scope(body);
        };
        for (int i = 0; i < 2000; ++i) {
            rt.block_on(work());
        }
    }

    TEST_CASE("closes of a stream in use all wait until its last operation has ended") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (int i = 0; i < 20; ++i) {
                arrivals arrived = 0;
                stream_pair pair = co_await connected_pair(small_buffers());
                co_await weft::when_all(read_until_closed(pair.near, arrived),
                                        write_until_closed(pair.near, arrived),
                                        close_after(pair.near, arrived, 2),
                                        close_after(pair.near, arrived, 2),
                                        close_after(pair.near, arrived, 2));
            }
        });
    }

    TEST_CASE("closes of a listener in use all wait until its last accept has ended") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (int i = 0; i < 20; ++i) {
                arrivals arrived = 0;
                tcp_listener listener(address::loopback_v4(0));
                co_await weft::when_all(accept_until_closed(listener, arrived),
                                        accept_until_closed(listener, arrived),
                                        close_after(listener, arrived, 2),
                                        close_after(listener, arrived, 2));
            }
        });
    }

    TEST_CASE("a close that waits for another one is not interrupted by a stop") {
        on_one_and_two_workers([](auto&) -> task<> {
            arrivals arrived = 0;
            std::atomic<int> closed = 0;
            stream_pair pair = co_await connected_pair();
            auto closer = [&]() -> task<> {
                co_await pair.near.close();
                CHECK(pair.near.native_handle() == -1);
                ++closed;
            };
            auto stopped = [&](nursery& closers) -> task<> {
                closers.spawn(closer());
                closers.spawn(closer());
                closers.request_stop();
                co_return;
            };
            // The reader stands outside: the stop might reach it before the close does.
            auto body = [&](nursery& readers) -> task<> {
                readers.spawn(read_until_closed(pair.near, arrived));
                co_await wait_for(arrived, 1);
                co_await weft::scope(stopped);
            };
            co_await weft::scope(body);
            CHECK(closed == 2);
        });
    }

    TEST_CASE("a close is not interrupted by a stop that came before it") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            std::atomic<bool> went_on = false;
            auto closer = [&](nursery& children) -> task<> {
                children.request_stop();
                co_await pair.near.close();
                went_on = true;
            };
            auto body = [&](nursery& children) -> task<> {
                children.spawn(closer(children));
                co_return;
            };
            std::size_t const before = fd_count();
            co_await weft::scope(body);
            CHECK(went_on);
            CHECK(fd_count() == before - 1);
        });
    }

    TEST_CASE("a close that waits for an operation is not interrupted by a stop") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (int i = 0; i < 20; ++i) {
                arrivals arrived = 0;
                std::atomic<bool> closed = false;
                stream_pair pair = co_await connected_pair(small_buffers());
                auto writer = [&]() -> task<> {
                    bytes const much(4 * mebibyte);
                    ++arrived;
                    auto const ended = co_await (pair.near.write_all(much) | as_result);
                    CHECK((ended.error() == errc::closed ||
                           ended.error() == std::errc::operation_canceled));
                };
                auto closer = [&]() -> task<> {
                    co_await wait_for(arrived, 1);
                    ++arrived;
                    co_await pair.near.close();
                    closed = true;
                };
                auto body = [&](nursery& children) -> task<> {
                    children.spawn(writer());
                    children.spawn(closer());
                    co_await wait_for(arrived, 2);
                    children.request_stop();
                };
                co_await weft::scope(body);
                CHECK(closed);
            }
        });
    }

    TEST_CASE("a reset by linger 0 is what the peer sees of a close") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.near.set_linger(0s));
            co_await pair.near.close();
            std::array<char, 4> into{};
            auto const ended = co_await (pair.far.read_some(into) | as_result);
            CHECK(ended.error() == std::errc::connection_reset);
        });
    }

    TEST_CASE("a close ends only after the read that it ends has been resumed") {
        weft::runtime rt(with_workers(1));
        auto work = []() -> task<> {
            arrivals arrived = 0;
            bool told = false;
            stream_pair pair = co_await connected_pair();
            auto close = [&]() -> task<> {
                co_await wait_for(arrived, 1);
                co_await pair.near.close();
                CHECK(told);
            };
            co_await weft::when_all(read_until_thrown(pair.near, arrived, told), close());
        };
        rt.block_on(work());
    }

    TEST_CASE("a stream may be destroyed when its close has ended, whoever read from it") {
        // One worker: the other task is in its operation, not before it, when the close begins.
        weft::runtime rt(with_workers(1));
        auto work = []() -> task<> {
            for (int i = 0; i < 20; ++i) {
                arrivals arrived = 0;
                bool told = false;
                stream_pair pair = co_await connected_pair();
                std::optional<tcp_stream> near(std::move(pair.near));
                co_await weft::when_all(read_until_thrown(*near, arrived, told),
                                        close_and_destroy(near, arrived));
                CHECK(told);
            }
        };
        rt.block_on(work());
    }

    TEST_CASE("a listener may be destroyed when its close has ended, whoever accepted") {
        // One worker: the other task is in its operation, not before it, when the close begins.
        weft::runtime rt(with_workers(1));
        auto work = []() -> task<> {
            for (int i = 0; i < 20; ++i) {
                arrivals arrived = 0;
                bool told = false;
                std::optional<tcp_listener> listener(address::loopback_v4(0));
                co_await weft::when_all(accept_until_thrown(*listener, arrived, told),
                                        close_and_destroy(listener, arrived));
                CHECK(told);
            }
        };
        rt.block_on(work());
    }

    TEST_CASE("a closed stream touches no socket that reuses its number") {
        weft::runtime rt(with_workers(2));
        std::atomic<bool> done = false;
        // Whoever reads from one of these descriptors gets a byte, and whoever closes one of them
        // makes a write fail.
        std::thread reuser([&] {
            while (!done) {
                socket_pair const pair;
                bool const both_open = ::write(pair.near.value(), "X", 1) == 1 &&
                                       ::write(pair.far.value(), "X", 1) == 1;
                CHECK(both_open);
            }
        });
        auto work = []() -> task<> {
            for (int i = 0; i < 300; ++i) {
                arrivals arrived = 0;
                stream_pair pair = co_await connected_pair();
                co_await weft::when_all(read_until_closed(pair.near, arrived),
                                        close_after(pair.near, arrived, i % 2));
            }
        };
        rt.block_on(work());
        done = true;
        reuser.join();
    }

    TEST_CASE("closing leaves no descriptor and no frame behind") {
        weft::runtime rt(with_workers(2));
        auto work = []() -> task<> {
            arrivals arrived = 0;
            tcp_listener listener(address::loopback_v4(0));
            tcp_stream client = co_await tcp_stream::connect(listener.local_address());
            tcp_stream server = co_await listener.accept();
            co_await weft::when_all(read_until_closed(server, arrived),
                                    accept_until_closed(listener, arrived),
                                    close_after(listener, arrived, 2),
                                    close_after(server, arrived, 2));
            co_await client.close();
        };
        rt.block_on(work());
        std::size_t const fds = fd_count();
        std::size_t const frames = weft::detail::frame_pool::live_frames();
        rt.block_on(work());
        CHECK(fd_count() == fds);
        CHECK(weft::detail::frame_pool::live_frames() == frames);
    }
}
