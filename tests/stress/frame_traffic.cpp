// Frames that one thread allocates and another frees, by the million: memory does not grow.
//
// WEFT_STRESS_FRAMES in the environment says how many; the default is that of the long form.

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/task/task.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace {

using weft::task;
using weft::detail::frame_pool;

constexpr std::size_t window = 1024;
constexpr std::size_t megabyte = 1U << 20U;

std::size_t frame_count() {
    char const* const text = std::getenv("WEFT_STRESS_FRAMES");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 10'000'000;
}

std::size_t resident_bytes() {
    std::size_t size = 0;
    std::size_t resident = 0;
    if (std::FILE* const file = std::fopen("/proc/self/statm", "r"); file != nullptr) {
        if (std::fscanf(file, "%zu %zu", &size, &resident) != 2) {
            resident = 0;
        }
        std::fclose(file);
    }
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

[[gnu::noinline]] task<std::size_t> work(std::size_t number) {
    co_return number;
}

/// Tasks on their way from one thread to another.
class belt {
public:
    belt() : places_(window) {}

    void put(task<std::size_t> item) {
        while (put_ - taken_.load(std::memory_order_acquire) == window) {
            std::this_thread::yield();
        }
        places_[put_ % window] = std::move(item);
        available_.store(++put_, std::memory_order_release);
    }

    task<std::size_t> take() {
        std::size_t const next = taken_.load(std::memory_order_relaxed);
        while (available_.load(std::memory_order_acquire) == next) {
            std::this_thread::yield();
        }
        task<std::size_t> item = std::move(places_[next % window]);
        taken_.store(next + 1, std::memory_order_release);
        return item;
    }

private:
    std::vector<task<std::size_t>> places_;
    std::size_t put_ = 0;
    std::atomic<std::size_t> available_ = 0;
    std::atomic<std::size_t> taken_ = 0;
};

void pass(belt& frames, std::size_t count) {
    std::thread consumer([&] {
        for (std::size_t i = 0; i < count; ++i) {
            (void)frames.take();
        }
    });
    for (std::size_t i = 0; i < count; ++i) {
        frames.put(work(i));
    }
    consumer.join();
}

}  // namespace

TEST_SUITE("stress/frame_traffic") {
    TEST_CASE("memory stays flat while one thread allocates frames and another frees them") {
        std::size_t const count = frame_count();
        std::size_t const live = frame_pool::live_frames();
        belt frames;
        pass(frames, 100'000);
        std::size_t const before = resident_bytes();
        pass(frames, count);
        std::size_t const after = resident_bytes();
        std::size_t const growth = after > before ? after - before : 0;
        MESSAGE(count << " frames: " << before / 1024 << " KiB resident before, " << after / 1024
                      << " KiB after");
        CHECK(frame_pool::live_frames() == live);
        // A sanitizer keeps what is freed in quarantine.
        if (!weft::detail::asan_enabled && !weft::detail::tsan_enabled) {
            CHECK(growth < 2 * megabyte);
        }
    }
}
