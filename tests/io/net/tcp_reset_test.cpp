// A connection that its peer resets: every reader gets the bytes that arrived and then the error,
// whoever of the reader and the writer heard of it first, and however often one asks.

#include <weft/io/net/tcp.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/tests/support/io_fixture.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <string>
#include <system_error>
#include <vector>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace {

using namespace weft::test;
using weft::address;
using weft::as_result;
using weft::const_buffer;
using weft::errc;
using weft::mutable_buffer;
using weft::result;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;
using weft::unique_fd;

using bytes = std::vector<unsigned char>;

enum class form { some, exact, vectored, readable };
enum class overlap { none, write, vectored_write };

constexpr form all_forms[] = {form::some, form::exact, form::vectored, form::readable};
constexpr overlap all_overlaps[] = {overlap::none, overlap::write, overlap::vectored_write};

constexpr std::size_t more_than_the_buffers_hold = 2UL * 1024 * 1024;

/// One read in that form; `whole` is how many bytes read_exact asks for.
task<result<std::size_t>> read_once(tcp_stream& from, form how, mutable_buffer into) {
    std::array<mutable_buffer, 2> const parts{into.first(10), into.from(10)};
    switch (how) {
        case form::some: {
            auto const got = co_await (from.read_some(into) | as_result);
            co_return got;
        }
        case form::exact: {
            auto const got = co_await (from.read_exact(into) | as_result);
            co_return got;
        }
        case form::vectored: {
            auto const got = co_await (from.read_some(parts) | as_result);
            co_return got;
        }
        case form::readable:
            break;
    }
    auto const waited = co_await (from.readable() | as_result);
    CHECK(waited.has_value());
    auto const got = co_await (from.read_some(into) | as_result);
    co_return got;
}

task<result<std::size_t>> write_once(tcp_stream& to, overlap how, const_buffer from) {
    std::array<const_buffer, 2> const parts{from.first(from.size() / 2),
                                            from.from(from.size() / 2)};
    if (how == overlap::vectored_write) {
        auto const sent = co_await (to.write_all(parts) | as_result);
        co_return sent;
    }
    auto const sent = co_await (to.write_all(from) | as_result);
    co_return sent;
}

/// Reads to the end: the bytes that arrived, then the error, three times.
task<> read_to_the_reset(tcp_stream& from, form how, std::size_t sent, std::atomic<bool>& begun) {
    bytes into(4096);
    std::size_t total = 0;
    begun = true;
    for (int errors = 0; errors < 3;) {
        auto const got = co_await read_once(from, how, into);
        if (got && *got != 0) {
            total += *got;
            continue;
        }
        CHECK_FALSE(got.has_value());
        CHECK(got.error() == std::errc::connection_reset);
        ++errors;
    }
    CHECK((how == form::exact || total == sent));  // an exact read keeps its part to itself
}

task<> write_to_the_reset(tcp_stream& to, overlap how) {
    bytes const much(more_than_the_buffers_hold);
    for (int i = 0; i < 3 && how != overlap::none; ++i) {
        auto const sent = co_await write_once(to, how, much);
        CHECK_FALSE(sent.has_value());
        CHECK(sent.error() == std::errc::connection_reset);
    }
}

std::size_t unread(int fd) {
    int count = 0;
    CHECK(::ioctl(fd, SIOCINQ, &count) == 0);
    return static_cast<std::size_t>(count);
}

/// A connection, and its other end, which belongs to nobody here.
struct resettable {
    explicit resettable(tcp_stream taken, unique_fd other) noexcept
        : stream(std::move(taken))
        , peer(std::move(other)) {}

    tcp_stream stream;
    unique_fd peer;
};

task<resettable> connection() {
    tcp_listener listener(address::loopback_v4(0));
    unique_fd peer = connect_foreign(listener.local_address());
    tcp_stream stream = co_await listener.accept();
    CHECK(stream.set_send_buffer_size(32 * 1024));
    co_return resettable(std::move(stream), std::move(peer));
}

/// Sends `count` bytes and resets the connection as soon as they are taken and a write has begun.
task<> reset_in_time(resettable& of, std::size_t count, overlap what, std::atomic<bool>& begun) {
    while (!begun || (what != overlap::none && unread(of.peer.value()) == 0)) {
        co_await weft::yield();
    }
    bytes const part(count);
    CHECK(::send(of.peer.value(), part.data(), count, 0) == static_cast<::ssize_t>(count));
    while (unread(of.stream.native_handle()) != 0) {
        co_await weft::yield();
    }
    co_await let_others_run();
    close_with_reset(of.peer);
}

task<> meet_a_reset(form read, overlap write, std::size_t count) {
    resettable ends = co_await connection();
    std::atomic<bool> begun = false;
    co_await weft::when_all(read_to_the_reset(ends.stream, read, count, begun),
                            write_to_the_reset(ends.stream, write),
                            reset_in_time(ends, count, write, begun));
}

/// The response ends with a reset in its middle, or before it has begun, while a request that is
/// too long for the buffers is still being written.
task<> read_a_response(std::size_t sent) {
    resettable ends = co_await connection();
    bytes const part(sent);
    CHECK(::send(ends.peer.value(), part.data(), sent, 0) == static_cast<::ssize_t>(sent));
    close_with_reset(ends.peer);
    auto write = [&]() -> task<> {
        bytes const request(more_than_the_buffers_hold);
        auto const ended = co_await (ends.stream.write_all(request) | as_result);
        CHECK_FALSE(ended.has_value());
    };
    auto read = [&]() -> task<> {
        bytes into(5000);
        std::size_t total = 0;
        for (;;) {
            auto const got = co_await (ends.stream.read_some(into) | as_result);
            if (!got) {
                CHECK(got.error() == std::errc::connection_reset);
                break;
            }
            CHECK(*got != 0);
            total += *got;
            if (*got == 0) {
                break;
            }
        }
        CHECK(total == sent);
    };
    co_await weft::when_all(read(), write());
}

}  // namespace

TEST_SUITE("io/tcp/reset") {
    TEST_CASE("a reset is no end of the stream, for any form of read beside any form of write") {
        for (unsigned const workers : {1U, 2U}) {
            weft::runtime rt(with_workers(workers));
            CAPTURE(workers);
            for (form const read : all_forms) {
                CAPTURE(read);
                for (overlap const write : all_overlaps) {
                    CAPTURE(write);
                    for (int round = 0; round < 20; ++round) {
                        rt.block_on(meet_a_reset(read, write, round % 2 == 0 ? 1000 : 0));
                    }
                }
            }
        }
    }

    TEST_CASE("a response that a reset cuts is not taken as complete") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (int round = 0; round < 300; ++round) {
                co_await read_a_response(round % 2 == 0 ? 1000 : 0);
            }
        });
    }

    TEST_CASE("a request that was ended by shutdown_write does not make a reset an end") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (form const read : all_forms) {
                resettable ends = co_await connection();
                CHECK(ends.stream.shutdown_write());
                std::atomic<bool> begun = false;
                co_await weft::when_all(read_to_the_reset(ends.stream, read, 1000, begun),
                                        reset_in_time(ends, 1000, overlap::none, begun));
            }
        });
    }

    TEST_CASE("a stream that its peer ended is complete, even if the connection broke afterwards") {
        on_one_and_two_workers([](auto&) -> task<> {
            resettable ends = co_await connection();
            CHECK(::send(ends.peer.value(), "all", 3, 0) == 3);
            ends.peer.reset();  // the next bytes that arrive there are answered with a reset
            std::error_code told;
            while (!told) {
                auto const sent = co_await (ends.stream.write_all("x") | as_result);
                told = sent.error();
                co_await weft::yield();
            }
            CHECK(told == std::errc::broken_pipe);
            std::array<char, 8> into{};
            std::size_t const got = co_await ends.stream.read_some(into);
            CHECK(got == 3);
            std::size_t const end = co_await ends.stream.read_some(into);
            CHECK(end == 0);
        });
    }

    TEST_CASE("ends on both sides are no reset, whoever was first") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (bool const peer_first : {false, true}) {
                resettable ends = co_await connection();
                if (peer_first) {
                    ends.peer.reset();
                    co_await ends.stream.readable();
                }
                CHECK(ends.stream.shutdown_write());
                ends.peer.reset();
                std::array<char, 8> into{};
                for (int i = 0; i < 3; ++i) {
                    std::size_t const end = co_await ends.stream.read_some(into);
                    CHECK(end == 0);
                }
                auto const cut = co_await (ends.stream.read_exact(into) | as_result);
                CHECK(cut.error() == errc::unexpected_eof);
            }
        });
    }
}
