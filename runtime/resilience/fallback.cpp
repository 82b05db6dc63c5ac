#include <weft/runtime/resilience/fallback.hpp>

namespace weft::detail {

fallback_progress::fallback_progress(mutex& lock, fallback_counters& counters) noexcept
    : mutex_(lock)
    , counters_(counters) {
    scoped_lock const held(mutex_);
    ++counters_.calls;
}

fallback_progress::~fallback_progress() {
    if (!ended_) {
        end(&fallback_counters::stopped);
    }
}

void fallback_progress::begin_alternative() noexcept {
    scoped_lock const held(mutex_);
    ++counters_.alternatives;
}

void fallback_progress::end(std::uint64_t fallback_counters::* how) noexcept {
    ended_ = true;
    scoped_lock const held(mutex_);
    ++(counters_.*how);
}

}  // namespace weft::detail
