#pragma once

/// What one run of a program is held to, and what was seen of it.

#include <weft/runtime/stop/stop_token.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/fuzz/outcome.hpp>
#include <weft/tests/fuzz/program.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weft::fuzz {

/// The time of the worker that runs the caller, in µs; 0 off the workers.
[[nodiscard]] std::int64_t now_us() noexcept;

/// How one run of a node ended.
struct ending {
    unsigned node = 0;
    std::int64_t time_us = 0;
    outcome how = outcome::stopped();
};

class instance;

/// Thread safety: every member may be called from any thread at the same time.
class account {
public:
    /// The run has broken a promise.
    void fail(std::string what);

    /// The same with the node where it was seen.
    void fail(node const& where, std::string const& what);

    [[nodiscard]] bool has_failed() const;
    [[nodiscard]] std::string failures() const;

    /// How often the node has begun before.
    [[nodiscard]] std::uint32_t begin_run(node const& which);

    void note(ending how);
    [[nodiscard]] std::vector<ending> endings() const;

    // --- who is alive, for a run that hangs ---------------------------------------------
    void enter(instance const& who);
    void leave(instance const& who);
    [[nodiscard]] std::string who_is_alive() const;

private:
    static constexpr std::size_t failures_kept = 8;

    mutable std::mutex mutex_;
    std::vector<std::string> failures_;
    std::vector<std::uint32_t> runs_;
    std::vector<ending> endings_;
    std::set<instance const*> alive_;
};

/// One run of a node: lives in the frame of the coroutine that runs it. Counts the runs of its
/// children, and their frames: none of either may be left when the combinator that runs them has
/// told how it ended, nor when this run ends, whatever the way.
class instance {
public:
    /// The root: of no node.
    explicit instance(account& book) noexcept : book_(&book) {}

    instance(account& book, node const& what, instance& parent);
    instance(instance const&) = delete;
    instance& operator=(instance const&) = delete;
    ~instance();

    [[nodiscard]] account& book() const noexcept { return *book_; }

    [[nodiscard]] node const& what() const noexcept { return *what_; }

    /// The stop by which alone this run may end as stopped.
    void follow(stop_token stop) noexcept { stop_ = stop; }

    void ended(outcome how);

    [[nodiscard]] int children() const noexcept { return children_.load(); }

    [[nodiscard]] int frames() const noexcept { return frames_.load(); }

    /// The combinator has told how it ended.
    void expect_alone(char const* when);

private:
    friend class frame_mark;

    account* book_;
    node const* what_ = nullptr;
    instance* parent_ = nullptr;
    std::optional<stop_token> stop_;
    bool ended_ = false;
    std::atomic<int> children_{0};
    std::atomic<int> frames_{0};
};

/// A parameter of a coroutine, which dies with its frame.
class frame_mark {
public:
    explicit frame_mark(instance& parent) noexcept : parent_(&parent) { ++parent_->frames_; }

    frame_mark(frame_mark&& other) noexcept : parent_(std::exchange(other.parent_, nullptr)) {}

    frame_mark& operator=(frame_mark&&) = delete;

    ~frame_mark() {
        if (parent_ != nullptr) {
            --parent_->frames_;
        }
    }

    [[nodiscard]] instance& parent() const noexcept { return *parent_; }

private:
    instance* parent_;
};

/// The values that went into channels. Every one is received, dropped by a policy, left in the
/// channel, or still with its sender: exactly one of these.
class ledger {
public:
    explicit ledger(account& book) noexcept : book_(&book) {}

    [[nodiscard]] int new_sender() noexcept { return next_sender_++; }

    /// A value for a sender to send.
    [[nodiscard]] int issue(int sender, unsigned channel);

    [[nodiscard]] int sender_of(int value) const;

    /// The sender sees that its value has gone, or that it has not.
    void gone(int value);
    void given_back(int value);

    void received(int value, unsigned channel);

    /// After the run, with everything received that was left: `dropped` by the channel's policy.
    void settle(unsigned channel, std::size_t dropped);

private:
    struct letter {
        int sender = 0;
        unsigned channel = 0;
        int gone = 0;
        int back = 0;
        int received = 0;
    };

    account* book_;
    std::atomic<int> next_sender_{0};

    mutable std::mutex mutex_;
    std::vector<letter> letters_;
};

/// What one receiver gets: of each sender, in the order in which it was sent.
class arrivals {
public:
    explicit arrivals(bool in_order) noexcept : in_order_(in_order) {}

    /// False when the value came out of order, or twice.
    [[nodiscard]] bool take(int sender, int value);

private:
    struct last_of {
        int sender;
        int value;
    };

    bool in_order_;
    std::vector<last_of> last_;
};

/// Who waits for something, in the order in which they began.
class waiting_line {
public:
    /// A place in the line, for as long as it lives.
    class place {
    public:
        explicit place(waiting_line& line) : line_(&line) {
            std::scoped_lock const lock(line_->mutex_);
            number_ = line_->next_++;
            line_->waiting_.insert(number_);
        }

        place(place const&) = delete;
        place& operator=(place const&) = delete;

        ~place() {
            std::scoped_lock const lock(line_->mutex_);
            line_->waiting_.erase(number_);
        }

        /// Nobody has waited longer.
        [[nodiscard]] bool is_first() const {
            std::scoped_lock const lock(line_->mutex_);
            return *line_->waiting_.begin() == number_;
        }

    private:
        waiting_line* line_;
        unsigned long number_ = 0;
    };

    [[nodiscard]] bool empty() const {
        std::scoped_lock const lock(mutex_);
        return waiting_.empty();
    }

private:
    mutable std::mutex mutex_;
    unsigned long next_ = 0;
    std::set<unsigned long> waiting_;
};

/// How many are inside of something: counts itself in for as long as it lives.
class inside {
public:
    inside(std::atomic<int>& count, int weight = 1) noexcept : count_(&count), weight_(weight) {
        seen_ = count_->fetch_add(weight_) + weight_;
    }

    inside(inside const&) = delete;
    inside& operator=(inside const&) = delete;

    ~inside() { *count_ -= weight_; }

    /// At the beginning, itself included.
    [[nodiscard]] int seen() const noexcept { return seen_; }

private:
    std::atomic<int>* count_;
    int weight_;
    int seen_;
};

}  // namespace weft::fuzz
