#include <weft/runtime/scope.hpp>

namespace weft::detail {

std::coroutine_handle<> pass_stop(promise_base& waiter) noexcept {
    worker* const here = current_worker();
    if (here == nullptr) {
        return unwind(waiter);
    }
    waiter.stop_marked_ = true;
    here->push_ready(waiter);
    return std::noop_coroutine();
}

void thread_event::signal() noexcept {
    scoped_lock const lock(mutex_);
    signalled_ = true;
    condition_.notify_all();  // under the lock: the waiter cannot return, and destroy us, before it
}

void thread_event::wait() noexcept {
    scoped_lock const lock(mutex_);
    while (!signalled_) {
        condition_.wait(mutex_);
    }
}

/// What a group keeps for each child: its frame, and a stop state of its own, so that the
/// operations of one child do not contend with those of its siblings.
struct task_group::child_record : completion {
    child_record(task_group& owner, std::coroutine_handle<> coroutine, error_reader reader) noexcept
        : completion(&ended)
        , own_context(owner.inherited())
        , group(&owner)
        , frame(coroutine)
        , read_error(reader) {}

    static void* operator new(std::size_t size) { return frame_pool::allocate(size); }

    static void operator delete(void* block, std::size_t size) noexcept {
        frame_pool::deallocate(block, size);
    }

    static std::coroutine_handle<> ended(completion& base, promise_base& promise) noexcept {
        auto* const self = static_cast<child_record*>(&base);
        task_group& group = *self->group;
        if (promise.outcome_ == outcome::error) {
            group.note_error(self->read_error(promise));
        } else if (promise.outcome_ == outcome::stopped) {
            // relaxed: publish — ordered by the count in arrive() (I2)
            group.child_stopped_.store(true, relaxed);
        }
        self->frame.destroy();
        delete self;
        return group.arrive();
    }

    stop_context own_context;
    task_group* group;
    std::coroutine_handle<> frame;
    error_reader read_error;
};

void task_group::start(std::coroutine_handle<> frame,
                       promise_base& promise,
                       error_reader read_error) {
    WEFT_CHECK(context_.sched != nullptr,
               "spawn needs a runtime: await the scope in a task that a runtime runs");
    child_record* record = nullptr;
    try {
        record = new child_record(*this, frame, read_error);
    } catch (...) {
        frame.destroy();
        throw;
    }
    // relaxed: count — the caller's share keeps the group alive; the queue orders the rest
    [[maybe_unused]] std::size_t const before = pending_.fetch_add(child_share, relaxed);
    WEFT_ASSERT(before != 0, "a task is spawned into a scope that has ended");
    promise.context_ = &record->own_context;
    promise.completion_ = record;
    context_.sched->schedule(promise);
}

std::size_t task_group::children() const noexcept {
    // acquire: observe what ended children wrote; pairs with arrive():count
    return pending_.load(acquire) / child_share;
}

void task_group::note_error(std::exception_ptr const& error) noexcept {
    if (error_hook != nullptr) {
        error_hook(error);
    }
    {
        scoped_lock const lock(mutex_);
        ++error_count_;
        if (first_error_ == nullptr && policy_ == on_error::stop_siblings) {
            first_error_ = error;
        }
    }
    if (policy_ == on_error::stop_siblings) {
        request_stop();
    }
}

std::coroutine_handle<> task_group::arrive() noexcept {
    // acq_rel: count — publish this child's effects (I2), and observe everybody's when the last
    // one; pairs with itself and with join()
    if (pending_.fetch_sub(child_share, acq_rel) != child_share) {
        return std::noop_coroutine();
    }
    if (joining_thread_ != nullptr) {
        joining_thread_->signal();
        return std::noop_coroutine();
    }
    return joiner_->on_done(*joiner_, *owner_);
}

bool task_group::join(completion& joiner, promise_base& owner) noexcept {
    joiner_ = &joiner;
    owner_ = &owner;
    // acq_rel: count — publish joiner_ and observe the children's effects; pairs with arrive()
    return pending_.fetch_sub(joiner_share, acq_rel) != joiner_share;
}

void task_group::join_blocking() noexcept {
    thread_event done;
    joining_thread_ = &done;
    // acq_rel: count — publish joining_thread_ and observe the children's effects; pairs with
    // arrive()
    if (pending_.fetch_sub(joiner_share, acq_rel) != joiner_share) {
        done.wait();
    }
}

}  // namespace weft::detail
