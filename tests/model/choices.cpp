#include <weft/tests/model/choices.hpp>

namespace weft::model {

namespace {

/// The first of the possibilities from `from` on that is not redundant; `count` if there is none.
std::size_t first_of(std::size_t from, std::size_t count, std::uint32_t redundant) noexcept {
    while (from < count && (redundant >> from & 1U) != 0) {
        ++from;
    }
    return from;
}

}  // namespace

void choices::start_search() noexcept {
    mode_ = mode::depth_first;
    decisions_.clear();
    begin();
}

void choices::begin() noexcept {
    next_ = 0;
    last_ = none;
    coasts_ = false;
}

bool choices::advance() noexcept {
    while (!decisions_.empty()) {
        decision& deepest = decisions_.back();
        std::size_t const other = first_of(deepest.chosen + 1U, deepest.count, deepest.redundant);
        if (other < deepest.count) {
            deepest.chosen = static_cast<std::uint8_t>(other);
            begin();
            return true;
        }
        decisions_.pop_back();
    }
    return false;
}

void choices::start_random(std::uint64_t seed, std::size_t steps) {
    mode_ = mode::random;
    decisions_.clear();
    begin();
    random_ = test::random_numbers(seed);
    has_priorities_ = random_.one_in(2);
    lowest_ = 0;
    step_ = 0;
    for (auto& priority : priorities_) {
        priority = static_cast<std::int64_t>(random_.below(1U << 20U)) + 1;
    }
    for (auto& change : changes_) {
        change = random_.below(steps + 1);
    }
}

void choices::start_repeat() noexcept {
    mode_ = mode::repeat;
    begin();
}

bool choices::start_repeat(std::string const& written) {
    mode_ = mode::repeat;
    decisions_.clear();
    begin();
    for (char const letter : written) {
        if (letter < 'a' || letter > 'z') {
            return false;
        }
        decisions_.push_back({static_cast<std::uint8_t>(letter - 'a'), 0, 0, {}});
    }
    return true;
}

std::string choices::written() const {
    std::string letters;
    for (decision const each : decisions_) {
        letters += static_cast<char>('a' + each.chosen);
    }
    return letters;
}

bool choices::decide(std::size_t count,
                     std::size_t wish,
                     std::uint32_t redundant,
                     std::size_t& chosen) {
    chosen = 0;
    last_ = none;
    bool const is_new = mode_ == mode::random || next_ == decisions_.size();
    std::size_t const first = first_of(0, count, redundant);
    coasts_ = coasts_ || (mode_ == mode::depth_first && is_new && first == count);
    if (count <= 1 || coasts_) {
        return true;
    }
    if (is_new) {
        chosen = mode_ == mode::random ? wish : mode_ == mode::depth_first ? first : 0;
        decisions_.push_back(
            {static_cast<std::uint8_t>(chosen), static_cast<std::uint8_t>(count), redundant, {}});
        last_ = next_++;
        return true;
    }
    last_ = next_++;
    decision const& earlier = decisions_[last_];
    chosen = earlier.chosen;
    return chosen < count &&
           (earlier.count == 0 || earlier.count == count || mode_ == mode::repeat);
}

bool choices::choose(std::size_t count, std::size_t& chosen) {
    std::size_t wish = 0;
    if (mode_ == mode::random && count > 1 && random_.one_in(3)) {
        wish = random_.below(count);
    }
    return decide(count, wish, 0, chosen);
}

bool choices::choose_thread(unsigned const* runnable,
                            std::size_t count,
                            bool may_stay,
                            std::uint32_t redundant,
                            std::size_t& chosen) {
    std::size_t wish = 0;
    if (mode_ == mode::random) {
        if (has_priorities_) {
            for (std::size_t const change : changes_) {
                if (change == step_ && may_stay) {
                    defer(runnable[0]);
                }
            }
            ++step_;
            wish = by_priority(runnable, count);
        } else if (!may_stay || random_.one_in(4)) {
            wish = random_.below(count);
        }
    }
    return decide(count, wish, redundant, chosen);
}

void choices::defer(unsigned thread) noexcept {
    priorities_[thread] = --lowest_;
}

std::size_t choices::by_priority(unsigned const* runnable, std::size_t count) noexcept {
    std::size_t best = 0;
    for (std::size_t i = 1; i < count; ++i) {
        if (priorities_[runnable[i]] > priorities_[runnable[best]]) {
            best = i;
        }
    }
    return best;
}

}  // namespace weft::model
