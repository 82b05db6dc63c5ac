#pragma once

/// Stands in front of the library's scheduler in models of coroutines. See
/// tests/model/coroutines.hpp.

#include <weft/runtime/base/function_ref.hpp>
#include <weft/runtime/sched/worker.hpp>

#include <deque>
#include <memory>

namespace weft::detail {

class task_group;

using driver_factory = function_ref<driver*(unsigned index)>;

class scheduler {
public:
    explicit scheduler(unsigned worker_count);

    /// Never called: what needs a real pool is no model of coroutines.
    scheduler(unsigned worker_count, driver_factory make_driver);

    scheduler(scheduler const&) = delete;
    scheduler& operator=(scheduler const&) = delete;

    // --- any thread ----------------------------------------------------------------
    void schedule(promise_base& promise) noexcept;

    void inject(promise_base& promise) noexcept { schedule(promise); }

    void notify() noexcept {}

    void check_process() const noexcept {}

    [[nodiscard]] unsigned worker_count() const noexcept {
        return static_cast<unsigned>(workers_.size());
    }

    [[nodiscard]] task_group& root() const noexcept { return *root_; }

    void set_root(task_group& root) noexcept { root_ = &root; }

    [[nodiscard]] worker& worker_at(unsigned index) noexcept { return *workers_[index]; }

    [[nodiscard]] bool is_current() const noexcept {
        worker const* const here = current_worker();
        return here != nullptr && &here->sched() == this;
    }

private:
    friend class model::crew;

    // --- constant after construction -------------------------------------------
    std::deque<std::unique_ptr<worker>> workers_;
    task_group* root_ = nullptr;

    // --- any thread: only one runs, and a step lies in front of each access ------------
    std::deque<worker::passed<promise_base>> ready_;
};

}  // namespace weft::detail
