#include <weft/runtime/resilience/detail/latency_window.hpp>

#include <algorithm>
#include <cmath>

namespace weft::detail {

void latency_window::add(clock::duration latency) noexcept {
    scoped_lock const lock(mutex_);
    last_[count_++ % capacity] = latency;
}

std::size_t latency_window::size() const noexcept {
    scoped_lock const lock(mutex_);
    return std::min(count_, capacity);
}

clock::duration latency_window::percentile(double share) const noexcept {
    clock::duration sorted[capacity];
    std::size_t size = 0;
    {
        scoped_lock const lock(mutex_);
        size = std::min(count_, capacity);
        std::copy_n(last_, size, sorted);
    }
    if (size == 0) {
        return clock::duration::zero();
    }
    auto const wanted = static_cast<std::size_t>(std::ceil(share * static_cast<double>(size)));
    std::size_t const rank = std::clamp<std::size_t>(wanted, 1, size) - 1;
    std::nth_element(sorted, sorted + rank, sorted + size);
    return sorted[rank];
}

}  // namespace weft::detail
