#include <weft/io/driver/epoll_driver.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/refused_call.hpp>
#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace {

using namespace weft::test;
using weft::nursery;
using weft::task;
using weft::unique_fd;
using weft::detail::descriptor_state;
using weft::detail::epoll_driver;
using weft::detail::epoll_statistics;
using weft::detail::no_deadline;
using weft::detail::panic_of_error;

using bytes = std::vector<unsigned char>;

constexpr std::size_t mebibyte = 1024UL * 1024;

epoll_driver* make_driver() {
    auto made = epoll_driver::create();
    if (!made) {
        std::abort();
    }
    return *made;
}

/// A driver on the calling thread.
class attached {
public:
    attached() : driver_(make_driver()) { driver_->attach(); }

    ~attached() { driver_->detach(); }

    attached(attached const&) = delete;
    attached& operator=(attached const&) = delete;

    epoll_driver* operator->() const { return driver_.get(); }

    void park(std::uint64_t deadline) { driver_->park(deadline); }

    void poll() { driver_->poll(); }

private:
    std::unique_ptr<epoll_driver> driver_;
};

/// A pool whose workers wait in epoll sets.
class epoll_pool : public weft::runtime_base {
public:
    explicit epoll_pool(unsigned workers = 1)
        : runtime_base(
              workers,
              [](unsigned) -> weft::detail::driver* { return make_driver(); },
              weft::error_hook()) {}
};

epoll_driver& this_driver() {
    return dynamic_cast<epoll_driver&>(weft::detail::require_worker("test").waits_in());
}

/// Collects events on behalf of the worker that runs the caller.
void poll_now() {
    this_driver().poll();
}

task<> let_others_run() {
    for (int i = 0; i < 16; ++i) {
        co_await weft::yield();
    }
}

/// The other end writes, past the driver.
void send_raw(descriptor_state const& from, std::size_t count) {
    bytes const data(count, 'x');
    CHECK(::send(from.fd(), data.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL) ==
          static_cast<::ssize_t>(count));
}

task<> receive(descriptor_state& socket, std::size_t room, std::size_t expected) {
    bytes into(room);
    auto const got = co_await operation(receive_kind, socket, std::span(into));
    CHECK(got.has_value());
    CHECK(got.value_or(std::size_t{99}) == expected);
}

/// Every form of the call in which a worker waits. False where no filter is allowed.
[[nodiscard]] bool refuse_waits(int error) {
    return refuse_call(SYS_epoll_pwait2, error) && refuse_call(SYS_epoll_pwait, error)
#if defined(SYS_epoll_wait)
           && refuse_call(SYS_epoll_wait, error)
#endif
        ;
}

/// Parks until the deadline has passed. How often that took.
int parks_until(attached& driver, std::uint64_t deadline) {
    int parks = 0;
    do {
        driver.park(deadline);
        ++parks;
    } while (driver->now() < deadline);
    return parks;
}

/// Registers `socket` with the driver: a receive has to wait there for `count` bytes.
task<> receive_after_waiting(descriptor_state& socket, descriptor_state& peer, std::size_t count) {
    auto send_later = [](descriptor_state& from, std::size_t size) -> task<> {
        send_raw(from, size);
        co_return;
    };
    co_await weft::when_all(receive(socket, 64, count), send_later(peer, count));
}

}  // namespace

TEST_SUITE("io/epoll_driver/waiting") {
    TEST_CASE("a wake that came before the first park makes it return") {
        attached driver;
        driver->wake();
        driver.park(no_deadline);
    }

    TEST_CASE("a wake that a poll has seen still ends the next park") {
        attached driver;
        driver->wake();
        for (int i = 0; i < 4; ++i) {
            driver.poll();
        }
        driver.park(no_deadline);
    }

    TEST_CASE("a wait that fails for good ends the process with the error's name") {
        for (auto const& [error, name] :
             {std::pair(EBADF, "EBADF"), std::pair(EPERM, "EPERM"), std::pair(EINTR, "EINTR")}) {
            CAPTURE(name);
            auto wait = [answer = error] {
                attached driver;
                if (!refuse_waits(answer)) {
                    panic_of_error("epoll_wait", answer);  // no filter is allowed here
                }
                for (;;) {
                    driver.park(no_deadline);
                }
            };
            CHECK(aborted_saying(death_of(wait), std::string("epoll_wait fails: ") + name));
        }
    }

    TEST_CASE("every wake from another thread ends a park") {
        attached driver;
        constexpr int rounds = 1000;
        std::atomic<int> asked = 0;
        std::atomic<int> woken = 0;
        std::thread waker([&] {
            for (int i = 1; i <= rounds; ++i) {
                while (asked != i) {
                    std::this_thread::yield();
                }
                woken = i;
                driver->wake();
            }
        });
        for (int i = 1; i <= rounds; ++i) {
            asked = i;
            while (woken != i) {
                driver.park(no_deadline);  // for ever if a wake is lost
            }
        }
        waker.join();
    }

    TEST_CASE("a park with nothing to report blocks until its deadline") {
        attached driver;
        CHECK(parks_until(driver, driver->now() + 3'000'000) < 10);  // early, but not as a habit
    }

    TEST_CASE("a park blocks until its deadline where a filter refuses precise waits") {
        std::thread filtered([] {
            attached driver;
            if (refuse_call(SYS_epoll_pwait2, EPERM)) {
                CHECK(parks_until(driver, driver->now() + 3'000'000) < 10);
            }
        });
        filtered.join();
    }

    TEST_CASE("a deadline that has passed does not block") {
        attached driver;
        driver.park(0);
        driver.park(driver->now());
    }

    TEST_CASE("a driver that is gone leaves no descriptor behind") {
        std::size_t const before = fd_count();
        {
            attached const driver;
            CHECK(fd_count() == before + 2);
        }
        CHECK(fd_count() == before);
    }
}

TEST_SUITE("io/epoll_driver/readiness") {
    TEST_CASE("an operation that can go on at once is never registered") {
        epoll_pool pool;
        descriptor_states const pair;
        auto work = [&]() -> task<> {
            for (int i = 0; i < 10; ++i) {
                send_raw(*pair.b, 3);
                co_await receive(*pair.a, 64, 3);
            }
            CHECK(this_driver().statistics().registrations == 0);
            CHECK(this_driver().statistics().postponed == 0);
        };
        pool.block_on(work());
    }

    TEST_CASE("a socket is registered once, however often operations wait for it") {
        epoll_pool pool;
        descriptor_states const pair;
        auto work = [&]() -> task<> {
            for (int i = 0; i < 20; ++i) {
                co_await receive_after_waiting(*pair.a, *pair.b, 5);
            }
            CHECK(this_driver().statistics().registrations == 1);
        };
        pool.block_on(work());
    }

    TEST_CASE("a socket that was drained is not tried again before something happens") {
        epoll_pool pool;
        descriptor_states const pair;
        auto work = [&]() -> task<> {
            co_await receive_after_waiting(*pair.a, *pair.b, 5);
            auto const before = this_driver().statistics().attempts;
            co_await receive_after_waiting(*pair.a, *pair.b, 5);
            CHECK(this_driver().statistics().attempts == before + 1);
        };
        pool.block_on(work());
    }

    TEST_CASE("an end of the stream that arrived together with data is not waited for in vain") {
        epoll_pool pool;
        for (auto const* const kind : {&receive_kind, &receive_exact_kind}) {
            descriptor_states const pair;
            auto end_with_data = [&]() -> task<> {
                send_raw(*pair.b, 3);
                CHECK(::shutdown(pair.b->fd(), SHUT_WR) == 0);
                co_return;
            };
            auto read_twice = [&]() -> task<> {
                bytes into(64);
                auto const first = co_await operation(*kind, *pair.a, std::span(into));
                CHECK((first.value_or(std::size_t{0}) == 3 ||
                       first.error() == weft::errc::unexpected_eof));
                auto const second = co_await operation(receive_kind, *pair.a, std::span(into));
                CHECK(second.value_or(std::size_t{99}) == 0);
            };
            auto work = [&]() -> task<> {
                co_await receive_after_waiting(*pair.a, *pair.b, 5);
                co_await weft::when_all(read_twice(), end_with_data());
            };
            pool.block_on(work());
        }
    }

    TEST_CASE("an end of the stream that comes after a short read is seen") {
        epoll_pool pool;
        descriptor_states const pair;
        auto work = [&]() -> task<> {
            co_await receive_after_waiting(*pair.a, *pair.b, 5);
            CHECK(::shutdown(pair.b->fd(), SHUT_WR) == 0);
            co_await receive(*pair.a, 64, 0);
            co_await receive(*pair.a, 64, 0);
        };
        pool.block_on(work());
    }

    TEST_CASE("data that arrives while nobody waits is there for the next read") {
        epoll_pool pool;
        descriptor_states const pair;
        auto work = [&]() -> task<> {
            co_await receive_after_waiting(*pair.a, *pair.b, 5);
            send_raw(*pair.b, 4);
            poll_now();
            co_await receive(*pair.a, 64, 4);
            send_raw(*pair.b, 6);
            co_await receive(*pair.a, 64, 6);
        };
        pool.block_on(work());
    }

    TEST_CASE("a socket whose events nobody wants is dropped, and comes back when used") {
        epoll_pool pool;
        descriptor_states const pair;
        auto work = [&]() -> task<> {
            co_await receive_after_waiting(*pair.a, *pair.b, 5);
            epoll_statistics const registered = this_driver().statistics();
            CHECK(registered.registrations == 1);
            for (int i = 0; i < 10; ++i) {
                send_raw(*pair.b, 1);
                poll_now();
            }
            CHECK(this_driver().statistics().registrations == 2);
            co_await receive(*pair.a, 64, 10);
            co_await receive_after_waiting(*pair.a, *pair.b, 7);
            CHECK(this_driver().statistics().registrations == 3);
        };
        pool.block_on(work());
    }

    TEST_CASE("a reader and a writer wait on one socket without disturbing each other") {
        epoll_pool pool;
        descriptor_states const pair;
        bytes much(4 * mebibyte, 'm');
        bytes taken(much.size());
        auto write = [&]() -> task<> {
            auto const sent = co_await operation(send_kind, *pair.a, std::span(much));
            CHECK(sent.value_or(std::size_t{0}) == much.size());
        };
        auto take = [&]() -> task<> {
            co_await let_others_run();
            auto const got = co_await operation(receive_exact_kind, *pair.b, std::span(taken));
            CHECK(got.value_or(std::size_t{0}) == much.size());
            send_raw(*pair.b, 2);
        };
        auto work = [&]() -> task<> {
            co_await weft::when_all(receive(*pair.a, 64, 2), write(), take());
        };
        pool.block_on(work());
        CHECK(taken == much);
    }

    TEST_CASE("a descriptor's number that comes back belongs to the new socket alone") {
        epoll_pool pool;
        int number = -1;
        for (int i = 0; i < 20; ++i) {
            descriptor_states const pair;
            CHECK((number == -1 || number == pair.a->fd()));
            number = pair.a->fd();
            auto work = [&]() -> task<> {
                co_await receive_after_waiting(*pair.a, *pair.b, 5);
                co_await receive_after_waiting(*pair.b, *pair.a, 6);
                co_await receive_after_waiting(*pair.a, *pair.b, 7);
            };
            pool.block_on(work());
        }
    }

    TEST_CASE("more sockets than one wait reports are all served") {
        constexpr std::size_t count = 300;
        epoll_pool pool;
        std::vector<std::unique_ptr<descriptor_states>> pairs(count);
        for (auto& each : pairs) {
            each = std::make_unique<descriptor_states>();
        }
        auto send_to_all = [&]() -> task<> {
            co_await let_others_run();
            for (auto const& each : pairs) {
                send_raw(*each->b, 4);
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& children) -> task<> {
                for (auto const& each : pairs) {
                    children.spawn(receive(*each->a, 8, 4));
                }
                children.spawn(send_to_all());
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
    }

    TEST_CASE("descriptors with large numbers are waited for like others") {
        ::rlimit limit{};
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
        epoll_pool pool;
        for (int const least : {63, 64, 65, 700, static_cast<int>(limit.rlim_cur) - 1}) {
            if (least > 1'000'000) {
                continue;  // a table that long says nothing more
            }
            CAPTURE(least);
            descriptor_states const pair;
            descriptor_state moved(unique_fd(::fcntl(pair.a->fd(), F_DUPFD_CLOEXEC, least)));
            REQUIRE(moved.fd() >= least);
            pool.block_on(receive_after_waiting(moved, *pair.b, 9));
        }
    }

    TEST_CASE("a socket that is always ready does not keep other tasks from running") {
        constexpr int reads = 20'000;
        epoll_pool pool;
        descriptor_states const pair;
        std::atomic<int> turns = 0;
        std::atomic<bool> over = false;
        auto drain = [&]() -> task<> {
            for (int i = 0; i < reads; ++i) {
                if (i % 1000 == 0) {
                    send_raw(*pair.b, 1000);
                }
                co_await receive(*pair.a, 1, 1);
            }
            over = true;
        };
        auto count_turns = [&]() -> task<> {
            while (!over) {
                ++turns;
                co_await weft::yield();
            }
        };
        auto work = [&]() -> task<> { co_await weft::when_all(drain(), count_turns()); };
        pool.block_on(work());
        CHECK(turns > reads / 1000);
    }
}

TEST_SUITE("io/epoll_driver/cancelling") {
    TEST_CASE("a stop ends what waits, and what comes later finds the socket whole") {
        epoll_pool pool;
        descriptor_states const pair;
        auto wait_in_vain = [&]() -> task<> {
            bytes into(8);
            auto const got = co_await operation(receive_kind, *pair.a, std::span(into));
            CHECK(got.error() == std::errc::operation_canceled);
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& children) -> task<> {
                children.spawn(wait_in_vain());
                children.spawn(wait_in_vain());
                co_await let_others_run();
                CHECK(this_driver().in_flight() == 2);
                children.request_stop();
            };
            co_await weft::scope(body);
            CHECK(this_driver().in_flight() == 0);
            co_await receive_after_waiting(*pair.a, *pair.b, 5);
        };
        pool.block_on(work());
    }

    TEST_CASE("a stop that comes together with the data loses none of it") {
        epoll_pool pool;
        descriptor_states const pair;
        std::size_t taken = 0;
        constexpr int rounds = 50;
        auto read = [&]() -> task<> {
            bytes into(8);
            auto const got = co_await operation(receive_kind, *pair.a, std::span(into));
            taken += got.value_or(std::size_t{0});
        };
        auto work = [&]() -> task<> {
            for (int i = 0; i < rounds; ++i) {
                auto body = [&](nursery& children) -> task<> {
                    children.spawn(read());
                    co_await let_others_run();
                    send_raw(*pair.b, 1);
                    if (i % 2 == 0) {
                        poll_now();
                    }
                    children.request_stop();
                };
                co_await weft::scope(body);
            }
            bytes rest(rounds);
            auto const left = ::recv(pair.a->fd(), rest.data(), rest.size(), MSG_DONTWAIT);
            CHECK(taken + static_cast<std::size_t>(left > 0 ? left : 0) == rounds);
        };
        pool.block_on(work());
    }
}
