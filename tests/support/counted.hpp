#pragma once

/// A value that keeps account of itself: how many objects of its kind live, and how often they were
/// copied and moved. What is lost or destroyed twice shows in the account.

#include <atomic>
#include <utility>

namespace weft::test {

/// The account of the objects made with it. Any thread may touch it.
struct object_count {
    std::atomic<int> alive{0};
    std::atomic<int> copies{0};
    std::atomic<int> moves{0};
};

/// Equal to others by `value`; a moved-from object has the value -1. Must not outlive its account.
class counted {
public:
    static constexpr int moved_from = -1;

    explicit counted(object_count& count, int initial = 0) noexcept
        : value(initial)
        , count_(&count) {
        ++count_->alive;
    }

    counted(counted const& other) noexcept : value(other.value), count_(other.count_) {
        ++count_->alive;
        ++count_->copies;
    }

    counted(counted&& other) noexcept
        : value(std::exchange(other.value, moved_from))
        , count_(other.count_) {
        ++count_->alive;
        ++count_->moves;
    }

    counted& operator=(counted const& other) noexcept {
        value = other.value;
        ++count_->copies;
        return *this;
    }

    counted& operator=(counted&& other) noexcept {
        value = std::exchange(other.value, moved_from);
        ++count_->moves;
        return *this;
    }

    ~counted() { --count_->alive; }

    friend bool operator==(counted const& left, counted const& right) noexcept {
        return left.value == right.value;
    }

    int value;

private:
    object_count* count_;
};

}  // namespace weft::test
