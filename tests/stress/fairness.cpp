// An echo server shares two workers with a task that is always ready and with two tasks that wake
// each other in turn. Starvation fails the test; latencies are reported and decide nothing.
//
// WEFT_STRESS_REQUESTS in the environment says how many requests are sent; the default is that of
// the long form.

#include <weft/io/net/tcp.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/loopback.hpp>
#include <weft/tests/support/wake_place.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace weft::test;
using weft::task;
using steady = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;

constexpr std::size_t message_size = 512;

std::size_t request_count() {
    char const* const text = std::getenv("WEFT_STRESS_REQUESTS");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 20'000;
}

task<> echo(weft::tcp_stream peer) {
    std::array<std::byte, message_size> data;
    while (std::size_t const count = co_await peer.read_some(data)) {
        co_await peer.write_all(std::span(data).first(count));
    }
}

task<> serve_one(weft::tcp_listener listener) {
    weft::tcp_stream peer = co_await listener.accept();
    co_await echo(std::move(peer));
}

/// The neighbours of the server, and how far they got.
struct neighbours {
    std::atomic<bool> is_over = false;
    std::atomic<std::uint64_t> turns = 0;
    std::atomic<std::uint64_t> rounds = 0;
    std::atomic<std::uint64_t> naps = 0;
    bool is_last_round = false;  // written by ping before it wakes pong
    wake_place left;
    wake_place right;
};

task<> always_ready(neighbours& all) {
    while (!all.is_over) {
        ++all.turns;
        co_await weft::yield();
    }
}

task<> ping(neighbours& all) {
    while (!all.is_last_round) {
        all.is_last_round = all.is_over;
        ++all.rounds;
        all.right.wake();
        co_await all.left.wait();
    }
}

task<> pong(neighbours& all) {
    for (bool is_last = false; !is_last;) {
        co_await all.right.wait();
        is_last = all.is_last_round;
        all.left.wake();
    }
}

task<> nap(neighbours& all) {
    while (!all.is_over) {
        co_await weft::sleep_for(std::chrono::milliseconds(1));
        ++all.naps;
    }
}

task<> run_all(neighbours& all) {
    auto body = [&](weft::nursery& children) -> task<> {
        children.spawn(always_ready(all));
        children.spawn(ping(all));
        children.spawn(pong(all));
        children.spawn(nap(all));
        co_return;
    };
    co_await weft::scope(body);
}

/// One request after the other; their latencies.
std::vector<steady::duration> send_requests(weft::address where, std::size_t count) {
    weft::unique_fd const server = plain_connect(where);
    std::vector<char> message(message_size, 'x');
    std::vector<steady::duration> latencies;
    while (latencies.size() < count) {
        auto const start = steady::now();
        require_call(::send(server.value(), message.data(), message.size(), 0) ==
                         static_cast<ssize_t>(message.size()),
                     "send");
        require_call(::recv(server.value(), message.data(), message.size(), MSG_WAITALL) ==
                         static_cast<ssize_t>(message.size()),
                     "recv");
        latencies.push_back(steady::now() - start);
    }
    return latencies;
}

double at_percent(std::vector<steady::duration> const& sorted, std::size_t percent) {
    return microseconds(sorted[(sorted.size() - 1) * percent / 100]).count();
}

}  // namespace

TEST_SUITE("stress/fairness") {
    TEST_CASE("a server beside tasks that are always ready answers, and they get on") {
        weft::runtime_options options;
        options.workers = 2;
        neighbours all;
        weft::runtime runtime(options);
        weft::tcp_listener listener(weft::address::loopback_v4(0));
        weft::address const where = listener.local_address();
        runtime.spawn(serve_one(std::move(listener)));
        std::vector<steady::duration> latencies;
        std::thread client([&] {
            latencies = send_requests(where, request_count());
            all.is_over = true;
        });
        runtime.block_on(run_all(all));
        client.join();
        std::ranges::sort(latencies);
        MESSAGE(std::string(runtime.uses_uring() ? "uring" : "epoll")
                << "; " << latencies.size() << " requests: median " << at_percent(latencies, 50)
                << " us, p99 " << at_percent(latencies, 99) << " us, slowest "
                << at_percent(latencies, 100) << " us; beside them " << all.turns.load()
                << " turns, " << all.rounds.load() << " rounds, " << all.naps.load() << " naps");
        CHECK(latencies.back() < std::chrono::seconds(5));
        CHECK(all.turns >= latencies.size());
        CHECK(all.rounds >= latencies.size());
        CHECK(all.naps > 0);
    }
}
