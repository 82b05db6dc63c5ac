#include <weft/io/net/tcp.hpp>

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/tests/support/canary_buffer.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/skip.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::address;
using weft::as_result;
using weft::const_buffer;
using weft::errc;
using weft::mutable_buffer;
using weft::stream_options;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;

using bytes = std::vector<unsigned char>;

constexpr std::size_t mebibyte = 1024UL * 1024;

stream_options small_buffers() {
    stream_options options;
    options.send_buffer_size = 32 * 1024;
    options.receive_buffer_size = 32 * 1024;
    return options;
}

/// Sends back what arrives until the peer has said everything.
task<> echo(tcp_stream& stream) {
    bytes block(mebibyte / 16);
    for (;;) {
        std::size_t const count = co_await stream.read_some(block);
        if (count == 0) {
            break;
        }
        std::size_t const sent = co_await stream.write_all(mutable_buffer(block).first(count));
        CHECK(sent == count);
    }
    CHECK(stream.shutdown_write());
}

task<> write_everything(tcp_stream& stream, bytes const& data) {
    std::size_t const count = co_await stream.write_all(data);
    CHECK(count == data.size());
    CHECK(stream.shutdown_write());
}

task<> read_everything(tcp_stream& stream, bytes& into) {
    std::size_t const count = co_await stream.read_exact(into);
    CHECK(count == into.size());
    unsigned char beyond = 0;
    std::size_t const end = co_await stream.read_some(mutable_buffer(&beyond, 1));
    CHECK(end == 0);
}

/// Sends `size` bytes to an echoing peer and compares what comes back.
task<> exchange(std::size_t size, stream_options options, address at) {
    stream_pair pair = co_await connected_pair(options, at);
    bytes const sent = patterned_bytes(size);
    bytes received(size);
    co_await weft::when_all(
        echo(pair.far), write_everything(pair.near, sent), read_everything(pair.near, received));
    CHECK(received == sent);
}

/// Cuts `data` into `count` buffers of uneven sizes, every fourth of them empty.
template <class Buffer>
std::vector<Buffer> cut(Buffer data, std::size_t count) {
    std::vector<Buffer> parts;
    std::size_t const share = count == 0 ? 0 : data.size() / count;
    for (std::size_t i = 0; i < count; ++i) {
        std::size_t const size = i + 1 == count ? data.size() : i % 4 == 3 ? 0 : share;
        parts.push_back(data.first(size));
        data = data.from(size);
    }
    return parts;
}

task<> write_vectors(tcp_stream& stream, bytes const& data, std::size_t count, bool plain) {
    std::vector<const_buffer> const parts = cut(const_buffer(data), count);
    std::size_t written = 0;
    if (plain) {
        written = co_await stream.write_all(parts);
    } else {
        auto const ended = co_await (stream.write_all(parts) | as_result);
        CHECK(ended.has_value());
        written = ended.value_or(std::size_t{0});
    }
    CHECK(written == data.size());
    CHECK(stream.shutdown_write());
}

/// Fills the vectors, as often as it takes, until the end of the stream.
task<> read_vectors(tcp_stream& stream, bytes& into, std::size_t count, bool plain) {
    std::size_t total = 0;
    for (;;) {
        std::vector<mutable_buffer> const parts = cut(mutable_buffer(into).from(total), count);
        std::size_t got = 0;
        if (plain) {
            got = co_await stream.read_some(parts);
        } else {
            auto const ended = co_await (stream.read_some(parts) | as_result);
            CHECK(ended.has_value());
            got = ended.value_or(std::size_t{0});
        }
        if (got == 0) {
            break;
        }
        total += got;
    }
    CHECK(total == into.size());
}

task<> exchange_vectors(std::size_t size, std::size_t count, bool plain) {
    stream_pair pair = co_await connected_pair(small_buffers());
    bytes const sent = patterned_bytes(size);
    bytes received(size);
    co_await weft::when_all(write_vectors(pair.near, sent, count, plain),
                            read_vectors(pair.far, received, count, plain));
    CHECK(received == sent);
}

/// The error with which writing to a peer that is gone ends. The first writes may still succeed.
task<std::error_code> write_until_error(tcp_stream& stream) {
    bytes const block(4096);
    for (int i = 0; i < 1000; ++i) {
        auto const ended = co_await (stream.write_all(block) | as_result);
        if (!ended) {
            co_return ended.error();
        }
    }
    co_return std::error_code();
}

bool says_that_the_peer_is_gone(std::error_code error) {
    return error == std::errc::broken_pipe || error == std::errc::connection_reset;
}

/// What a task that must fail throws.
task<std::system_error> error_of(task<std::size_t> work) {
    try {
        (void)co_await std::move(work);
    } catch (std::system_error const& error) {
        co_return error;
    }
    FAIL_CHECK("nothing was thrown");
    co_return std::system_error(std::error_code());
}

task<std::size_t> read_plainly(tcp_stream& stream) {
    std::array<char, 8> block{};
    std::size_t const count = co_await stream.read_exact(block);
    co_return count;
}

task<std::size_t> write_plainly(tcp_stream& stream) {
    bytes const block(4096);
    for (int i = 0; i < 1000; ++i) {
        std::size_t const count = co_await stream.write_all(block);
        CHECK(count == block.size());
    }
    co_return std::size_t{0};
}

task<std::size_t> connect_plainly(address peer) {
    tcp_stream const stream = co_await tcp_stream::connect(peer);
    co_return stream.is_open() ? 1U : 0U;
}

bool contains(std::string const& text, std::string const& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("io/tcp/transfer") {
    TEST_CASE("what is sent comes back byte for byte, whatever its size") {
        on_one_and_two_workers([](auto&) -> task<> {
            for (std::size_t const size :
                 {std::size_t{0}, std::size_t{1}, mebibyte / 256, mebibyte}) {
                co_await exchange(size, stream_options(), address::loopback_v4(0));
            }
        });
    }

    TEST_CASE("socket buffers far smaller than the data lose and reorder nothing") {
        on_one_and_two_workers([](auto&) -> task<> {
            co_await exchange(5 * mebibyte, small_buffers(), address::loopback_v4(0));
        });
    }

    TEST_CASE("IPv6 carries the same bytes") {
        if (!has_ipv6()) {
            WEFT_SKIP("this machine has no IPv6 loopback");
        }
        on_one_and_two_workers([](auto&) -> task<> {
            for (std::size_t const size : {1U, 300'000U}) {
                co_await exchange(size, stream_options(), address::loopback_v6(0));
            }
        });
    }

    TEST_CASE("both ends know their own and the other's address") {
        on_one_and_two_workers([](auto&) -> task<> {
            std::vector<address> families{address::loopback_v4(0)};
            if (has_ipv6()) {
                families.push_back(address::loopback_v6(0));
            }
            for (address const& each : families) {
                stream_pair const pair = co_await connected_pair(stream_options(), each);
                CHECK(pair.near.peer_address() == pair.far.local_address().value());
                CHECK(pair.far.peer_address() == pair.near.local_address().value());
                CHECK(pair.near.peer_address().port() != 0);
                CHECK(pair.near.peer_address().family() == each.family());
            }
        });
    }

    TEST_CASE("read_some gives what is there and does not wait for a full buffer") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            canary_buffer into(100);
            std::size_t const sent = co_await pair.near.write_all("abc");
            CHECK(sent == 3);
            std::size_t const got = co_await pair.far.read_some(into.bytes());
            CHECK(got == 3);
            CHECK(into.bytes()[2] == std::byte{'c'});
            CHECK(into.is_intact());
        });
    }

    TEST_CASE("read_exact waits for all of its bytes and takes none beyond them") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            canary_buffer into(6);
            auto reader = [](tcp_stream& from, canary_buffer& to) -> task<> {
                auto const got = co_await (from.read_exact(to.bytes()) | as_result);
                CHECK(got.value_or(std::size_t{0}) == 6);
            };
            auto writer = [](tcp_stream& to) -> task<> {
                for (char const* const part : {"ab", "cd", "efgh"}) {
                    co_await let_others_run();
                    std::size_t const length = std::string(part).size();
                    std::size_t const sent = co_await to.write_all(const_buffer(part, length));
                    CHECK(sent == length);
                }
            };
            co_await weft::when_all(reader(pair.far, into), writer(pair.near));
            CHECK(into.bytes()[5] == std::byte{'f'});
            CHECK(into.is_intact());
            std::array<char, 8> rest{};
            std::size_t const left = co_await pair.far.read_some(rest);
            CHECK(left == 2);
            CHECK(rest[1] == 'h');
        });
    }

    TEST_CASE("transfers of nothing are complete at once and touch nothing") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            mutable_buffer const nothing(nullptr, 0);
            std::array<mutable_buffer, 3> const nowhere{nothing, nothing, nothing};
            std::array<const_buffer, 2> const from{const_buffer(nullptr, 0),
                                                   const_buffer(nullptr, 0)};
            std::size_t const some = co_await pair.near.read_some(nothing);
            std::size_t const exact = co_await pair.near.read_exact(nothing);
            std::size_t const vectored = co_await pair.near.read_some(nowhere);
            std::size_t const written = co_await pair.near.write_all(from);
            auto const all = co_await (pair.near.write_all(const_buffer(nullptr, 0)) | as_result);
            CHECK(some + exact + vectored + written == 0);
            CHECK(all.has_value());
        });
    }

    TEST_CASE("several buffers carry the same bytes as one, however many there are") {
        on_one_and_two_workers([](auto&) -> task<> {
            co_await exchange_vectors(0, 0, true);
            // A quarter of the buffers is empty: the last number is beyond what one call takes.
            for (std::size_t const count : {1U, 8U, 9U, 2000U}) {
                co_await exchange_vectors(200'000, count, true);
                co_await exchange_vectors(200'000, count, false);
            }
        });
    }

    TEST_CASE("a reader and a writer share one stream, each on a worker of its own") {
        weft::runtime rt(with_workers(2));
        auto work = []() -> task<> {
            stream_pair pair = co_await connected_pair(small_buffers());
            bytes const there = patterned_bytes(1'000'000);
            bytes const back = patterned_bytes(900'000);
            bytes got_there(there.size());
            bytes got_back(back.size());
            co_await weft::when_all(write_everything(pair.near, there),
                                    write_everything(pair.far, back),
                                    read_everything(pair.far, got_there),
                                    read_everything(pair.near, got_back));
            CHECK(got_there == there);
            CHECK(got_back == back);
        };
        rt.block_on(work());
    }

    TEST_CASE("a stream that is moved while a read waits in it delivers the bytes") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            std::atomic<bool> reads = false;
            auto reader = [&](tcp_stream& from) -> task<> {
                std::array<char, 4> into{};
                auto reading = from.read_exact(into);
                reads = true;
                std::size_t const got = co_await reading;
                CHECK(got == 4);
                CHECK(into[3] == '!');
            };
            auto mover = [&](stream_pair& both) -> task<> {
                while (!reads) {
                    co_await weft::yield();
                }
                tcp_stream const elsewhere = std::move(both.far);
                CHECK_FALSE(both.far.is_open());
                std::size_t const sent = co_await both.near.write_all("moo!");
                CHECK(sent == 4);
                while (reads) {
                    co_await weft::yield();
                }
            };
            auto read_to_the_end = [&]() -> task<> {
                co_await reader(pair.far);
                reads = false;
            };
            co_await weft::when_all(read_to_the_end(), mover(pair));
        });
    }
}

TEST_SUITE("io/tcp/end") {
    TEST_CASE("after the end of the stream every read gives nothing") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            std::size_t const sent = co_await pair.near.write_all("last words");
            CHECK(sent == 10);
            pair.near = tcp_stream();
            std::array<char, 64> into{};
            std::size_t const got = co_await pair.far.read_some(into);
            CHECK(got == 10);
            for (int i = 0; i < 3; ++i) {
                std::size_t const nothing = co_await pair.far.read_some(into);
                CHECK(nothing == 0);
            }
            std::array<mutable_buffer, 2> const parts{mutable_buffer(into), mutable_buffer(into)};
            std::size_t const vectored = co_await pair.far.read_some(parts);
            CHECK(vectored == 0);
        });
    }

    TEST_CASE("the end of the stream wakes a read that waits") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto reader = [](tcp_stream& from) -> task<> {
                std::array<char, 4> into{};
                std::size_t const got = co_await from.read_some(into);
                CHECK(got == 0);
            };
            auto closer = [](tcp_stream& end) -> task<> {
                co_await let_others_run();
                end = tcp_stream();
            };
            co_await weft::when_all(reader(pair.far), closer(pair.near));
        });
    }

    TEST_CASE("read_exact that finds the end too early reports unexpected_eof") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            std::size_t const sent = co_await pair.near.write_all("abc");
            CHECK(sent == 3);
            CHECK(pair.near.shutdown_write());
            canary_buffer into(8);
            auto const partly = co_await (pair.far.read_exact(into.bytes()) | as_result);
            CHECK(partly.error() == errc::unexpected_eof);
            CHECK(into.is_intact());
            auto const nothing = co_await (pair.far.read_exact(into.bytes()) | as_result);
            CHECK(nothing.error() == errc::unexpected_eof);
            std::system_error const thrown = co_await error_of(read_plainly(pair.far));
            CHECK(thrown.code() == errc::unexpected_eof);
            CHECK(contains(thrown.what(), "read from " + pair.far.peer_address().to_string()));
        });
    }

    TEST_CASE("a peer that has ended its writing can still be written to") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.near.shutdown_write());
            std::array<char, 16> into{};
            std::size_t const end = co_await pair.far.read_some(into);
            CHECK(end == 0);
            std::size_t const sent = co_await pair.far.write_all("still here");
            CHECK(sent == 10);
            std::size_t const got = co_await pair.near.read_exact(mutable_buffer(into).first(10));
            CHECK(got == 10);
            CHECK(pair.far.shutdown_write());
            std::size_t const other_end = co_await pair.near.read_some(into);
            CHECK(other_end == 0);
        });
    }

    TEST_CASE("writing after shutdown_write is a broken pipe, and reading goes on") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.near.shutdown_write());
            auto const refused = co_await (pair.near.write_all("x") | as_result);
            CHECK(refused.error() == std::errc::broken_pipe);
            std::size_t const sent = co_await pair.far.write_all("y");
            CHECK(sent == 1);
            std::array<char, 4> into{};
            std::size_t const got = co_await pair.near.read_some(into);
            CHECK(got == 1);
        });
    }

    TEST_CASE("a reset ends a read that waits with connection_reset") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto reader = [](tcp_stream& from) -> task<> {
                std::array<char, 4> into{};
                auto const got = co_await (from.read_some(into) | as_result);
                CHECK(got.error() == std::errc::connection_reset);
            };
            auto resetter = [](tcp_stream& end) -> task<> {
                co_await let_others_run();
                CHECK(end.set_linger(0s));
                end = tcp_stream();
            };
            co_await weft::when_all(reader(pair.far), resetter(pair.near));
        });
    }

    TEST_CASE("a read after a reset names the peer and the reason") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.near.set_linger(0s));
            pair.near = tcp_stream();
            std::system_error const thrown = co_await error_of(read_plainly(pair.far));
            CHECK(thrown.code() == std::errc::connection_reset);
            CHECK(contains(thrown.what(), "read from " + pair.far.peer_address().to_string()));
        });
    }

    TEST_CASE("a reset is no end of the stream, whoever met it first and however often one asks") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair read_first = co_await connected_pair();
            CHECK(read_first.near.set_linger(0s));
            read_first.near = tcp_stream();
            std::array<char, 4> into{};
            for (int i = 0; i < 3; ++i) {
                auto const got = co_await (read_first.far.read_some(into) | as_result);
                CHECK(got.error() == std::errc::connection_reset);
            }
            auto const exactly = co_await (read_first.far.read_exact(into) | as_result);
            CHECK(exactly.error() == std::errc::connection_reset);

            stream_pair written_first = co_await connected_pair();
            CHECK(written_first.near.set_linger(0s));
            written_first.near = tcp_stream();
            auto const sent = co_await (written_first.far.write_all("x") | as_result);
            CHECK(sent.error() == std::errc::connection_reset);
            auto const got = co_await (written_first.far.read_some(into) | as_result);
            CHECK(got.error() == std::errc::connection_reset);
        });
    }

    TEST_CASE("writing to a peer that is gone fails and raises no signal") {
        std::signal(SIGPIPE, SIG_DFL);
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            pair.near = tcp_stream();
            std::error_code const code = co_await write_until_error(pair.far);
            CHECK(says_that_the_peer_is_gone(code));
            std::array<const_buffer, 2> const parts{const_buffer("a"), const_buffer("b")};
            auto const vectored = co_await (pair.far.write_all(parts) | as_result);
            CHECK(says_that_the_peer_is_gone(vectored.error()));

            stream_pair other = co_await connected_pair();
            other.near = tcp_stream();
            std::system_error const thrown = co_await error_of(write_plainly(other.far));
            CHECK(says_that_the_peer_is_gone(thrown.code()));
            CHECK(contains(thrown.what(), "write to " + other.far.peer_address().to_string()));
        });
    }

    TEST_CASE("a peer that goes away ends a write that waits for room") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair(small_buffers());
            auto writer = [](tcp_stream& to) -> task<> {
                bytes const much(8 * mebibyte);
                auto const ended = co_await (to.write_all(much) | as_result);
                CHECK(says_that_the_peer_is_gone(ended.error()));
            };
            auto leaver = [](tcp_stream& end) -> task<> {
                co_await let_others_run();
                end = tcp_stream();
            };
            co_await weft::when_all(writer(pair.far), leaver(pair.near));
        });
    }
}

TEST_SUITE("io/tcp/connect") {
    TEST_CASE("a refused connection says so, and to whom") {
        silent_port const nobody;
        on_one_and_two_workers([&](auto&) -> task<> {
            auto const ended = co_await (tcp_stream::connect(nobody.where()) | as_result);
            CHECK(ended.error() == std::errc::connection_refused);
            std::system_error const thrown = co_await error_of(connect_plainly(nobody.where()));
            CHECK(thrown.code() == std::errc::connection_refused);
            CHECK(contains(thrown.what(), "connect to " + nobody.where().to_string() + ": "));
        });
    }

    TEST_CASE("a link-local address without its interface cannot be connected to") {
        if (!has_ipv6()) {
            WEFT_SKIP("this machine has no IPv6 loopback");
        }
        on_one_and_two_workers([](auto&) -> task<> {
            address const nowhere = address::parse("[fe80::1]:80").value();
            auto const ended = co_await (tcp_stream::connect(nowhere) | as_result);
            CHECK(ended.error() == std::errc::invalid_argument);
            std::system_error const thrown = co_await error_of(connect_plainly(nowhere));
            CHECK(thrown.code() == std::errc::invalid_argument);
            CHECK(contains(thrown.what(), "connect to [fe80::1]:80"));
        });
    }

    TEST_CASE("failed connections leave no descriptor and no frame behind") {
        silent_port const nobody;
        weft::runtime rt(with_workers(1));
        auto work = [&]() -> task<> {
            for (int i = 0; i < 20; ++i) {
                auto const ended = co_await (tcp_stream::connect(nobody.where()) | as_result);
                CHECK_FALSE(ended.has_value());
            }
        };
        rt.block_on(work());
        std::size_t const fds = fd_count();
        std::size_t const frames = weft::detail::frame_pool::live_frames();
        rt.block_on(work());
        CHECK(fd_count() == fds);
        CHECK(weft::detail::frame_pool::live_frames() == frames);
    }

    TEST_CASE("operations that are never awaited leave nothing behind") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener listener(address::loopback_v4(0));
            tcp_stream stream = co_await tcp_stream::connect(listener.local_address());
            std::size_t const fds = fd_count();
            std::size_t const frames = weft::detail::frame_pool::live_frames();
            {
                std::array<char, 4> into{};
                auto const connecting = tcp_stream::connect(listener.local_address());
                auto const accepting = listener.accept();
                auto const reading = stream.read_some(into);
                auto const closing = stream.close();
                CHECK(fd_count() == fds + 1);
            }
            CHECK(fd_count() == fds);
            CHECK(weft::detail::frame_pool::live_frames() == frames);
        });
    }
}
