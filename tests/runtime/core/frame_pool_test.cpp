#include <weft/runtime/core/frame_pool.hpp>

#include <weft/runtime/base/config.hpp>
#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstring>
#include <latch>
#include <set>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

using weft::detail::frame_pool;

constexpr bool pooled = !weft::detail::asan_enabled && !weft::detail::tsan_enabled;

/// Dies after the pool has given the thread's blocks away, since it was made before them.
struct late_owner {
    void* block = nullptr;

    ~late_owner() {
        void* const another = frame_pool::allocate(64);
        void* const large = frame_pool::allocate(2 * frame_pool::largest_pooled);
        frame_pool::deallocate(block, 64);
        frame_pool::deallocate(another, 64);
        frame_pool::deallocate(large, 2 * frame_pool::largest_pooled);
    }
};

}  // namespace

TEST_SUITE("runtime/core/frame_pool") {
    TEST_CASE("a freed block serves the next allocation of its class") {
        void* const first = frame_pool::allocate(100);
        frame_pool::deallocate(first, 100);
        void* const second = frame_pool::allocate(127);
        if (pooled) {
            CHECK(first == second);
        }
        frame_pool::deallocate(second, 127);
    }

    TEST_CASE("every size from 1 byte to beyond the largest class is usable to its last byte") {
        for (std::size_t size = 1; size <= frame_pool::largest_pooled + 100; size += 13) {
            void* const block = frame_pool::allocate(size);
            std::memset(block, 0x5A, size);
            frame_pool::deallocate(block, size);
        }
    }

    TEST_CASE("live frames are counted over all threads, ended ones too") {
        std::size_t const before = frame_pool::live_frames();
        void* block = nullptr;
        std::thread([&] { block = frame_pool::allocate(64); }).join();
        CHECK(frame_pool::live_frames() == before + 1);
        std::thread([&] { frame_pool::deallocate(block, 64); }).join();
        CHECK(frame_pool::live_frames() == before);
    }

    TEST_CASE("blocks that are freed when the thread has given its own away are not lost") {
        std::size_t const before = frame_pool::live_frames();
        for (int i = 0; i < 100; ++i) {
            std::thread([] {
                thread_local late_owner owner;
                owner.block = frame_pool::allocate(64);
            }).join();
        }
        CHECK(frame_pool::live_frames() == before);
        frame_pool::trim();
        CHECK(frame_pool::depot_blocks() == 0);
    }

    TEST_CASE("blocks that one thread allocates and another frees are recycled, not piled up") {
        constexpr int rounds = 20'000;
        constexpr std::size_t window = 64;
        std::vector<std::atomic<void*>> slots(window);
        std::thread consumer([&] {
            for (int i = 0; i < rounds; ++i) {
                auto& slot = slots[static_cast<std::size_t>(i) % window];
                void* block = nullptr;
                while ((block = slot.exchange(nullptr)) == nullptr) {
                    std::this_thread::yield();
                }
                frame_pool::deallocate(block, 256);
            }
        });
        for (int i = 0; i < rounds; ++i) {
            auto& slot = slots[static_cast<std::size_t>(i) % window];
            while (slot.load() != nullptr) {
                std::this_thread::yield();
            }
            slot = frame_pool::allocate(256);
        }
        consumer.join();
        CHECK(frame_pool::depot_blocks() < 1'000);
    }

    TEST_CASE("a thread keeps no more than a row of the blocks that it frees, each of them once") {
        frame_pool::trim();
        std::size_t const before = frame_pool::live_frames();
        std::vector<void*> blocks;
        for (int i = 0; i < 300; ++i) {
            blocks.push_back(frame_pool::allocate(1'000));
        }
        CHECK(frame_pool::live_frames() == before + 300);
        for (void* const each : blocks) {
            frame_pool::deallocate(each, 1'000);
        }
        CHECK(frame_pool::live_frames() == before);
        if (pooled) {
            CHECK(frame_pool::depot_blocks() > 300 - weft::detail::frame_row::places);
        }
        std::set<void*> again;
        for (int i = 0; i < 300; ++i) {
            again.insert(frame_pool::allocate(1'000));
        }
        CHECK(again.size() == 300);
        CHECK(frame_pool::live_frames() == before + 300);
        CHECK(frame_pool::depot_blocks() == 0);
        for (void* const each : again) {
            frame_pool::deallocate(each, 1'000);
        }
        frame_pool::trim();
        CHECK(frame_pool::live_frames() == before);
    }

    TEST_CASE("ending threads fill the depot up to its limit only") {
        constexpr std::size_t row = weft::detail::frame_row::places - 1;
        constexpr int thread_count = 100;
        constexpr std::size_t limit = 4'096;
        static_assert(thread_count * row > limit + row);
        frame_pool::trim();
        std::size_t const before = frame_pool::live_frames();
        std::latch all_have_blocks(thread_count);
        std::vector<std::thread> threads;
        for (int i = 0; i < thread_count; ++i) {
            threads.emplace_back([&] {
                std::vector<void*> blocks;
                for (std::size_t n = 0; n < row; ++n) {
                    blocks.push_back(frame_pool::allocate(256));
                }
                all_have_blocks.arrive_and_wait();
                for (void* const each : blocks) {
                    frame_pool::deallocate(each, 256);
                }
            });
        }
        for (std::thread& each : threads) {
            each.join();
        }
        CHECK(frame_pool::depot_blocks() < limit + row);
        CHECK(frame_pool::live_frames() == before);
        frame_pool::trim();
        CHECK(frame_pool::depot_blocks() == 0);
        CHECK(frame_pool::live_frames() == before);
    }

    TEST_CASE("a child of fork finds the depot free, and in order, whatever other threads did") {
        std::size_t const before = frame_pool::live_frames();
        std::atomic<bool> enough = false;
        std::vector<std::thread> threads;
        for (int i = 0; i < 2; ++i) {
            threads.emplace_back([&enough] {
                frame_pool::deallocate(frame_pool::allocate(64), 64);
                while (!enough) {
                    (void)frame_pool::live_frames();  // has the lock most of the time
                }
            });
        }
        auto const use = [before] {
            ::alarm(60);
            bool is_right = frame_pool::live_frames() == before;
#if !WEFT_TSAN  // which allows no threads there
            for (int i = 0; i < 3; ++i) {
                std::thread([] { frame_pool::deallocate(frame_pool::allocate(64), 64); }).join();
                is_right = is_right && frame_pool::live_frames() == before;
            }
#endif
            std::fputs(is_right ? "right" : "wrong", stderr);
        };
        for (int round = 0; round < 10; ++round) {
            weft::test::death const child = weft::test::death_of(use);
            CHECK(child.signal == 0);
            CHECK(child.text == "right");
        }
        enough = true;
        for (std::thread& each : threads) {
            each.join();
        }
    }

    TEST_CASE("trimming gives the depot back") {
        std::vector<void*> blocks;
        for (int i = 0; i < 1'000; ++i) {
            blocks.push_back(frame_pool::allocate(512));
        }
        for (void* const each : blocks) {
            frame_pool::deallocate(each, 512);
        }
        CHECK((frame_pool::depot_blocks() > 0) == pooled);
        frame_pool::trim();
        CHECK(frame_pool::depot_blocks() == 0);
    }
}
