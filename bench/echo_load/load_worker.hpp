#pragma once

#include <weft/bench/echo_load/connection.hpp>
#include <weft/bench/echo_load/file_descriptor.hpp>
#include <weft/bench/echo_load/latency_histogram.hpp>
#include <weft/bench/echo_load/load_plan.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace echo_load {

struct load_result {
    latency_histogram latency;  // of the requests completed inside the window
    std::uint64_t lost_connections = 0;
    std::uint64_t mismatches = 0;
    std::uint64_t unanswered = 0;  // sent, but not answered within the drain
    std::uint64_t backlog = 0;     // due in the window, but not completed in it; open loop only
    int first_error = 0;           // errno of the first connection that was lost with one

    void merge(load_result const& other) noexcept;
};

/// The share of one thread: its connections and an epoll loop over them.
///
/// Edge-triggered: a wake-up costs one recv and one send, however many messages arrived. The time
/// of a request runs from the moment it could have been sent: for a closed loop the moment its
/// predecessor's reply was read, for an open loop the moment the schedule says.
class load_worker {
public:
    /// `first_number` is the position of the first of `sockets` among those of all threads.
    load_worker(load_plan const& plan,
                std::vector<file_descriptor> sockets,
                std::size_t first_number);

    /// Runs the plan to its end on the calling thread, or until every connection is lost.
    void run();

    /// Requests completed so far, inside the window or not. Any thread.
    std::uint64_t completed() const noexcept;

    /// Only after `run`.
    load_result const& result() const noexcept { return result_; }

private:
    void start_all(clock::time_point now);
    void turn(clock::time_point limit);
    void wait(clock::time_point limit);
    void handle(std::size_t index, std::uint32_t events);
    void complete(std::size_t index, std::uint64_t count, clock::time_point now);
    void start_due(clock::time_point now);
    void start_waiting(std::size_t index);
    void start_one(std::size_t index, clock::time_point since);
    void write(std::size_t index);
    void retire(std::size_t index);
    clock::time_point next_due() const noexcept;
    std::uint64_t due_count(std::size_t index) const noexcept;
    clock::time_point& since(std::size_t index, std::uint64_t request) noexcept;
    std::uint64_t count_backlog() const noexcept;

    load_plan const plan_;
    std::size_t const first_number_;
    std::vector<connection> connections_;
    traffic traffic_;
    file_descriptor epoll_;
    std::vector<bool> is_write_watched_;

    // The start of every outstanding request: for each connection a ring of `slots_` entries.
    std::size_t const slots_;
    std::vector<clock::time_point> since_;

    std::size_t open_ = 0;
    std::uint64_t outstanding_ = 0;
    bool starts_more_ = true;

    // The open loop's place in the schedule: the next request to fall due.
    std::uint64_t due_round_ = 0;
    std::size_t due_index_ = 0;

    load_result result_;
    std::uint64_t completed_here_ = 0;

    // Written by the thread in `run`, read by the one that shows progress.
    std::atomic<std::uint64_t> completed_ = 0;
};

}  // namespace echo_load
