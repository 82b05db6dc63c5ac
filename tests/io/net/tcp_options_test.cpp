#include <weft/io/net/tcp.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/skip.hpp>
#include <weft/tests/support/socket_pair.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::address;
using weft::keepalive_options;
using weft::listen_options;
using weft::stream_options;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;
using weft::unique_fd;

/// What the kernel says of a descriptor's option.
int kernel_option(int fd, int level, int name) {
    int value = -1;
    ::socklen_t length = sizeof value;
    CHECK(::getsockopt(fd, level, name, &value, &length) == 0);
    return value;
}

int accepts_connections(int fd) {
    return kernel_option(fd, SOL_SOCKET, SO_ACCEPTCONN);
}

/// What listening on `local` throws.
std::system_error listen_error(address const& local,
                               listen_options const& options = listen_options()) {
    try {
        tcp_listener const listener(local, options);
    } catch (std::system_error const& error) {
        return error;
    }
    FAIL_CHECK("nothing was thrown");
    return std::system_error(std::error_code());
}

bool contains(std::string const& text, std::string const& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_SUITE("io/tcp/listen") {
    TEST_CASE("port 0 becomes the port that the kernel chose") {
        tcp_listener const first(address::loopback_v4(0));
        tcp_listener const second(address::loopback_v4(0));
        CHECK(first.local_address().port() != 0);
        CHECK(first.local_address() != second.local_address());
        CHECK(first.local_address().is_loopback());
        CHECK(accepts_connections(first.native_handle()) == 1);
        CHECK(first.is_open());
    }

    TEST_CASE("a port in use is an error that names the operation and the address") {
        tcp_listener const taken(address::loopback_v4(0));
        address const where = taken.local_address();
        auto const refused = tcp_listener::listen(where);
        CHECK(refused.error() == std::errc::address_in_use);
        std::system_error const thrown = listen_error(where);
        CHECK(thrown.code() == refused.error());
        CHECK(contains(thrown.what(), "listen on " + where.to_string() + ": "));
    }

    TEST_CASE("an address of another machine cannot be listened on") {
        address const elsewhere = address::parse("203.0.113.1:4000").value();
        auto const refused = tcp_listener::listen(elsewhere);
        CHECK(refused.error() == std::errc::address_not_available);
        std::system_error const thrown = listen_error(elsewhere);
        CHECK(thrown.code() == refused.error());
        CHECK(contains(thrown.what(), "listen on 203.0.113.1:4000: "));
    }

    TEST_CASE("a failed listener leaves no descriptor behind") {
        tcp_listener const taken(address::loopback_v4(0));
        std::size_t const before = fd_count();
        for (int i = 0; i < 10; ++i) {
            CHECK_FALSE(tcp_listener::listen(taken.local_address()).has_value());
        }
        CHECK(fd_count() == before);
    }

    TEST_CASE("a port can be shared only when every listener on it asks for that") {
        listen_options shared;
        shared.reuse_port = true;
        tcp_listener const first(address::loopback_v4(0), shared);
        tcp_listener const second(first.local_address(), shared);
        CHECK(first.local_address() == second.local_address());
        CHECK(tcp_listener::listen(first.local_address()).error() == std::errc::address_in_use);
    }

    TEST_CASE("reuse_address reaches the kernel, either way") {
        listen_options options;
        for (bool const reuse : {false, true}) {
            options.reuse_address = reuse;
            tcp_listener const listener(address::loopback_v4(0), options);
            int const seen = kernel_option(listener.native_handle(), SOL_SOCKET, SO_REUSEADDR);
            CHECK((seen != 0) == reuse);
        }
    }

    TEST_CASE("a v6 listener is told whether to take IPv4 connections, either way") {
        if (!has_ipv6()) {
            WEFT_SKIP("this machine has no IPv6 loopback");
        }
        listen_options options;
        for (bool const only : {false, true}) {
            options.v6_only = only;
            tcp_listener const listener(address::any_v6(0), options);
            int const seen = kernel_option(listener.native_handle(), IPPROTO_IPV6, IPV6_V6ONLY);
            CHECK((seen != 0) == only);
        }
    }

    TEST_CASE("a buffer size that the kernel rejects is an error of listening") {
        listen_options options;
        options.accepted.keepalive =
            keepalive_options{.idle = 0s, .interval = 1s, .probe_count = 1};
        auto const refused = tcp_listener::listen(address::loopback_v4(0), options);
        CHECK(refused.error() == std::errc::invalid_argument);
        CHECK(listen_error(address::loopback_v4(0), options).code() == refused.error());
    }

    TEST_CASE("a listener stays usable after it was moved") {
        tcp_listener first(address::loopback_v4(0));
        address const where = first.local_address();
        tcp_listener second = std::move(first);
        CHECK(second.is_open());
        CHECK(second.local_address() == where);
        first = std::move(second);
        CHECK(first.local_address() == where);
    }
}

TEST_SUITE("io/tcp/options") {
    TEST_CASE("small writes are not held back unless that is asked for") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.near.no_delay().value());
            CHECK(pair.far.no_delay().value());
            CHECK(pair.far.set_no_delay(false));
            CHECK_FALSE(pair.far.no_delay().value());
            CHECK(kernel_option(pair.far.native_handle(), IPPROTO_TCP, TCP_NODELAY) == 0);

            stream_options delaying;
            delaying.no_delay = false;
            stream_pair const other = co_await connected_pair(delaying);
            CHECK_FALSE(other.near.no_delay().value());
            CHECK_FALSE(other.far.no_delay().value());
        });
    }

    TEST_CASE("keepalive is off until it is set, with all of its numbers") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK_FALSE(pair.near.keepalive().value());
            CHECK(pair.near.set_keepalive(
                keepalive_options{.idle = 31s, .interval = 7s, .probe_count = 3}));
            int const fd = pair.near.native_handle();
            CHECK(pair.near.keepalive().value());
            CHECK(kernel_option(fd, IPPROTO_TCP, TCP_KEEPIDLE) == 31);
            CHECK(kernel_option(fd, IPPROTO_TCP, TCP_KEEPINTVL) == 7);
            CHECK(kernel_option(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
            CHECK(pair.near.set_keepalive(std::nullopt));
            CHECK_FALSE(pair.near.keepalive().value());
            CHECK(
                pair.near
                    .set_keepalive(keepalive_options{.idle = 0s, .interval = 1s, .probe_count = 1})
                    .error() == std::errc::invalid_argument);

            stream_options options;
            options.keepalive = keepalive_options{.idle = 40s, .interval = 8s, .probe_count = 2};
            stream_pair const kept = co_await connected_pair(options);
            CHECK(kept.near.keepalive().value());
            CHECK(kept.far.keepalive().value());
            CHECK(kernel_option(kept.far.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE) == 40);
        });
    }

    TEST_CASE("buffer sizes are what was asked for, as the kernel accounts for them") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            CHECK(pair.near.set_send_buffer_size(20'000));
            CHECK(pair.near.set_receive_buffer_size(30'000));
            CHECK(pair.near.send_buffer_size().value() == 40'000);
            CHECK(pair.near.receive_buffer_size().value() == 60'000);

            stream_options options;
            options.send_buffer_size = 16'000;
            options.receive_buffer_size = 24'000;
            stream_pair const small = co_await connected_pair(options);
            CHECK(small.near.send_buffer_size().value() == 32'000);
            CHECK(small.far.receive_buffer_size().value() == 48'000);
        });
    }

    TEST_CASE("linger is off until it is set") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            ::linger seen{};
            ::socklen_t length = sizeof seen;
            int const fd = pair.near.native_handle();
            CHECK(pair.near.set_linger(3s));
            CHECK(::getsockopt(fd, SOL_SOCKET, SO_LINGER, &seen, &length) == 0);
            CHECK(seen.l_onoff == 1);
            CHECK(seen.l_linger == 3);
            CHECK(pair.near.set_linger(std::nullopt));
            CHECK(::getsockopt(fd, SOL_SOCKET, SO_LINGER, &seen, &length) == 0);
            CHECK(seen.l_onoff == 0);
        });
    }

    TEST_CASE("every option of a closed stream is an error, not a crash") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            tcp_stream& closed = pair.near;
            co_await closed.close();
            CHECK_FALSE(closed.is_open());
            CHECK(closed.set_no_delay(true).error() == std::errc::bad_file_descriptor);
            CHECK(closed.no_delay().error() == std::errc::bad_file_descriptor);
            CHECK_FALSE(closed.set_keepalive(keepalive_options()).has_value());
            CHECK_FALSE(closed.set_keepalive(std::nullopt).has_value());
            CHECK_FALSE(closed.keepalive().has_value());
            CHECK_FALSE(closed.set_send_buffer_size(1000).has_value());
            CHECK_FALSE(closed.set_receive_buffer_size(1000).has_value());
            CHECK_FALSE(closed.send_buffer_size().has_value());
            CHECK_FALSE(closed.receive_buffer_size().has_value());
            CHECK_FALSE(closed.set_linger(0s).has_value());
            CHECK(closed.shutdown_write().error() == weft::errc::closed);
            CHECK_FALSE(closed.local_address().has_value());
            CHECK(closed.peer_address() == pair.far.local_address().value());
        });
    }

    TEST_CASE("options that the kernel rejects are an error of connecting") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener const listener(address::loopback_v4(0));
            stream_options options;
            options.keepalive = keepalive_options{.idle = 0s, .interval = 1s, .probe_count = 1};
            std::size_t const before = fd_count();
            auto const refused =
                co_await (tcp_stream::connect(listener.local_address(), options) | weft::as_result);
            CHECK(refused.error() == std::errc::invalid_argument);
            CHECK(fd_count() == before);
        });
    }
}

TEST_SUITE("io/tcp/adopt") {
    TEST_CASE("an adopted socket reads and writes, although it was made blocking") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener listener(address::loopback_v4(0));
            unique_fd client = connect_foreign(listener.local_address());
            auto adopted = tcp_stream::adopt(std::move(client));
            CHECK(adopted.has_value());
            tcp_stream near = std::move(adopted).value();
            tcp_stream far = co_await listener.accept();
            CHECK(near.peer_address() == listener.local_address());
            auto reader = [](tcp_stream& from) -> task<> {
                std::array<char, 4> into{};
                std::size_t const got = co_await from.read_exact(into);
                CHECK(got == 4);
            };
            auto writer = [](tcp_stream& to) -> task<> {
                co_await let_others_run();
                std::size_t const sent = co_await to.write_all("ping");
                CHECK(sent == 4);
            };
            co_await weft::when_all(reader(near), writer(far));
        });
    }

    TEST_CASE("what is no connected TCP socket is refused and closed") {
        std::size_t const before = fd_count();
        unique_fd unconnected(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        CHECK(tcp_stream::adopt(std::move(unconnected)).error() == std::errc::not_connected);
        socket_pair local;
        CHECK(tcp_stream::adopt(std::move(local.near)).error() ==
              std::errc::address_family_not_supported);
        CHECK(tcp_stream::adopt(unique_fd()).error() == std::errc::bad_file_descriptor);
        unique_fd datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        CHECK(tcp_stream::adopt(std::move(datagrams)).error() == std::errc::wrong_protocol_type);
        local.far.reset();
        CHECK(fd_count() == before);
    }
}

TEST_SUITE("io/tcp/urgent") {
    TEST_CASE("a read that waits gets what comes behind urgent data") {
        on_one_and_two_workers([](auto&) -> task<> {
            stream_pair pair = co_await connected_pair();
            auto reader = [](tcp_stream& stream) -> task<> {
                std::string got;
                std::array<char, 64> into{};
                while (got.size() < 6) {
                    std::size_t const count = co_await stream.read_some(into);
                    got.append(into.data(), count);
                }
                CHECK(got == "abcdef");
            };
            auto sender = [](tcp_stream& stream) -> task<> {
                co_await let_others_run();
                int const fd = stream.native_handle();
                CHECK(::send(fd, "abc", 3, MSG_NOSIGNAL) == 3);
                CHECK(::send(fd, "!", 1, MSG_NOSIGNAL | MSG_OOB) == 1);
                CHECK(::send(fd, "def", 3, MSG_NOSIGNAL) == 3);
            };
            co_await weft::when_all(reader(pair.near), sender(pair.far));
        });
    }
}
