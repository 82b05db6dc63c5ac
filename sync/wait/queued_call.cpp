#include <weft/sync/wait/queued_call.hpp>

#include <weft/runtime/sched/scheduler.hpp>

namespace weft::detail {

void queued_call::schedule(context const& where) noexcept {
    slot_.context_ = &where;
    slot_.completion_ = this;
    slot_.stop_marked_ = true;
    where.sched->schedule(slot_);
}

}  // namespace weft::detail
