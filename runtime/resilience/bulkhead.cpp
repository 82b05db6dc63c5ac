#include <weft/runtime/resilience/bulkhead.hpp>

namespace weft {

bulkhead_counters bulkhead::counters() const noexcept {
    detail::permit_counters const seen = permits_.counters();
    bulkhead_counters told;
    told.admitted = seen.granted;
    told.queued = seen.waited;
    told.rejected = seen.refused;
    told.stopped_waiting = seen.stopped;
    told.running = seen.taken;
    told.waiting = seen.waiting;
    return told;
}

}  // namespace weft
