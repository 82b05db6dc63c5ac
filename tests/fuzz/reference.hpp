#pragma once

/// What a program must come to, by the rules in the headers and without a scheduler: for trees
/// whose leaves end by themselves.

#include <weft/tests/fuzz/account.hpp>
#include <weft/tests/fuzz/program.hpp>

#include <cstdint>
#include <limits>
#include <vector>

namespace weft::fuzz {

/// Where two times are so close that a timer's grain may change their order, the outcome is not
/// foretold.
class reference {
public:
    /// Runs `root` from time 0, with a stop at `stop_us`.
    reference(node const& root, std::int64_t stop_us);

    /// False where the rules do not say what comes first.
    [[nodiscard]] bool is_sure() const noexcept { return sure_; }

    [[nodiscard]] outcome const& how() const noexcept { return root_.how; }

    [[nodiscard]] std::int64_t end_us() const noexcept { return root_.end; }

    /// Every run of every node.
    [[nodiscard]] std::vector<ending> const& endings() const noexcept { return endings_; }

private:
    using time = std::int64_t;
    static constexpr time never = std::numeric_limits<time>::max() / 4;
    static constexpr time margin = 200;

    struct ended {
        time end = 0;
        outcome how = outcome::stopped();
        bool has_waited = false;
    };

    /// What a task inherits.
    struct surroundings {
        time stop = never;
        time deadline = never;
        time soft = never;
    };

    using children = std::vector<node>;
    using list = std::vector<ended>;

    [[nodiscard]] bool before(time left, time right);
    ended run(node const& what, time start, surroundings around);
    ended judge(node const& what, time start, surroundings around);
    ended leaf(node const& what, time start, surroundings around);
    ended join(node const& what, time start, surroundings around);
    ended surrounded(node const& what, time start, surroundings around);

    ended in_turn(node const& what, time start, surroundings around);
    ended together(children const& all, time start, surroundings around, list& each);
    ended when_all(node const& what, time start, surroundings around);
    ended all_settled(node const& what, time start, surroundings around);
    ended first_of(node const& what, time start, surroundings around);
    ended first_success(node const& what, time start, surroundings around);
    ended scope(node const& what, time start, surroundings around);
    ended as_completed(node const& what, time start, surroundings around);
    list in_lanes(node const& what, time start, surroundings around, time cut, std::size_t spared);
    ended map(node const& what, time start, surroundings around);
    ended handles(node const& what, time start, surroundings around);
    ended stop_handle(node const& what, time start, surroundings around);
    ended until_soft(node const& what, time start, surroundings around);
    ended defer(node const& what, time start, surroundings around);
    ended batches(node const& what, time start, surroundings around);
    ended finally(node const& what, time start, surroundings around);
    ended limited(node const& what, time start, surroundings around);
    ended shielded(node const& what, time start, surroundings around);
    ended as_result(node const& what, time start, surroundings around);
    ended with_token(node const& what, time start, surroundings around);
    ended stop_scope(node const& what, time start, surroundings around);
    ended soft_stop(node const& what, time start, surroundings around);
    ended retry(node const& what, time start, surroundings around);
    ended fallback(node const& what, time start, surroundings around);

    /// Runs all children from `start`, those that do not decide with a stop when the first of
    /// `decides` ends.
    list race(children const& all,
              time start,
              surroundings around,
              bool (*decides)(outcome const& how));

    void forget_since(std::size_t count, std::vector<std::uint32_t> const& runs);

    void be_unsure() noexcept { sure_ = false; }

    bool sure_ = true;
    unsigned long waits_ = 0;
    std::vector<ending> endings_;
    std::vector<std::uint32_t> runs_;
    ended root_;
};

}  // namespace weft::fuzz
