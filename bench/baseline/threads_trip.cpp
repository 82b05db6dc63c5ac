// The question of bench/runtime/blocking_trip.cpp, put to one thread that hands each call to
// another under a mutex.

#include <weft/bench/baseline/blocking_calls.hpp>

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace {

/// A place for one call, or one answer.
class slot {
public:
    void put(std::uint64_t value) {
        {
            std::lock_guard<std::mutex> const lock(mutex_);
            value_ = value;
            full_ = true;
        }
        filled_.notify_one();
    }

    [[nodiscard]] std::uint64_t take() {
        std::unique_lock<std::mutex> lock(mutex_);
        filled_.wait(lock, [&] { return full_; });
        full_ = false;
        return value_;
    }

private:
    std::mutex mutex_;
    std::condition_variable filled_;
    std::uint64_t value_ = 0;
    bool full_ = false;
};

std::uint64_t call_one_by_one(std::uint64_t count) {
    slot calls;
    slot answers;
    std::thread other([&] {
        for (std::uint64_t i = 0; i < count; ++i) {
            answers.put(calls.take());
        }
    });
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
        calls.put(i);
        sum += answers.take();
    }
    other.join();
    return sum;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_blocking_options(argc, argv, 100'000);
    return forkjoin::measure(
        "threads",
        "blocking_trip",
        options.run,
        [&] { return call_one_by_one(options.run.size); },
        [&](std::uint64_t sum) { return sum == baseline::sum_below(options.run.size); });
}
