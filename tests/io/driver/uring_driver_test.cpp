#include <weft/io/driver/uring_driver.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

namespace {

using namespace weft::test;
using weft::nursery;
using weft::task;
using weft::unique_fd;
using weft::detail::descriptor_state;
using weft::detail::no_deadline;
using weft::detail::uring_driver;
using weft::detail::uring_options;

using bytes = std::vector<unsigned char>;

/// A driver on the calling thread.
class attached {
public:
    explicit attached(uring_options const& options) : driver_(make_uring_driver(options)) {
        driver_->attach();
    }

    ~attached() {
        driver_->detach();
        delete driver_;
    }

    attached(attached const&) = delete;
    attached& operator=(attached const&) = delete;

    uring_driver* operator->() const { return driver_; }

    void park(std::uint64_t deadline) { driver_->park(deadline); }

    void poll() { driver_->poll(); }

private:
    uring_driver* driver_;
};

/// Processor time of children that have ended.
double child_seconds() {
    ::rusage used{};
    CHECK(::getrusage(RUSAGE_CHILDREN, &used) == 0);
    auto const seconds = [](::timeval const& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

task<> send_all(descriptor_state& socket, bytes& data, std::atomic<int>& good) {
    auto const sent = co_await operation(send_kind, socket, std::span(data));
    good += sent && *sent == data.size() ? 1 : 0;
}

task<> receive_all(descriptor_state& socket, bytes& data, std::atomic<int>& good) {
    auto const received = co_await operation(receive_exact_kind, socket, std::span(data));
    good += received && *received == data.size() ? 1 : 0;
}

}  // namespace

TEST_SUITE("io/uring_driver/waiting") {
    TEST_CASE("a wake that came before the first park makes it return") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            attached driver(each.options);
            driver->wake();
            driver.park(no_deadline);
        }
    }

    TEST_CASE("a wake that a poll has seen still ends the next park") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            attached driver(each.options);
            driver->wake();
            for (int i = 0; i < 4; ++i) {
                driver.poll();
            }
            driver.park(no_deadline);
        }
    }

    TEST_CASE("every wake from another thread ends a park") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            attached driver(each.options);
            constexpr int rounds = 300;
            std::atomic<int> asked = 0;
            std::atomic<int> seen = 0;
            std::thread waker([&] {
                for (int i = 1; i <= rounds; ++i) {
                    asked.store(i);
                    driver->wake();
                    seen.wait(i - 1);  // a wake that is lost leaves both sides waiting
                }
            });
            for (int i = 1; i <= rounds; ++i) {
                while (asked.load() < i) {
                    driver.park(no_deadline);
                }
                seen.store(i);
                seen.notify_one();
            }
            waker.join();
        }
    }

    TEST_CASE("a park with nothing to report ends at its deadline and not before") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            attached driver(each.options);
            driver->wake();
            driver.park(no_deadline);  // whatever the set-up left behind is gone
            for (int round = 0; round < 3; ++round) {
                auto const deadline = driver->now() + 2'000'000;
                int parks = 0;
                while (driver->now() < deadline) {
                    driver.park(deadline);
                    ++parks;
                }
                bool const may_return_early = each.options.enter_fault_period != 0;
                CHECK((parks == 1 || may_return_early));
            }
        }
    }

    TEST_CASE("a deadline in the past does not block") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            attached driver(each.options);
            driver.park(0);
            driver.park(driver->now());
        }
    }

    TEST_CASE("a later deadline after an earlier one is honoured") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            attached driver(each.options);
            driver.park(driver->now() + 500'000);
            driver.park(driver->now() + 500'000);
            auto const far = driver->now() + 3'600'000'000'000U;
            driver.park(driver->now() + 1'000'000);
            driver->wake();
            while (!driver->has_pending()) {
                driver.poll();
                break;
            }
            driver.park(far);  // ends by the wake
            CHECK(driver->now() < far);
        }
    }

    TEST_CASE("an idle driver has nothing pending") {
        WEFT_NEEDS_URING();
        attached driver(uring_options{});
        driver.poll();
        CHECK_FALSE(driver->has_pending());
        driver->wake();
        CHECK(driver->has_pending());
        driver.park(no_deadline);
        CHECK_FALSE(driver->has_pending());
    }

    TEST_CASE("a refused set-up gives an error and a report instead of a driver") {
        uring_options options;
        options.setup_fault = EPERM;
        std::string report;
        auto const made = uring_driver::create(options, report);
        CHECK(made.error() == std::errc::operation_not_permitted);
        CHECK(report.find("EPERM") != std::string::npos);
    }
}

TEST_SUITE("io/uring_driver/operations") {
    TEST_CASE("a megabyte goes through a socket pair unchanged, both ways at once") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            descriptor_states sockets;
            bytes out = numbered_bytes(1 << 20);
            bytes back = numbered_bytes(1 << 19);
            bytes out_copy(out.size());
            bytes back_copy(back.size());
            std::atomic<int> good = 0;
            auto work = [&]() -> task<> {
                co_await weft::when_all(send_all(*sockets.a, out, good),
                                        receive_all(*sockets.b, out_copy, good),
                                        send_all(*sockets.b, back, good),
                                        receive_all(*sockets.a, back_copy, good));
                good += this_uring_driver().in_flight() == 0 ? 1 : 0;
            };
            workers.block_on(work());
            CHECK(good == 5);
            CHECK(out == out_copy);
            CHECK(back == back_copy);
        }
    }

    TEST_CASE("more receives than the queues have places wait at once, and all are served") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            constexpr int count = 40;
            std::vector<descriptor_states> sockets(count);
            std::vector<bytes> received(count, bytes(3));
            bytes data = numbered_bytes(3);
            std::atomic<int> good = 0;
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (std::size_t i = 0; i < count; ++i) {
                        n.spawn(receive_all(*sockets[i].b, received[i], good));
                    }
                    for (std::size_t i = 0; i < count; ++i) {
                        co_await weft::yield();
                        n.spawn(send_all(*sockets[i].a, data, good));
                    }
                };
                co_await weft::scope(body);
            };
            workers.block_on(work());
            CHECK(good == 2 * count);
            CHECK(std::count(received.begin(), received.end(), data) == count);
        }
    }

    TEST_CASE("vectored transfers keep order and length across short transfers") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            descriptor_states sockets;
            bytes data = numbered_bytes(300'001);
            bytes copy(data.size());
            bool sent_all = false;
            auto sender = [&]() -> task<> {
                std::vector<::iovec> parts;
                for (std::size_t at = 0, size = 0; at < data.size();
                     at += size, size = size * 2 + 1) {
                    size = std::min(size, data.size() - at);
                    parts.push_back({data.data() + at, size});
                }
                auto const sent =
                    co_await operation(send_vectors_kind, *sockets.a, std::span(parts));
                sent_all = sent && *sent == data.size();
            };
            auto receiver = [&]() -> task<> {
                std::size_t got = 0;
                while (got < copy.size()) {
                    std::size_t const left = copy.size() - got;
                    ::iovec parts[2] = {{copy.data() + got, left / 2},
                                        {copy.data() + got + left / 2, left - left / 2}};
                    auto const part =
                        co_await operation(receive_vectors_kind, *sockets.b, std::span(parts));
                    if (!part || *part == 0) {
                        break;
                    }
                    got += *part;
                }
            };
            auto work = [&]() -> task<> { co_await weft::when_all(sender(), receiver()); };
            workers.block_on(work());
            CHECK(sent_all);
            CHECK(copy == data);
        }
    }

    TEST_CASE("a connection is accepted, used, half-closed and closed") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            descriptor_state listener(unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
            descriptor_state client(unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
            ::sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            ::socklen_t length = sizeof address;
            auto* const generic = reinterpret_cast<::sockaddr*>(&address);
            REQUIRE(::bind(listener.fd(), generic, length) == 0);
            REQUIRE(::listen(listener.fd(), 4) == 0);
            REQUIRE(::getsockname(listener.fd(), generic, &length) == 0);
            int steps = 0;
            auto connecting = [&]() -> task<> {
                auto const peer = weft::address::from_sockaddr(generic, length).value();
                awaited<weft::detail::connect_op> connect(client, peer);
                auto const connected = co_await connect;
                steps += connected ? 1 : 0;
                bytes data = numbered_bytes(10);
                auto const sent = co_await operation(send_kind, client, std::span(data));
                steps += sent ? 1 : 0;
                ::shutdown(client.fd(), SHUT_WR);
                unsigned char byte = 0;
                auto const end = co_await operation(receive_kind, client, std::span(&byte, 1));
                steps += end && *end == 0 ? 1 : 0;
            };
            auto accepting = [&]() -> task<> {
                awaited<weft::detail::accept_op> accept(listener);
                auto const accepted = co_await accept;
                steps += accepted ? 1 : 0;
                descriptor_state server(accept.op.take_descriptor().value());
                bytes data(20);
                auto const received =
                    co_await operation(receive_exact_kind, server, std::span(data));
                steps += received.error() == weft::errc::unexpected_eof ? 1 : 0;
            };
            auto work = [&]() -> task<> { co_await weft::when_all(accepting(), connecting()); };
            workers.block_on(work());
            CHECK(steps == 5);
        }
    }

    TEST_CASE("errors of the kernel arrive as errors of the operation") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            descriptor_states sockets;
            ::shutdown(sockets.a->fd(), SHUT_WR);
            descriptor_state unconnected(
                unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
            std::error_code sending;
            std::error_code receiving;
            std::error_code accepting;
            auto work = [&]() -> task<> {
                bytes data = numbered_bytes(4);
                auto const sent = co_await operation(send_kind, *sockets.a, std::span(data));
                sending = sent.error();
                auto const received =
                    co_await operation(receive_kind, unconnected, std::span(data));
                receiving = received.error();
                auto const accepted = co_await awaited<weft::detail::accept_op>(unconnected);
                accepting = accepted.error();
            };
            workers.block_on(work());
            CHECK(sending == std::errc::broken_pipe);  // and no SIGPIPE
            CHECK(receiving == std::errc::not_connected);
            CHECK(accepting == std::errc::invalid_argument);
        }
    }

    TEST_CASE("operations that find no place wait for one") {
        WEFT_NEEDS_URING();
        uring_pool workers(uring_failing(2, EAGAIN, 1));
        descriptor_states sockets;
        std::uint64_t postponed = 0;
        bytes out = numbered_bytes(1);
        std::vector<bytes> in(16, bytes(1));
        std::atomic<int> good = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (auto& each : in) {
                    n.spawn(receive_all(*sockets.b, each, good));
                    n.spawn(send_all(*sockets.a, out, good));
                }
                co_return;
            };
            co_await weft::scope(body);
            postponed = this_uring_driver().statistics().postponed;
        };
        workers.block_on(work());
        CHECK(good == 32);
        CHECK(postponed > 0);
    }

    TEST_CASE("operations that wait for a place go out in the order in which they came") {
        WEFT_NEEDS_URING();
        for (unsigned period = 2; period <= 4; ++period) {
            CAPTURE(period);
            uring_pool workers(uring_failing(period, EAGAIN, 1));
            descriptor_states const sockets;
            std::vector<bytes> out;
            for (unsigned char i = 0; i < 64; ++i) {
                out.push_back(bytes{i});
            }
            std::uint64_t postponed = 0;
            std::atomic<int> good = 0;
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (bytes& each : out) {
                        n.spawn(send_all(*sockets.a, each, good));
                    }
                    co_return;
                };
                co_await weft::scope(body);
                postponed = this_uring_driver().statistics().postponed;
            };
            workers.block_on(work());
            CHECK(postponed > 0);
            bytes in(out.size());
            CHECK(::recv(sockets.b->fd(), in.data(), in.size(), 0) == 64);
            CHECK(std::is_sorted(in.begin(), in.end()));
        }
    }

    TEST_CASE("vectored sends that are handed over together each send their own buffers") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            std::vector<descriptor_states> const sockets(16);
            std::atomic<int> good = 0;
            auto send = [&](descriptor_state& to, unsigned char own) -> task<> {
                unsigned char first[2] = {own, own};
                unsigned char second = own;
                ::iovec parts[2] = {{first, 2}, {&second, 1}};
                auto const sent = co_await operation(send_vectors_kind, to, std::span(parts));
                good += sent && *sent == 3 ? 1 : 0;
            };
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (unsigned char i = 0; i < 16; ++i) {
                        n.spawn(send(*sockets[i].a, i));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            workers.block_on(work());
            CHECK(good == 16);
            for (unsigned char i = 0; i < 16; ++i) {
                bytes in(4);
                CHECK(::recv(sockets[i].b->fd(), in.data(), in.size(), MSG_DONTWAIT) == 3);
                CHECK(in == bytes{i, i, i, 0});
            }
        }
    }

    TEST_CASE("a wait that fails for good ends the process with the error's name") {
        WEFT_NEEDS_URING();
        for (auto const& [error, name] :
             {std::pair(EPERM, "EPERM"), std::pair(EBADF, "EBADF"), std::pair(EINTR, "EINTR")}) {
            CAPTURE(name);
            auto wait = [answer = error] {
                attached driver(uring_failing(1, answer, 2));
                for (;;) {
                    driver.park(no_deadline);
                }
            };
            CHECK(aborted_saying(death_of(wait), std::string("io_uring_enter fails: ") + name));
        }
    }

    TEST_CASE("a refusal that lasts ends the process, which has used next to no processor time") {
        WEFT_NEEDS_URING();
        auto wait = [] {
            attached driver(uring_failing(1, ENOMEM, 2));
            for (;;) {
                driver.park(no_deadline);
            }
        };
        double const before = child_seconds();
        CHECK(aborted_saying(death_of(wait), "io_uring_enter fails: ENOMEM"));
        CHECK(child_seconds() - before < 1.0);
    }

    TEST_CASE("two workers drive their own rings") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options, 2);
            std::vector<descriptor_states> sockets(8);
            std::atomic<int> good = 0;
            auto ping = [&](std::size_t i) -> task<> {
                bytes data = numbered_bytes(64);
                for (int round = 0; round < 20; ++round) {
                    co_await weft::when_all(send_all(*sockets[i].a, data, good),
                                            receive_all(*sockets[i].b, data, good));
                }
            };
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (std::size_t i = 0; i < sockets.size(); ++i) {
                        n.spawn(ping(i));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            workers.block_on(work());
            CHECK(good == 8 * 20 * 2);
        }
    }
}
