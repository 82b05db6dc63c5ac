#include <weft/io/driver/uring_driver.hpp>

#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <span>
#include <system_error>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::nursery;
using weft::task;
using weft::detail::descriptor_state;
using weft::detail::uring_options;

using bytes = std::vector<unsigned char>;

/// Counts receives that end as stopped.
task<> receive_until_stopped(descriptor_state& socket,
                             std::atomic<int>& stopped,
                             std::atomic<std::size_t>& received) {
    unsigned char data[8];
    auto const got = co_await operation(receive_kind, socket, std::span(data));
    if (got) {
        received += *got;
    } else {
        stopped += got.error() == std::errc::operation_canceled ? 1 : 0;
    }
}

}  // namespace

TEST_SUITE("io/uring_driver_cancel") {
    TEST_CASE("every receive in the kernel ends when its scope is stopped") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            std::vector<descriptor_states> sockets(20);
            std::atomic<int> stopped = 0;
            std::atomic<std::size_t> received = 0;
            std::size_t left = 1;
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (auto& pair : sockets) {
                        n.spawn(receive_until_stopped(*pair.b, stopped, received));
                    }
                    co_await weft::sleep_for(2ms);
                    n.request_stop();
                };
                co_await weft::scope(body);
                left = this_uring_driver().in_flight();
            };
            workers.block_on(work());
            CHECK(stopped == 20);
            CHECK(received == 0);
            CHECK(left == 0);
        }
    }

    TEST_CASE("an operation started after the stop never reaches the kernel") {
        WEFT_NEEDS_URING();
        uring_pool workers(uring_options{});
        descriptor_states sockets;
        std::atomic<int> stopped = 0;
        std::atomic<std::size_t> received = 0;
        std::uint64_t before = 0;
        std::uint64_t after = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.request_stop();
                before = this_uring_driver().statistics().submissions;
                co_await receive_until_stopped(*sockets.b, stopped, received);
                after = this_uring_driver().statistics().submissions;
            };
            co_await weft::scope(body);
        };
        workers.block_on(work());
        CHECK(stopped == 1);
        CHECK(before == after);
    }

    TEST_CASE("operations that still wait for a place are cancelled without reaching the kernel") {
        WEFT_NEEDS_URING();
        for (unsigned period = 2; period <= 4; ++period) {
            CAPTURE(period);
            uring_pool workers(uring_failing(period, EAGAIN, 1));
            std::vector<descriptor_states> sockets(40);
            std::atomic<int> stopped = 0;
            std::atomic<std::size_t> received = 0;
            weft::detail::uring_statistics statistics;
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (auto& pair : sockets) {
                        n.spawn(receive_until_stopped(*pair.b, stopped, received));
                    }
                    co_await weft::yield();
                    co_await weft::yield();
                    n.request_stop();
                };
                co_await weft::scope(body);
                statistics = this_uring_driver().statistics();
            };
            workers.block_on(work());
            CHECK(stopped == 40);
            CHECK(statistics.cancellations < 40);
        }
    }

    TEST_CASE("a stop that races with data loses no byte") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options, 2);
            for (int round = 0; round < 60; ++round) {
                descriptor_states sockets;
                std::atomic<int> stopped = 0;
                std::atomic<std::size_t> received = 0;
                bytes data = numbered_bytes(4);
                auto work = [&]() -> task<> {
                    auto body = [&](nursery& n) -> task<> {
                        n.spawn(receive_until_stopped(*sockets.b, stopped, received));
                        for (int i = 0; i < round % 4; ++i) {
                            co_await weft::yield();
                        }
                        ::send(sockets.a->fd(), data.data(), data.size(), 0);
                        n.request_stop();
                    };
                    co_await weft::scope(body);
                };
                workers.block_on(work());
                unsigned char rest[8];
                auto const left = ::recv(sockets.b->fd(), rest, sizeof rest, MSG_DONTWAIT);
                CHECK(received + static_cast<std::size_t>(left > 0 ? left : 0) == data.size());
                CHECK(stopped + (received != 0 ? 1 : 0) == 1);
            }
        }
    }

    TEST_CASE("a cancelled transfer that has begun does not go on") {
        WEFT_NEEDS_URING();
        for (auto const& each : uring_setups()) {
            CAPTURE(each.name);
            uring_pool workers(each.options);
            descriptor_states sockets;
            bytes data = numbered_bytes(8 << 20);  // more than the buffers of a socket take
            std::error_code sending;
            std::error_code receiving;
            auto send = [&]() -> task<> {
                auto const sent = co_await operation(send_kind, *sockets.a, std::span(data));
                sending = sent.error();
            };
            auto receive = [&]() -> task<> {
                bytes copy(100);
                ::send(sockets.b->fd(), data.data(), 10, 0);
                auto const received =
                    co_await operation(receive_exact_kind, *sockets.a, std::span(copy));
                receiving = received.error();
            };
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(send());
                    n.spawn(receive());
                    co_await weft::sleep_for(2ms);
                    n.request_stop();
                };
                co_await weft::scope(body);
            };
            workers.block_on(work());
            CHECK(sending == std::errc::operation_canceled);
            CHECK(receiving == std::errc::operation_canceled);
        }
    }
}
