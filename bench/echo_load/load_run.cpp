#include <weft/bench/echo_load/load_run.hpp>

#include <weft/bench/echo_load/load_plan.hpp>
#include <weft/bench/echo_load/process_probe.hpp>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <future>
#include <iterator>
#include <list>
#include <utility>

#include <unistd.h>

namespace echo_load {

namespace {

constexpr auto drain_time = std::chrono::seconds(5);

double seconds_of(std::chrono::nanoseconds time) {
    return std::chrono::duration<double>(time).count();
}

load_plan plan_of(options const& chosen) {
    load_plan plan;
    plan.connections = chosen.connections;
    plan.pipeline = chosen.pipeline;
    plan.message_size = chosen.message_size;
    plan.verify = chosen.verify;
    plan.requests_per_second = chosen.requests_per_second;
    plan.start = clock::now();
    plan.window_begin = plan.start + chosen.warmup;
    plan.window_end = plan.window_begin + chosen.duration;
    plan.drain_end = plan.window_end + drain_time;
    return plan;
}

/// The threads at work, and how to watch them.
class crew {
public:
    crew(load_plan const& plan, std::vector<file_descriptor> sockets, std::size_t threads) {
        std::size_t first = 0;
        for (std::size_t i = 0; i < threads; ++i) {
            auto const last = sockets.size() * (i + 1) / threads;
            auto const from = std::make_move_iterator(sockets.begin());
            std::vector<file_descriptor> share(from + static_cast<std::ptrdiff_t>(first),
                                               from + static_cast<std::ptrdiff_t>(last));
            workers_.emplace_back(plan, std::move(share), first);
            first = last;
        }
        for (auto& worker : workers_) {
            runs_.push_back(std::async(std::launch::async, &load_worker::run, &worker));
        }
    }

    /// Waits for the time or for the end of every run, whichever comes first; true if the latter.
    bool wait_until(clock::time_point time) const {
        return std::all_of(runs_.begin(), runs_.end(), [time](auto const& run) {
            return run.wait_until(time) == std::future_status::ready;
        });
    }

    std::uint64_t completed() const {
        std::uint64_t sum = 0;
        for (auto const& worker : workers_) {
            sum += worker.completed();
        }
        return sum;
    }

    /// Waits for the end of every run; throws what stopped one early.
    load_result join() {
        for (auto& run : runs_) {
            run.get();
        }
        load_result total;
        for (auto const& worker : workers_) {
            total.merge(worker.result());
        }
        return total;
    }

private:
    std::list<load_worker> workers_;  // they do not move
    std::vector<std::future<void>> runs_;
};

/// A line on the terminal that is written over once a second, and wiped at the end.
class progress_line {
public:
    explicit progress_line(bool wanted) : shown_(wanted && ::isatty(STDERR_FILENO) == 1) {}

    progress_line(progress_line const&) = delete;
    progress_line& operator=(progress_line const&) = delete;

    ~progress_line() {
        if (shown_) {
            std::fputs("\r\x1b[K", stderr);
        }
    }

    /// Waits for `time`, or for the end of every run.
    void wait_until(clock::time_point time, crew const& threads) {
        for (auto tick = clock::now() + period; shown_ && tick < time; tick += period) {
            if (threads.wait_until(tick)) {
                return;
            }
            show(threads.completed());
        }
        threads.wait_until(time);
    }

private:
    static constexpr auto period = std::chrono::seconds(1);

    void show(std::uint64_t completed) {
        std::fprintf(stderr,
                     "\r%" PRIu64 " requests, %" PRIu64 "/s\x1b[K",
                     completed,
                     completed - shown_count_);
        shown_count_ = completed;
    }

    bool const shown_;
    std::uint64_t shown_count_ = 0;
};

/// CPU time of server and load at one moment.
struct cpu_sample {
    clock::time_point when;
    std::chrono::nanoseconds load{};
    std::optional<std::chrono::nanoseconds> server;
};

cpu_sample sample_cpu(options const& chosen) {
    cpu_sample sample;
    sample.when = clock::now();
    sample.load = cpu_time(0).value_or(std::chrono::nanoseconds(0));
    if (chosen.server_pid != 0) {
        sample.server = cpu_time(chosen.server_pid);
    }
    return sample;
}

}  // namespace

double load_summary::requests_per_second() const noexcept {
    return window_seconds > 0 ? static_cast<double>(total.latency.count()) / window_seconds : 0;
}

load_summary run_load(options const& chosen, std::vector<file_descriptor> sockets) {
    auto const plan = plan_of(chosen);
    crew threads(plan, std::move(sockets), chosen.threads);
    cpu_sample before;
    cpu_sample after;
    {
        progress_line progress(!chosen.quiet);
        progress.wait_until(plan.window_begin, threads);
        before = sample_cpu(chosen);
        progress.wait_until(plan.window_end, threads);
        after = sample_cpu(chosen);
    }
    load_summary summary;
    summary.total = threads.join();
    auto const end = std::min(after.when, plan.window_end);
    auto const window = std::max(end - plan.window_begin, clock::duration::zero());
    summary.window_seconds = seconds_of(window);

    // The samples are not taken at the very ends of the window: scale what lies between them.
    auto const sampled_seconds = seconds_of(after.when - before.when);
    auto const scale = sampled_seconds > 0 ? summary.window_seconds / sampled_seconds : 0;
    summary.load_cpu_seconds = seconds_of(after.load - before.load) * scale;
    if (before.server && after.server) {
        summary.server_cpu_seconds = seconds_of(*after.server - *before.server) * scale;
    }
    return summary;
}

}  // namespace echo_load
