#include <weft/sync/wait/queued_call.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/scheduler.hpp>

namespace weft::detail {

void queued_call::schedule(context const& where) noexcept {
    slot_.context_ = &where;
    slot_.completion_ = this;
    make_ready(slot_, wake_as::notify);
}

}  // namespace weft::detail
