#include <weft/io/net/tcp.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/refused_call.hpp>
#include <weft/tests/support/skip.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using namespace weft::test;
using namespace std::chrono_literals;
using weft::address;
using weft::as_result;
using weft::errc;
using weft::nursery;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;
using weft::unique_fd;

/// Serves one connection: reads a number, sends it back with the digit that follows it.
task<> serve_number(tcp_stream stream) {
    std::array<unsigned char, 4> number{};
    std::size_t const got = co_await stream.read_exact(number);
    CHECK(got == number.size());
    number[3] = static_cast<unsigned char>(number[3] + 1);
    std::size_t const sent = co_await stream.write_all(number);
    CHECK(sent == number.size());
}

task<> ask_number(address server, unsigned char low, unsigned char high, std::atomic<int>& right) {
    tcp_stream stream = co_await tcp_stream::connect(server);
    std::array<unsigned char, 4> number{high, low, high, low};
    std::size_t const sent = co_await stream.write_all(number);
    CHECK(sent == number.size());
    std::array<unsigned char, 4> answer{};
    std::size_t const got = co_await stream.read_exact(answer);
    CHECK(got == answer.size());
    number[3] = static_cast<unsigned char>(low + 1);
    right += answer == number ? 1 : 0;
}

task<> serve_many(tcp_listener& listener, int count, nursery& children) {
    for (int i = 0; i < count; ++i) {
        tcp_stream stream = co_await listener.accept();
        children.spawn(serve_number(std::move(stream)));
    }
}

task<> talk_to_many(tcp_listener& listener, int count, std::atomic<int>& right) {
    auto body = [&](nursery& children) -> task<> {
        children.spawn(serve_many(listener, count, children));
        for (int i = 0; i < count; ++i) {
            children.spawn(ask_number(listener.local_address(),
                                      static_cast<unsigned char>(i),
                                      static_cast<unsigned char>(i / 256),
                                      right));
        }
        co_return;
    };
    co_await weft::scope(body);
}

task<> accept_one(tcp_listener& listener, std::vector<tcp_stream>& taken, std::size_t slot) {
    tcp_stream stream = co_await listener.accept();
    taken[slot] = std::move(stream);
}

/// A sanitizer that meets a type of object for the first time opens a pipe to look at it: lets it
/// meet those of the I/O path while there are descriptors.
task<> meet_every_type() {
    tcp_listener listener(address::loopback_v4(0));
    tcp_stream const client = co_await tcp_stream::connect(listener.local_address());
    tcp_stream const server = co_await listener.accept();
    co_await listener.close();
    auto const ended = co_await (listener.accept() | as_result);
    CHECK(ended.error() == errc::closed);
    CHECK(std::error_code(EMFILE, std::system_category()) != ended.error());
}

double cpu_seconds() {
    ::timespec time{};
    CHECK(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Leaves the process without a free descriptor.
class no_free_descriptor {
public:
    no_free_descriptor() {
        CHECK(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        unique_fd const lowest(::dup(STDIN_FILENO));
        ::rlimit tight = before_;
        tight.rlim_cur = static_cast<::rlim_t>(lowest.value());
        CHECK(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    }

    no_free_descriptor(no_free_descriptor const&) = delete;
    no_free_descriptor& operator=(no_free_descriptor const&) = delete;

    ~no_free_descriptor() { end(); }

    void end() { CHECK(::setrlimit(RLIMIT_NOFILE, &before_) == 0); }

private:
    ::rlimit before_{};
};

task<> accept_and_count(tcp_listener& listener, std::atomic<int>& accepted) {
    auto const stream = co_await (listener.accept() | as_result);
    CHECK(stream.has_value());
    ++accepted;
}

/// Runs an accept in a process whose accept4 always fails so, for a moment. What it says: the
/// error, or that it waits; and whether it has used the processor for more than half of the time.
std::string accept_under(int error) {
    auto work = [error] {
        if (!refuse_call(SYS_accept4, error)) {
            std::fprintf(stderr, "no filter is allowed");
            return;
        }
        weft::runtime_options options = with_workers(1);
        options.driver = weft::driver_kind::epoll;
        weft::runtime rt(options);
        auto try_for_a_while = []() -> task<std::string> {
            tcp_listener listener(address::loopback_v4(0));
            unique_fd const client = connect_foreign(listener.local_address());
            auto accept = [&]() -> task<tcp_stream> {
                tcp_stream taken = co_await listener.accept();
                co_return taken;
            };
            double const before = cpu_seconds();
            auto const ended = co_await (weft::timeout(200ms, accept()) | as_result);
            bool const spins = cpu_seconds() - before > 0.1;
            std::string said = ended ? "accepted" : ended.error().message();
            co_return spins ? said + ", busy" : said;
        };
        std::fprintf(stderr, "%s", rt.block_on(try_for_a_while()).c_str());
    };
    return death_of(work).text;
}

}  // namespace

TEST_SUITE("io/tcp/accept/errors") {
    TEST_CASE("an error that belongs to no connection is reported, and nothing is retried busily") {
        struct refusal {
            int error;
            bool is_reported;
        };

        for (refusal const each : {refusal{EPERM, true},
                                   refusal{EACCES, true},
                                   refusal{EINVAL, true},
                                   refusal{EBADF, true},
                                   refusal{EOPNOTSUPP, true},
                                   refusal{EINTR, true},
                                   refusal{ECONNABORTED, false},
                                   refusal{ENETDOWN, false},
                                   refusal{EPROTO, false},
                                   refusal{EMFILE, false},
                                   refusal{ENOMEM, false}}) {
            CAPTURE(each.error);
            int const seen = each.is_reported ? each.error : ETIMEDOUT;
            std::string const said = accept_under(each.error);
            if (said != "no filter is allowed") {
                CHECK(said == std::error_code(seen, std::system_category()).message());
            }
        }
    }

    TEST_CASE("lost connections are passed over at once, and a long row of them with pauses") {
        weft::detail::accept_retries retries;
        std::error_code const lost(ECONNABORTED, std::system_category());
        unsigned pauses = 0;
        unsigned longest_ms = 0;
        for (int i = 0; i < 640; ++i) {
            unsigned const pause_ms = retries.pause_ms_after(lost).value();
            pauses += pause_ms != 0 ? 1 : 0;
            longest_ms = std::max(longest_ms, pause_ms);
        }
        CHECK(pauses == 10);
        CHECK(longest_ms == 50);
    }
}

TEST_SUITE("io/tcp/accept") {
    TEST_CASE("two hundred connections at once each get their own answer") {
        weft::runtime rt(with_workers(2));
        tcp_listener listener(address::loopback_v4(0));
        std::atomic<int> right = 0;
        rt.block_on(talk_to_many(listener, 200, right));
        CHECK(right == 200);
    }

    TEST_CASE("accepts that wait together each get a connection of their own") {
        on_one_and_two_workers([](auto&) -> task<> {
            constexpr std::size_t count = 10;
            tcp_listener listener(address::loopback_v4(0));
            std::vector<tcp_stream> taken(count);
            std::vector<unique_fd> clients(count);
            auto body = [&](nursery& children) -> task<> {
                for (std::size_t i = 0; i < count; ++i) {
                    children.spawn(accept_one(listener, taken, i));
                }
                co_await let_others_run();
                for (unique_fd& each : clients) {
                    each = connect_foreign(listener.local_address());
                }
            };
            co_await weft::scope(body);
            std::set<std::uint16_t> ports;
            for (tcp_stream const& each : taken) {
                ports.insert(each.peer_address().port());
            }
            CHECK(ports.size() == count);
        });
    }

    TEST_CASE("connections that came before the accept are not lost") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener listener(address::loopback_v4(0));
            std::vector<unique_fd> clients(20);
            for (unique_fd& each : clients) {
                each = connect_foreign(listener.local_address());
            }
            for (int i = 0; i < 20; ++i) {
                tcp_stream const stream = co_await listener.accept();
                CHECK(stream.is_open());
            }
        });
    }

    TEST_CASE("an accepted stream that nobody takes is closed") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener listener(address::loopback_v4(0));
            tcp_stream client = co_await tcp_stream::connect(listener.local_address());
            (void)co_await listener.accept();
            std::array<char, 4> into{};
            std::size_t const end = co_await client.read_some(into);
            CHECK(end == 0);
        });
    }

    TEST_CASE("a listener survives a thousand clients that reset before they are accepted") {
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener listener(address::loopback_v4(0));
            auto taker = [](tcp_listener& from, address last) -> task<> {
                for (;;) {
                    tcp_stream const stream = co_await from.accept();
                    if (stream.peer_address() == last) {
                        break;
                    }
                }
            };
            for (int i = 0; i < 1000; ++i) {
                unique_fd client = connect_foreign(listener.local_address());
                CHECK(client);
                close_with_reset(client);
            }
            tcp_stream const good = co_await tcp_stream::connect(listener.local_address());
            co_await taker(listener, good.local_address().value());
        });
    }

    TEST_CASE("accept without a free descriptor waits without spinning and then delivers") {
        std::atomic<int> accepted = 0;
        on_one_and_two_workers([&](auto&) -> task<> {
            accepted = 0;
            co_await meet_every_type();
            tcp_listener listener(address::loopback_v4(0));
            unique_fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            auto body = [&](nursery& children) -> task<> {
                no_free_descriptor limit;
                auto const where = listener.local_address();
                CHECK(::connect(client.value(), where.data(), where.size()) == 0);
                double const before = cpu_seconds();
                children.spawn(accept_and_count(listener, accepted));
                co_await weft::sleep_for(200ms);
                double const used = cpu_seconds() - before;
                CHECK(accepted == 0);
                CHECK(used < 0.1);
                limit.end();
            };
            co_await weft::scope(body);
            CHECK(accepted == 1);
        });
    }

    TEST_CASE("closing a listener ends an accept that waits for a free descriptor") {
        on_one_and_two_workers([](auto&) -> task<> {
            co_await meet_every_type();
            tcp_listener listener(address::loopback_v4(0));
            auto accept_in_vain = [&]() -> task<> {
                auto const ended = co_await (listener.accept() | as_result);
                CHECK(ended.error() == errc::closed);
            };
            auto body = [&](nursery& children) -> task<> {
                no_free_descriptor const limit;
                children.spawn(accept_in_vain());
                co_await let_others_run();
                co_await listener.close();
            };
            co_await weft::scope(body);
        });
    }

    TEST_CASE("a v6 listener takes IPv4 connections unless it is told not to") {
        if (!has_ipv6()) {
            WEFT_SKIP("this machine has no IPv6 loopback");
        }
        on_one_and_two_workers([](auto&) -> task<> {
            tcp_listener both(address::any_v6(0));
            address const v4 = address::loopback_v4(both.local_address().port());
            tcp_stream const client = co_await tcp_stream::connect(v4);
            tcp_stream const server = co_await both.accept();
            CHECK(server.peer_address().is_v6());

            weft::listen_options options;
            options.v6_only = true;
            tcp_listener const only(address::any_v6(0), options);
            address const refused = address::loopback_v4(only.local_address().port());
            auto const ended = co_await (tcp_stream::connect(refused) | as_result);
            CHECK(ended.error() == std::errc::connection_refused);
        });
    }
}
