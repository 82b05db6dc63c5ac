// Stops operations in flight at random moments, and destroys runtimes that are full of them.
//
// WEFT_STRESS_STOPS and WEFT_STRESS_RUNTIMES in the environment say how many; the defaults are
// those of the long form. WEFT_SEED repeats the choices of a run, though not how its threads
// interleave.

#include <weft/io/runtime.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/stoppable.hpp>
#include <weft/tests/support/wait_site.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::task;
using weft::detail::frame_pool;
using microseconds = std::chrono::duration<double, std::micro>;

/// A stop that takes longer than this is lost, however busy the machine is. It decides in the long
/// form only.
constexpr auto latency_limit = 1s;

/// What a machine with time to spare keeps by far; more is reported and decides nothing.
constexpr auto latency_expected = 100ms;

int number_from_environment(char const* variable, int otherwise) {
    char const* const text = std::getenv(variable);
    return text != nullptr ? std::atoi(text) : otherwise;
}

weft::runtime_options two_workers() {
    return {.workers = 2};
}

/// A task that waits again and again, in ways that chance decides, and is stopped each time, unless
/// the answer is faster.
class target {
public:
    explicit target(std::uint64_t seed) : random_(seed) {}

    task<> wait_until(std::atomic<bool> const& enough) {
        while (!enough) {
            wait_kind const kind = every_wait_kind[random_.below(std::size(every_wait_kind))];
            wait_form const form = every_wait_form[random_.below(std::size(every_wait_form))];
            bool const answers_itself = random_.one_in(4);
            site_.nap = answers_itself ? weft::clock::duration(20us) : weft::clock::duration(48h);
            site_.target = answers_itself ? site_.listener.local_address() : crowded_;
            bool const came_to_its_end = co_await stops_.run(site_.wait(kind, form));
            note(came_to_its_end && site_.errors == 0);
            discard_connections();
            ++ended_;
        }
    }

    void stop() { stops_.request_stop(); }

    /// Any thread: bytes that some later read takes.
    void send_something() {
        std::byte const some[5] = {};
        (void)::send(site_.far.value(), some, sizeof some, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    /// Any thread: a connection that some later accept takes.
    void call() { call_and_hang_up(site_.listener.local_address()); }

    /// Any thread: makes room for writes.
    void receive_something() {
        (void)::recv(site_.far.value(), nullptr, wait_site::write_size, MSG_DONTWAIT | MSG_TRUNC);
    }

    /// Any thread. How many waits have ended by a stop, and how many have ended at all.
    [[nodiscard]] int stopped() const noexcept { return stopped_.load(); }

    [[nodiscard]] int ended() const noexcept { return ended_.load(); }

    // --- after the last wait -------------------------------------------------------------
    [[nodiscard]] int answered() const noexcept { return answered_; }

    [[nodiscard]] std::span<stoppable::clock::duration const> latencies() const noexcept {
        return latencies_;
    }

    [[nodiscard]] wait_site const& site() const noexcept { return site_; }

private:
    void note(bool has_answer) {
        if (has_answer) {
            ++answered_;
            return;
        }
        ++stopped_;
        if (stops_.latency() != stoppable::clock::duration::zero()) {
            latencies_.push_back(stops_.latency());
        }
        if (site_.errors != 0) {
            CHECK(site_.error == std::errc::operation_canceled);
        }
        CHECK(site_.values == 0);
        CHECK(site_.objects.alive == 0);
        CHECK(site_.buffers_are_intact());
    }

    /// Those that were accepted or made, and those that nobody accepted.
    void discard_connections() {
        if (site_.taken.is_open()) {
            reset_on_close(site_.taken.native_handle());
            site_.taken = weft::tcp_stream();
        }
        while (weft::unique_fd const guest = plain_accept(site_.listener.native_handle())) {
            reset_on_close(guest.value());
        }
    }

    random_numbers random_;
    wait_site site_;
    weft::address crowded_ = site_.target;
    stoppable stops_;
    std::atomic<int> stopped_{0};
    std::atomic<int> ended_{0};
    int answered_ = 0;
    std::vector<stoppable::clock::duration> latencies_;
};

using targets = std::vector<std::unique_ptr<target>>;

void pause(random_numbers& random) {
    auto const turns = random.up_to_bits(16);
    for (std::atomic<std::uint64_t> i = 0; i < turns; ++i) {
    }
}

int stopped_in(targets const& all) {
    int sum = 0;
    for (auto const& each : all) {
        sum += each->stopped();
    }
    return sum;
}

/// Lets something happen that a target may wait for.
void answer(target& any, random_numbers& random) {
    switch (random.below(3)) {
        case 0:
            return any.send_something();
        case 1:
            return any.receive_something();
        default:
            return any.call();
    }
}

/// Stops a few targets at a time, and now and then answers one. What is measured is the way of a
/// stop, not a queue of them: the next few have their turn when these have ended.
void stop_at_random(targets& all, random_numbers& random, int stops) {
    while (stopped_in(all) < stops) {
        std::vector<std::pair<target*, int>> chosen;
        for (auto count = 1 + random.below(4); count != 0; --count) {
            target& any = *all[random.below(all.size())];
            if (random.one_in(4)) {
                answer(any, random);
            } else {
                chosen.emplace_back(&any, any.ended());
                any.stop();
            }
            pause(random);
        }
        for (auto const& [each, ended_before] : chosen) {
            while (each->ended() == ended_before) {
                std::this_thread::yield();
            }
        }
    }
}

task<> run_all(targets& all, std::atomic<bool> const& enough, std::atomic<bool>& over) {
    auto body = [&](weft::nursery& children) -> task<> {
        for (auto const& each : all) {
            children.spawn(each->wait_until(enough));
        }
        co_return;
    };
    co_await weft::scope(body);
    over = true;
}

void report_latencies(targets const& all, std::uint64_t seed, std::string const& driver) {
    std::vector<stoppable::clock::duration> sorted;
    int answered = 0;
    for (auto const& each : all) {
        sorted.insert(sorted.end(), each->latencies().begin(), each->latencies().end());
        answered += each->answered();
    }
    REQUIRE(!sorted.empty());
    std::ranges::sort(sorted);
    auto const at = [&](std::size_t percent) {
        return microseconds(sorted[(sorted.size() - 1) * percent / 100]).count();
    };
    MESSAGE(driver << "; seed " << seed << "; " << stopped_in(all) << " stops (" << sorted.size()
                   << " of a wait that had begun), " << answered
                   << " answers; from the request to the end of the task: median " << at(50)
                   << " us, p99 " << at(99) << " us, max " << at(100) << " us");
    WARN(sorted.back() < latency_expected);
    if (std::getenv("WEFT_STRESS_STOPS") == nullptr) {
        CHECK(sorted.back() < latency_limit);
    }
}

task<> wait_forever(wait_site& site, wait_kind kind, wait_form form) {
    co_await site.wait(kind, form);
}

}  // namespace

TEST_SUITE("stress/cancel") {
    TEST_CASE("stops at random moments end what they meet, soon, and leave nothing behind") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        int const stops = number_from_environment("WEFT_STRESS_STOPS", 10'000);
        weft::runtime runtime(two_workers());
        targets all;
        for (int i = 0; i < 32; ++i) {
            all.push_back(std::make_unique<target>(random.next()));
        }
        std::size_t const frames = frame_pool::live_frames();
        std::size_t const descriptors = fd_count();
        std::atomic<bool> enough = false;
        std::atomic<bool> over = false;
        std::thread disturber([&] {
            stop_at_random(all, random, stops);
            enough = true;
            while (!over) {
                for (auto const& each : all) {
                    each->stop();
                }
                std::this_thread::yield();
            }
        });
        runtime.block_on(run_all(all, enough, over));
        disturber.join();
        CHECK(stopped_in(all) >= stops);
        report_latencies(all, seed, runtime.driver_report());
        CHECK(runtime.operations_in_flight() == 0);
        CHECK(frame_pool::live_frames() == frames);
        CHECK(fd_count() == descriptors);
        CHECK(std::ranges::all_of(
            all, [](auto const& each) { return each->site().objects.alive == 0; }));
    }

    TEST_CASE("a runtime that is destroyed full of waits ends them all") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        int const runtimes = number_from_environment("WEFT_STRESS_RUNTIMES", 200);
        std::vector<std::unique_ptr<wait_site>> sites;
        sites.resize(2 * std::size(every_wait_kind));
        for (auto& site : sites) {
            site = std::make_unique<wait_site>();
        }
        std::size_t const frames = frame_pool::live_frames();
        std::size_t const descriptors = fd_count();
        for (int i = 0; i < runtimes; ++i) {
            {
                weft::runtime runtime(two_workers());
                std::size_t next = 0;
                for (auto const& site : sites) {
                    auto const kind = every_wait_kind[next++ % std::size(every_wait_kind)];
                    auto const form = every_wait_form[random.below(std::size(every_wait_form))];
                    runtime.spawn(wait_forever(*site, kind, form));
                }
                pause(random);
            }
            for (auto const& site : sites) {
                CHECK(site->values == 0);
                CHECK(site->objects.alive == 0);
                CHECK(site->buffers_are_intact());
            }
            CHECK(frame_pool::live_frames() == frames);
            CHECK(fd_count() == descriptors);
        }
    }
}
