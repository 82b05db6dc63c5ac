#include <weft/runtime/base/asymmetric_fence.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

using weft::detail::atomic;
using weft::detail::cache_line;
using weft::detail::relaxed;

bool kernel_has_membarrier() {
    auto const commands = ::syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    return commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
}

bool membarrier_is_forbidden() {
    char const* const wish = std::getenv("WEFT_MEMBARRIER");
    return wish != nullptr && std::string_view(wish) == "0";
}

/// Two sides that count rounds without waiting for each other.
///
/// The light side stores k = 1, 2, … to `light_` and reads `heavy_`; the heavy side stores
/// j = 1, 2, … to `heavy_` and reads `light_`. If the heavy side read x in round j, it missed the
/// store of x + 1; hence the light side, after that store, must not miss j: the first k after which
/// it read at least j is at most x + 1.
class dekker_rounds {
public:
    explicit dekker_rounds(std::size_t rounds)
        : rounds_(rounds)
        , light_seen_(rounds + 1)
        , first_light_round_(rounds + 1) {}

    /// The number of heavy rounds in which each side missed the other's store.
    std::size_t count_mutual_misses() {
        std::thread light([this] { run_light(); });
        run_heavy();
        light.join();
        std::size_t misses = 0;
        for (std::size_t j = 1; j <= rounds_; ++j) {
            misses += first_light_round_[j] > light_seen_[j] + 1 ? 1U : 0U;
        }
        return misses;
    }

private:
    void run_light() noexcept {
        std::size_t seen = 0;
        for (std::size_t k = 1; seen < rounds_; ++k) {
            light_.store(k, relaxed);
            weft::detail::fence_light();
            std::size_t const now_seen = heavy_.load(relaxed);
            while (seen < now_seen) {
                first_light_round_[++seen] = k;
            }
        }
    }

    /// A round says most when the light side is running at the same time, so each waits a little
    /// for a sign of it. Without a processor to run on, the light side gives none.
    void run_heavy() noexcept {
        for (std::size_t j = 1; j <= rounds_; ++j) {
            for (int i = 0; i < 50 && light_.load(relaxed) == light_seen_[j - 1]; ++i) {
                weft::detail::cpu_relax();
            }
            heavy_.store(j, relaxed);
            weft::detail::fence_heavy();
            light_seen_[j] = light_.load(relaxed);
        }
    }

    std::size_t rounds_;
    std::vector<std::size_t> light_seen_;
    std::vector<std::size_t> first_light_round_;

    alignas(cache_line) atomic<std::size_t> light_{0};
    alignas(cache_line) atomic<std::size_t> heavy_{0};
};

}  // namespace

TEST_SUITE("runtime/base/asymmetric_fence") {
    TEST_CASE("before the initialisation two threads never both miss the other's store") {
        CHECK(dekker_rounds(100'000).count_mutual_misses() == 0);
    }

    TEST_CASE("the light side is free exactly where membarrier is there, allowed and visible") {
        bool const free = weft::detail::init_asymmetric_fence();
        CHECK(free == (kernel_has_membarrier() && !membarrier_is_forbidden() &&
                       !weft::detail::tsan_enabled));
        CHECK(weft::detail::light_fence_is_free.load(relaxed) == free);
        CHECK(weft::detail::init_asymmetric_fence() == free);
    }

    TEST_CASE("after the initialisation two threads never both miss the other's store") {
        weft::detail::init_asymmetric_fence();
        CHECK(dekker_rounds(100'000).count_mutual_misses() == 0);
    }
}
