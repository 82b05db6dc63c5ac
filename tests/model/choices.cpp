#include <weft/tests/model/choices.hpp>

namespace weft::model {

void choices::start_search() noexcept {
    mode_ = mode::depth_first;
    decisions_.clear();
    next_ = 0;
}

bool choices::advance() noexcept {
    while (!decisions_.empty() && decisions_.back().chosen + 1 == decisions_.back().count) {
        decisions_.pop_back();
    }
    if (decisions_.empty()) {
        return false;
    }
    ++decisions_.back().chosen;
    next_ = 0;
    return true;
}

void choices::start_random(std::uint64_t seed, std::size_t steps) {
    mode_ = mode::random;
    decisions_.clear();
    next_ = 0;
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
    next_ = 0;
}

bool choices::start_repeat(std::string const& written) {
    mode_ = mode::repeat;
    decisions_.clear();
    next_ = 0;
    for (char const letter : written) {
        if (letter < 'a' || letter > 'z') {
            return false;
        }
        decisions_.push_back({static_cast<std::uint8_t>(letter - 'a'), 0});
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

bool choices::decide(std::size_t count, std::size_t wish, std::size_t& chosen) {
    chosen = 0;
    if (count <= 1) {
        return true;
    }
    if (mode_ == mode::random || next_ == decisions_.size()) {
        chosen = mode_ == mode::random ? wish : 0;
        decisions_.push_back({static_cast<std::uint8_t>(chosen), static_cast<std::uint8_t>(count)});
        ++next_;
        return true;
    }
    decision const& earlier = decisions_[next_++];
    chosen = earlier.chosen;
    return chosen < count &&
           (earlier.count == 0 || earlier.count == count || mode_ == mode::repeat);
}

bool choices::choose(std::size_t count, std::size_t& chosen) {
    std::size_t wish = 0;
    if (mode_ == mode::random && count > 1 && random_.one_in(3)) {
        wish = random_.below(count);
    }
    return decide(count, wish, chosen);
}

bool choices::choose_thread(unsigned const* runnable,
                            std::size_t count,
                            bool may_stay,
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
    return decide(count, wish, chosen);
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
