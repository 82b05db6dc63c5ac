#pragma once

/// What the io_uring back end may use, and with which sizes: the features by name, and the options
/// of a ring. Knows nothing of the kernel's headers. A feature that nothing uses has no name here.

#include <cstdint>
#include <string>
#include <string_view>

namespace weft::detail {

/// Each is probed on its own and can be masked on its own, so that every path runs on one kernel.
enum class uring_feature : std::uint8_t {
    // how a ring is set up
    single_issuer,  ///< 6.0: the kernel may rely on one thread
    defer_taskrun,  ///< 6.1: completions are produced when we enter, not by interrupting us
    coop_taskrun,   ///< 5.19: completions interrupt nothing; the step below defer_taskrun
    taskrun_flag,   ///< 5.19: a flag in the ring tells that entering would produce completions
    submit_all,     ///< 5.18: a refused entry does not hold up those behind it
    no_sqarray,     ///< 6.6: one indirection less per submission
    // how it is entered
    ext_arg,             ///< 5.11: the wait carries a deadline; without it a timerfd is watched
    no_iowait,           ///< 6.15: a parked worker is idle, not waiting for a disk
    registered_ring_fd,  ///< 5.18: no descriptor look-up per system call
    // operations
    poll_first,      ///< 5.19: a receive that will have to wait does not try first
    multishot_poll,  ///< 5.13: one registration of the wake-up descriptor lasts
};

inline constexpr unsigned uring_feature_count = 11;

/// The name by which a feature is masked and reported.
[[nodiscard]] std::string_view name_of(uring_feature feature) noexcept;

class uring_features {
public:
    constexpr uring_features() noexcept = default;

    [[nodiscard]] static constexpr uring_features all() noexcept {
        return uring_features((1U << uring_feature_count) - 1U);
    }

    [[nodiscard]] constexpr bool has(uring_feature feature) const noexcept {
        return (bits_ & bit(feature)) != 0;
    }

    constexpr void add(uring_feature feature) noexcept { bits_ |= bit(feature); }

    constexpr void remove(uring_feature feature) noexcept { bits_ &= ~bit(feature); }

    constexpr void set(uring_feature feature, bool present) noexcept {
        present ? add(feature) : remove(feature);
    }

    [[nodiscard]] friend constexpr uring_features operator&(uring_features a,
                                                            uring_features b) noexcept {
        return uring_features(a.bits_ & b.bits_);
    }

    [[nodiscard]] friend constexpr uring_features operator-(uring_features a,
                                                            uring_features b) noexcept {
        return uring_features(a.bits_ & ~b.bits_);
    }

    friend constexpr bool operator==(uring_features, uring_features) noexcept = default;

    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }

    /// The names, separated by blanks.
    [[nodiscard]] std::string names() const;

private:
    constexpr explicit uring_features(std::uint32_t bits) noexcept : bits_(bits) {}

    static constexpr std::uint32_t bit(uring_feature feature) noexcept {
        return 1U << static_cast<unsigned>(feature);
    }

    std::uint32_t bits_ = 0;
};

struct uring_options {
    static constexpr unsigned entries_min = 1;
    static constexpr unsigned completion_ratio =
        16;  ///< default: completion entries per submission entry

    uring_options() noexcept {}

    /// Takes the features of a comma-separated list out of `allowed`. Gives the names that it does
    /// not know, separated by commas, so that a misspelt one is reported instead of masking
    /// nothing.
    [[nodiscard]] std::string disable(std::string_view list);

    unsigned entries = 256;
    unsigned completion_entries = 0;  ///< 0: entries × completion_ratio
    uring_features allowed = uring_features::all();

    /// Every io_uring_setup fails with this errno, for tests; 0: none.
    int setup_fault = 0;

    /// About every n-th io_uring_enter, in a reproducible random order, fails with `enter_fault`
    /// before it reaches the kernel, for tests; 0: none.
    unsigned enter_fault_period = 0;
    int enter_fault = 0;
};

}  // namespace weft::detail
