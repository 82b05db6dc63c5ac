#pragma once

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/baseline/sockets.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <thread>

#include <sys/resource.h>

namespace baseline {

/// One client connection's side of the closed loop: a request, the reply to it, the next request.
/// Each request carries its round's number, and a reply that carries another ends the process.
class exchange {
public:
    explicit exchange(std::size_t message_bytes) : message_bytes_(message_bytes) {}

    void begin_round() {
        ++round_;
        std::memcpy(request_.data(), &round_, sizeof round_);
        sent_bytes_ = 0;
        received_bytes_ = 0;
    }

    [[nodiscard]] std::span<char const> unsent() const {
        return std::span(request_).subspan(sent_bytes_, message_bytes_ - sent_bytes_);
    }

    void add_sent(std::size_t size_bytes) { sent_bytes_ += size_bytes; }

    /// Room for the rest of the reply.
    [[nodiscard]] std::span<char> missing() {
        return std::span(reply_).subspan(received_bytes_, message_bytes_ - received_bytes_);
    }

    /// Whether these bytes complete the reply.
    [[nodiscard]] bool add_received(std::size_t size_bytes) {
        received_bytes_ += size_bytes;
        if (received_bytes_ < message_bytes_) {
            return false;
        }
        if (std::memcmp(reply_.data(), &round_, sizeof round_) != 0) {
            std::fprintf(stderr, "a reply does not belong to its request\n");
            std::exit(1);
        }
        return true;
    }

private:
    std::size_t const message_bytes_;
    std::uint64_t round_ = 0;
    std::size_t sent_bytes_ = 0;
    std::size_t received_bytes_ = 0;
    std::array<char, buffer_size_bytes> request_{};
    std::array<char, buffer_size_bytes> reply_{};
};

/// Counts the client's requests and measures a stretch of its run from another thread, so that the
/// client never reads a clock.
class measured_run {
public:
    // --- the client's thread ------------------------------------------------------

    void count_request() noexcept {
        // relaxed: own — only the client's thread writes requests_
        auto const count = requests_.load(std::memory_order_relaxed);
        // relaxed: count — nothing else is read on the strength of it
        requests_.store(count + 1, std::memory_order_relaxed);
    }

    [[nodiscard]] bool is_ending() const noexcept {
        // relaxed: hint — a stale answer costs one more round
        return ending_.load(std::memory_order_relaxed);
    }

    // --- the measuring thread -----------------------------------------------------

    /// Lets the client run for the warm-up and the duration, then tells it to end.
    void measure(pingpong_options const& options) {
        sleep(options.warmup_seconds);
        auto const start = now();
        sleep(options.duration_seconds);
        auto const end = now();
        // relaxed: hint — read by is_ending(), orders nothing
        ending_.store(true, std::memory_order_relaxed);
        requests_measured_ = end.requests - start.requests;
        seconds_measured_ = std::chrono::duration<double>(end.time - start.time).count();
        cpu_us_measured_ = end.cpu_us - start.cpu_us;
    }

    /// Prints the result as one line of JSON.
    void report() const {
        if (requests_measured_ == 0) {
            std::fprintf(stderr, "no request was answered while measuring\n");
            std::exit(1);
        }
        auto const requests = static_cast<double>(requests_measured_);
        std::printf(
            "{\"requests_per_second\": %.0f, \"requests\": %llu, \"cpu_us_per_request\": %.3f}\n",
            requests / seconds_measured_,
            static_cast<unsigned long long>(requests_measured_),
            cpu_us_measured_ / requests);
    }

private:
    struct reading {
        std::chrono::steady_clock::time_point time;
        std::uint64_t requests;
        double cpu_us;
    };

    static void sleep(double seconds) {
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    }

    static double microseconds(::timeval const& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    }

    [[nodiscard]] reading now() const {
        ::rusage usage{};
        checked(::getrusage(RUSAGE_SELF, &usage), "getrusage");
        return {.time = std::chrono::steady_clock::now(),
                // relaxed: count — off by the requests of a few microseconds at most
                .requests = requests_.load(std::memory_order_relaxed),
                .cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime)};
    }

    // Written by the client's thread, read by the measuring one.
    alignas(64) std::atomic<std::uint64_t> requests_ = 0;

    // Written by the measuring thread, read by the client's.
    alignas(64) std::atomic<bool> ending_ = false;

    std::uint64_t requests_measured_ = 0;
    double seconds_measured_ = 0.0;
    double cpu_us_measured_ = 0.0;
};

/// Runs a `Server` and a `Client` on a thread each, measures them and prints the result.
/// `listener_flags`: SOCK_NONBLOCK or 0, as the server wants it.
template <class Server, class Client>
void run_pingpong(pingpong_options const& options, int listener_flags) {
    owned_fd const end(make_event());
    owned_fd const listener(listen_on_loopback(0, listener_flags));
    auto const port = bound_port(listener.value());
    measured_run run;
    std::thread server([&] { Server(listener.value(), end.value()).run(); });
    std::thread client([&] { Client(port, options, run).run(); });
    run.measure(options);
    client.join();
    raise_event(end.value());
    server.join();
    run.report();
}

}  // namespace baseline
