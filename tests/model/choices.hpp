#pragma once

/// The choices that make one execution differ from another, and how a series of executions goes
/// through them.
///
/// Depth first: every execution repeats the choices of the one before up to the last that has an
/// alternative left, takes that, and the first of everything behind it. An alternative that leads
/// to nothing new is left out; where all do, the execution goes on without choices. At random: each
/// execution has a seed of its own. Half of the seeds walk: at each point the running thread goes
/// on, or one drawn at random does. The other half give every thread a priority and lower that of
/// the running one at a few points drawn in advance (Burckhardt et al., A randomized scheduler with
/// probabilistic guarantees of finding bugs, ASPLOS 2010).

#include <weft/tests/model/footprint.hpp>
#include <weft/tests/model/memory.hpp>
#include <weft/tests/support/seed.hpp>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace weft::model {

class choices {
public:
    enum class mode : std::uint8_t { depth_first, random, repeat };

    static constexpr std::size_t none = ~std::size_t{0};

    /// The next execution is the first of a depth-first search.
    void start_search() noexcept;

    /// Prepares the next execution of the search; false when there is none.
    [[nodiscard]] bool advance() noexcept;

    /// The next execution follows `seed`; `steps` is how long one is, roughly.
    void start_random(std::uint64_t seed, std::size_t steps);

    /// The next execution repeats the last one, or one that was written down.
    void start_repeat() noexcept;
    [[nodiscard]] bool start_repeat(std::string const& written);

    /// As letters, one a choice.
    [[nodiscard]] std::string written() const;

    /// One of `count` possibilities. False when the execution does not repeat the earlier one.
    [[nodiscard]] bool choose(std::size_t count, std::size_t& chosen);

    /// Which of the threads that can run does; the first is running if `may_stay`. A search leaves
    /// out those in the set `redundant`.
    [[nodiscard]] bool choose_thread(unsigned const* runnable,
                                     std::size_t count,
                                     bool may_stay,
                                     std::uint32_t redundant,
                                     std::size_t& chosen);

    /// The number of the last choice; `none` when there was nothing to choose.
    [[nodiscard]] std::size_t last() const noexcept { return last_; }

    [[nodiscard]] bool searches() const noexcept { return mode_ == mode::depth_first; }

    /// Of the step that a thread took after this choice, in any execution of the search so far.
    [[nodiscard]] footprint& step_after(std::size_t number) noexcept {
        return decisions_[number].step;
    }

    /// The thread waits for others: under priorities it is the last to run again.
    void defer(unsigned thread) noexcept;

private:
    void begin() noexcept;

    struct decision {
        std::uint8_t chosen;
        std::uint8_t count;
        std::uint32_t redundant = 0;
        footprint step{};
    };

    static constexpr std::size_t change_count = 2;

    [[nodiscard]] bool decide(std::size_t count,
                              std::size_t wish,
                              std::uint32_t redundant,
                              std::size_t& chosen);
    [[nodiscard]] std::size_t by_priority(unsigned const* runnable, std::size_t count) noexcept;

    mode mode_ = mode::depth_first;
    std::vector<decision> decisions_;
    std::size_t next_ = 0;
    std::size_t last_ = none;
    bool coasts_ = false;

    test::random_numbers random_{0};
    bool has_priorities_ = false;
    std::array<std::int64_t, thread_max> priorities_{};
    std::int64_t lowest_ = 0;
    std::array<std::size_t, change_count> changes_{};
    std::size_t step_ = 0;
};

}  // namespace weft::model
