#include <weft/runtime/scope/cancel_after.hpp>

#include <weft/runtime/scope/detail/task_group.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>

#include <utility>

namespace weft::detail {

struct later_stop::shared {
    stop_source time_has_come;
    stop_source nobody_waits;

    // --- any thread, atomic ------------------------------------------------------
    /// Written by the owner and by the task, when they go.
    atomic<int> shares{2};
};

/// One of the two shares of the block.
class later_stop::share {
public:
    explicit share(shared& block) noexcept : block_(&block) {}

    share(share&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}

    share& operator=(share&&) = delete;

    ~share() {
        if (block_ != nullptr) {
            drop(*block_);
        }
    }

    static void drop(shared& block) noexcept {
        // acq_rel: count — publish what this side did and observe the other's when last; pairs with
        // itself
        if (block.shares.fetch_sub(1, acq_rel) == 1) {
            delete &block;
        }
    }

    [[nodiscard]] shared* operator->() const noexcept { return block_; }

private:
    shared* block_;
};

task<> later_stop::wait(share own, time_span limit, std::source_location at) {
    auto nap = [](time_span length) -> task<> { co_await sleep_for(length); };
    auto const ended =
        co_await (with_stop_token(own->nobody_waits.token(), nap(limit)) | weft::as_result);
    if (ended) {
        own->time_has_come.request_stop(stop_reason(stop_kind::deadline, at));
    }
}

later_stop::later_stop(void* target, function pass_on, time_span limit, std::source_location at)
    : stop_node(&on_stop)
    , target_(target)
    , pass_on_(pass_on)
    , shared_(nullptr) {
    task_group& root = require_worker("cancel_after").sched().root();
    shared_ = new shared;
    task<> waiting;
    {
        share own(*shared_);
        try {
            waiting = wait(std::move(own), limit, at);
        } catch (...) {
            share::drop(*shared_);
            throw;
        }
    }
    (void)enroll(shared_->time_has_come.token().state());
    root.start_plain(std::move(waiting));
}

later_stop::~later_stop() {
    withdraw();  // keeps I1
    shared_->nobody_waits.request_stop();
    share::drop(*shared_);
}

void later_stop::on_stop(stop_node& node) noexcept {
    auto& self = static_cast<later_stop&>(node);
    stop_reason const reason = self.shared_->time_has_come.token().reason();
    self.pass_on_(self.target_, reason);
}

}  // namespace weft::detail
