#pragma once

#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/task.hpp>

#include <chrono>
#include <mutex>
#include <utility>

namespace weft::test {

/// Runs one task after the other; any thread may stop the one that runs, at any time.
class stoppable {
public:
    using clock = std::chrono::steady_clock;

    /// True when `work` came to its end, false when it was stopped. An error passes through.
    task<bool> run(task<> work) {
        bool came_to_its_end = false;
        auto body = [&](nursery& children) -> task<> {
            window open(*this, children);
            co_await std::move(work);
            came_to_its_end = true;
        };
        co_await scope(body);
        co_return came_to_its_end;
    }

    /// Any thread. Stops the task that runs; where none runs, the next one is stopped before it
    /// starts.
    void request_stop() {
        std::lock_guard const lock(mutex_);
        if (running_ == nullptr) {
            wanted_ = true;
        } else {
            if (!measuring_) {
                measuring_ = true;
                requested_at_ = clock::now();
            }
            running_->request_stop();
        }
    }

    /// Between runs: forgets a request that came too late.
    void forget_request() {
        std::lock_guard const lock(mutex_);
        wanted_ = false;
    }

    /// After a run: from the request that found the task running to the destruction of what the
    /// task had; zero when there was none.
    [[nodiscard]] clock::duration latency() const noexcept { return latency_; }

private:
    /// Open while the task runs.
    class window {
    public:
        window(stoppable& owner, nursery& children) : owner_(owner) {
            std::lock_guard const lock(owner_.mutex_);
            owner_.running_ = &children;
            owner_.measuring_ = false;
            if (std::exchange(owner_.wanted_, false)) {
                children.request_stop();
            }
        }

        window(window const&) = delete;
        window& operator=(window const&) = delete;

        ~window() {
            std::lock_guard const lock(owner_.mutex_);
            owner_.running_ = nullptr;
            owner_.latency_ =
                owner_.measuring_ ? clock::now() - owner_.requested_at_ : clock::duration::zero();
        }

    private:
        stoppable& owner_;
    };

    std::mutex mutex_;
    nursery* running_ = nullptr;
    bool wanted_ = false;
    bool measuring_ = false;
    clock::time_point requested_at_;
    clock::duration latency_ = clock::duration::zero();
};

}  // namespace weft::test
