#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace echo_load {

/// Counts of durations in nanoseconds, in buckets that widen with the value.
///
/// Values below 256 have a bucket each. Above, every power of two is cut into 128 buckets, so that
/// a percentile, given as the middle of its bucket, is off by less than half a percent. The largest
/// value is kept exactly. Values of 2^40 and more (18 minutes) share the last bucket.
class latency_histogram {
public:
    void record(std::uint64_t nanoseconds) noexcept;
    void merge(latency_histogram const& other) noexcept;

    std::uint64_t count() const noexcept { return count_; }

    std::uint64_t max() const noexcept { return max_; }

    /// The value that `fraction` (0 to 1) of all recorded ones do not exceed; 0 if there are none.
    std::uint64_t percentile(double fraction) const noexcept;

private:
    static constexpr unsigned bits_per_octave = 7;
    static constexpr std::size_t buckets_per_octave = std::size_t{1} << bits_per_octave;
    static constexpr unsigned bits_of_value = 40;
    static constexpr std::size_t bucket_count =
        (bits_of_value - bits_per_octave + 1) * buckets_per_octave;

    static std::size_t bucket_of(std::uint64_t value) noexcept;
    static std::uint64_t middle_of(std::size_t bucket) noexcept;

    std::array<std::uint64_t, bucket_count> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
};

}  // namespace echo_load
