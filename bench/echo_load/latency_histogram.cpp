#include <weft/bench/echo_load/latency_histogram.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

namespace echo_load {

void latency_histogram::record(std::uint64_t nanoseconds) noexcept {
    ++counts_[bucket_of(nanoseconds)];
    ++count_;
    max_ = std::max(max_, nanoseconds);
}

void latency_histogram::merge(latency_histogram const& other) noexcept {
    for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
        counts_[bucket] += other.counts_[bucket];
    }
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

std::uint64_t latency_histogram::percentile(double fraction) const noexcept {
    if (count_ == 0) {
        return 0;
    }
    auto const wanted = std::ceil(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_));
    auto const rank = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(wanted), 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket + 1 < bucket_count; ++bucket) {
        seen += counts_[bucket];
        if (seen >= rank) {
            return std::min(middle_of(bucket), max_);
        }
    }
    return max_;
}

// With `shift` the number of low bits that are dropped, value >> shift lies in [128, 256), and the
// buckets of one shift follow those of the one before.
std::size_t latency_histogram::bucket_of(std::uint64_t value) noexcept {
    auto const width = static_cast<unsigned>(std::bit_width(value));
    if (width <= bits_per_octave + 1) {
        return static_cast<std::size_t>(value);
    }
    if (width > bits_of_value) {
        return bucket_count - 1;
    }
    auto const shift = width - (bits_per_octave + 1);
    return shift * buckets_per_octave + static_cast<std::size_t>(value >> shift);
}

std::uint64_t latency_histogram::middle_of(std::size_t bucket) noexcept {
    if (bucket < 2 * buckets_per_octave) {
        return bucket;
    }
    auto const shift = bucket / buckets_per_octave - 1;
    std::uint64_t const first = (bucket % buckets_per_octave + buckets_per_octave) << shift;
    return first + (std::uint64_t{1} << shift) / 2;
}

}  // namespace echo_load
