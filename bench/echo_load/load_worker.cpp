#include <weft/bench/echo_load/load_worker.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <system_error>
#include <utility>

#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

namespace echo_load {

namespace {

constexpr std::size_t events_max = 256;

// A step between the streams of neighbours; prime to the pattern's period.
constexpr std::uint64_t phase_step = 1021;

constexpr std::uint32_t read_events = EPOLLIN | EPOLLRDHUP | EPOLLET;

[[noreturn]] void fail(char const* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

void watch(int epoll, int operation, int socket, std::size_t index, std::uint32_t events) {
    ::epoll_event event{};
    event.events = events;
    event.data.u64 = index;
    if (::epoll_ctl(epoll, operation, socket, &event) != 0) {
        fail("epoll_ctl");
    }
}

}  // namespace

void load_result::merge(load_result const& other) noexcept {
    latency.merge(other.latency);
    lost_connections += other.lost_connections;
    mismatches += other.mismatches;
    unanswered += other.unanswered;
    backlog += other.backlog;
    first_error = first_error != 0 ? first_error : other.first_error;
}

load_worker::load_worker(load_plan const& plan,
                         std::vector<file_descriptor> sockets,
                         std::size_t first_number)
    : plan_(plan)
    , first_number_(first_number)
    , epoll_(::epoll_create1(EPOLL_CLOEXEC))
    , is_write_watched_(sockets.size())
    , slots_(std::bit_ceil(plan.pipeline))
    , since_(sockets.size() * slots_)
    , open_(sockets.size()) {
    traffic_.message_size = plan.message_size;
    traffic_.verify = plan.verify;
    if (epoll_.value() < 0) {
        fail("epoll_create1");
    }
    connections_.reserve(sockets.size());
    for (auto& socket : sockets) {
        auto const number = first_number_ + connections_.size();
        connections_.emplace_back(std::move(socket), number * phase_step);
    }
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        watch(epoll_.value(), EPOLL_CTL_ADD, connections_[i].descriptor(), i, read_events);
    }
}

void load_worker::run() {
    // The default slack of 50 microseconds would be counted as the server's latency.
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    if (!plan_.is_open_loop()) {
        start_all(clock::now());
    }
    bool const only_idle = connections_.empty();
    while ((open_ > 0 || only_idle) && clock::now() < plan_.window_end) {
        turn(plan_.window_end);
    }
    result_.backlog = count_backlog();
    starts_more_ = false;
    while (outstanding_ > 0 && clock::now() < plan_.drain_end) {
        turn(plan_.drain_end);
    }
    result_.unanswered += outstanding_;
}

std::uint64_t load_worker::completed() const noexcept {
    // relaxed: hint — only the progress line shows it
    return completed_.load(std::memory_order_relaxed);
}

void load_worker::start_all(clock::time_point now) {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        for (std::size_t started = 0; started < plan_.pipeline; ++started) {
            start_one(i, now);
        }
        write(i);
    }
}

void load_worker::turn(clock::time_point limit) {
    wait(limit);
    if (plan_.is_open_loop() && starts_more_) {
        start_due(clock::now());
    }
    // relaxed: own — only this thread writes completed_
    completed_.store(completed_here_, std::memory_order_relaxed);
}

void load_worker::wait(clock::time_point limit) {
    auto until = limit;
    if (plan_.is_open_loop() && starts_more_) {
        until = std::min(until, next_due());
    }
    auto const left =
        std::max<std::int64_t>(std::chrono::nanoseconds(until - clock::now()).count(), 0);
    ::timespec const timeout{.tv_sec = left / 1'000'000'000, .tv_nsec = left % 1'000'000'000};
    std::array<::epoll_event, events_max> events;
    int const ready = ::epoll_pwait2(
        epoll_.value(), events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (ready < 0 && errno != EINTR) {
        fail("epoll_pwait2");
    }
    for (int i = 0; i < ready; ++i) {
        auto const& event = events[static_cast<std::size_t>(i)];
        handle(static_cast<std::size_t>(event.data.u64), event.events);
    }
}

void load_worker::handle(std::size_t index, std::uint32_t events) {
    auto& target = connections_[index];
    if (!target.is_open()) {
        return;
    }
    if ((events & ~std::uint32_t{EPOLLOUT}) != 0) {
        bool const to_the_end = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        auto const count = target.read(traffic_, to_the_end);
        if (count > 0) {
            complete(index, count, clock::now());
        }
    }
    write(index);
}

void load_worker::complete(std::size_t index, std::uint64_t count, clock::time_point now) {
    auto const& target = connections_[index];
    outstanding_ -= count;
    completed_here_ += count;
    if (now >= plan_.window_begin && now < plan_.window_end) {
        for (auto request = target.completed() - count; request < target.completed(); ++request) {
            auto const taken = std::chrono::nanoseconds(now - since(index, request)).count();
            result_.latency.record(static_cast<std::uint64_t>(taken));
        }
    }
    if (!starts_more_) {
        return;
    }
    if (plan_.is_open_loop()) {
        start_waiting(index);
        return;
    }
    for (std::uint64_t i = 0; i < count; ++i) {
        start_one(index, now);
    }
}

void load_worker::start_due(clock::time_point now) {
    while (next_due() <= now) {
        auto const index = due_index_;
        if (++due_index_ == connections_.size()) {
            due_index_ = 0;
            ++due_round_;
        }
        if (connections_[index].is_open()) {
            start_waiting(index);
            write(index);
        }
    }
}

// A request that finds its connection's pipeline full is not stored: the schedule tells when it was
// due.
void load_worker::start_waiting(std::size_t index) {
    auto const& target = connections_[index];
    auto const due = due_count(index);
    while (target.started() < due && target.outstanding() < plan_.pipeline) {
        start_one(index, plan_.due(target.started(), first_number_ + index));
    }
}

void load_worker::start_one(std::size_t index, clock::time_point since_when) {
    auto& target = connections_[index];
    since(index, target.started()) = since_when;
    target.start(traffic_, 1);
    ++outstanding_;
}

void load_worker::write(std::size_t index) {
    auto& target = connections_[index];
    target.write(traffic_);
    if (!target.is_open()) {
        retire(index);
    } else if (target.is_write_blocked() && !is_write_watched_[index]) {
        // Once it has been needed the interest stays: without a blocked write it causes no wake-up.
        is_write_watched_[index] = true;
        watch(epoll_.value(), EPOLL_CTL_MOD, target.descriptor(), index, read_events | EPOLLOUT);
    }
}

void load_worker::retire(std::size_t index) {
    auto const& target = connections_[index];
    --open_;
    outstanding_ -= target.outstanding();
    if (target.state() == connection_state::mismatched) {
        ++result_.mismatches;
    } else {
        ++result_.lost_connections;
    }
    if (result_.first_error == 0) {
        result_.first_error = target.error();
    }
    ::epoll_ctl(epoll_.value(), EPOLL_CTL_DEL, target.descriptor(), nullptr);
}

clock::time_point load_worker::next_due() const noexcept {
    return plan_.due(due_round_, first_number_ + due_index_);
}

std::uint64_t load_worker::due_count(std::size_t index) const noexcept {
    return due_round_ + (index < due_index_ ? 1 : 0);
}

clock::time_point& load_worker::since(std::size_t index, std::uint64_t request) noexcept {
    return since_[index * slots_ + (static_cast<std::size_t>(request) & (slots_ - 1))];
}

std::uint64_t load_worker::count_backlog() const noexcept {
    std::uint64_t backlog = 0;
    for (std::size_t i = 0; plan_.is_open_loop() && i < connections_.size(); ++i) {
        backlog += due_count(i) - connections_[i].completed();
    }
    return backlog;
}

}  // namespace echo_load
