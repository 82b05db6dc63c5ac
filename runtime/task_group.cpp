#include <weft/runtime/task_group.hpp>

#include <weft/runtime/exception_group.hpp>
#include <weft/runtime/join_handle.hpp>
#include <weft/runtime/thread_event.hpp>

#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace weft::detail {

// --- a child's record ---------------------------------------------------------------------------

child_record::child_record(function ended, free_function free, task_group& group) noexcept
    : completion(ended)
    , free_(free)
    , around_{&group} {
    std::construct_at(&kept_.context, group.inherited());
}

child_record::child_record(free_function free, outcome how) noexcept
    : completion(nullptr)
    , free_(free)
    , outcome_(how)
    , around_{nullptr} {
    cell_.close();
    (void)cell_.end();
}

child_record* child_record::of_error(std::exception_ptr const& error) noexcept {
    child_record* record = nullptr;
    try {
        record = new child_of<void>(outcome::error);
    } catch (...) {
        return nullptr;
    }
    std::construct_at(&record->kept_.error, error);
    record->drop_handle();
    return record;
}

void child_record::dispose() noexcept {
    if (outcome_ == outcome::pending) {
        std::destroy_at(&kept_.context);
    } else if (outcome_ == outcome::error) {
        std::destroy_at(&kept_.error);
    }
    delete[] name_;
    free_(*this);
}

void child_record::bury() noexcept {
    if (outcome_ == outcome::error && around_.report != nullptr && !cell_.was_taken()) {
        around_.report(kept_.error);
    }
    dispose();
}

bool child_record::request_stop(stop_reason const& reason) noexcept {
    if (!cell_.begin_request()) {
        return false;
    }
    bool const first = kept_.context.own_stop.request_stop(reason);
    cell_.end_request();
    return first;
}

/// The child's turn has come for the first time.
std::coroutine_handle<> child_record::starting(completion& base, promise_base& promise) noexcept {
    auto& self = static_cast<child_record&>(base);
    promise.outcome_ = outcome::pending;
    promise.stop_marked_ = false;
    if (self.cell_.has_handle() || self.cell_.was_asked()) {
        self.on_done = &child_of<void>::ended;
    } else {
        task_group& group = *self.around_.group;
        self.dispose();  // nobody else knows it (join_cell I3)
        promise.context_ = &group.shared_context(promise);
        promise.completion_ = &group;
    }
    return promise.handle();
}

std::coroutine_handle<> child_record::end(promise_base& finished,
                                          outcome how,
                                          std::exception_ptr error) noexcept {
    task_group& group = *around_.group;
    finished.handle().destroy();
    if (how == outcome::stopped) {
        group.note_stopped();
    }
    if (how != outcome::error && !cell_.has_handle()) {
        dispose();
        return group.arrive();
    }
    cell_.close();
    std::destroy_at(&kept_.context);
    around_.report = nullptr;
    if (how == outcome::error) {
        std::construct_at(&kept_.error, std::move(error));
        outcome_ = how;
        group.fail(*this);
    } else {
        outcome_ = how;
        tell_waiter();
        drop_child();
    }
    return group.arrive();
}

void child_record::tell_waiter() noexcept {
    if (void* const waiter = cell_.end(); waiter != nullptr) {
        static_cast<join_wait*>(waiter)->child_ended();
    }
}

void child_record::drop_child() noexcept {
    if (cell_.drop_child()) {
        bury();
    }
}

// --- the group ----------------------------------------------------------------------------------

/// Children that are many would meet in the lock of one stop state whenever they wait for
/// something.
struct alignas(cache_line) task_group::lane {
    static constexpr unsigned per_worker = 4;

    stop_context context;
};

task_group::task_group(scheduler* home, on_error policy) noexcept
    : completion(&plain_child_ended)
    , context_(home, nullptr)
    , policy_(policy) {
    surroundings_.soft_stop = &soft_stop_;
    context_.surroundings = &surroundings_;
}

task_group::task_group(context const& surroundings, on_error policy) noexcept
    : completion(&plain_child_ended)
    , context_(surroundings)
    , policy_(policy)
    , surroundings_(*surroundings.surroundings)
    , soft_stop_(surroundings_.soft_stop != nullptr ? surroundings_.soft_stop : surroundings.stop) {
    surroundings_.soft_stop = &soft_stop_;
    context_.surroundings = &surroundings_;
}

task_group::~task_group() {
    WEFT_ASSERT(children() == 0, "a task group is destroyed with children alive");
    while (first_failed_ != nullptr) {
        child_record& each = *std::exchange(first_failed_, first_failed_->around_.next);
        each.around_.report = nullptr;
        each.drop_child();
    }
    // relaxed: own — every child is gone
    if (lane* const lanes = lanes_.load(relaxed); lanes != nullptr) {
        delete[] lanes;
    }
}

void task_group::give_name(child_record& record, std::string_view name) {
    try {
        record.name_ = new char[name.size() + 1];
    } catch (...) {
        record.dispose();
        throw;
    }
    std::memcpy(record.name_, name.data(), name.size());
    record.name_[name.size()] = '\0';
}

void task_group::start(child_record& record, promise_base& promise, bool may_shed) noexcept {
    WEFT_CHECK(context_.sched != nullptr,
               "spawn needs a runtime: await the scope in a task that a runtime runs");
    // relaxed: count — the caller's share keeps the group alive; the queue orders the rest
    std::size_t const before = pending_.fetch_add(child_share, relaxed);
    WEFT_CHECK(before != 0, "a task is spawned into a scope that has ended");
    promise.context_ = &record.kept_.context;
    promise.completion_ = &record;
    if (may_shed) {
        record.on_done = &child_record::starting;
        promise.stop_marked_ = true;
    }
    context_.sched->schedule(promise);
}

context const& task_group::shared_context(promise_base const& child) noexcept {
    // acquire: observe the lanes; pairs with make_lanes():publish
    lane* lanes = lanes_.load(acquire);
    if (lanes == nullptr) {
        // relaxed: hint — a few children more or less follow the group itself
        if (pending_.load(relaxed) < few_children * child_share ||
            context_.sched->worker_count() == 1) [[likely]] {
            return context_;
        }
        lanes = make_lanes();
        if (lanes == nullptr) {
            return context_;
        }
    }
    // Children stay where they started, mostly: those of one worker share its lanes.
    auto const address = reinterpret_cast<std::uintptr_t>(&child);
    auto const choice = static_cast<unsigned>(address / cache_line) % lane::per_worker;
    return lanes[current_worker()->index() * lane::per_worker + choice].context;
}

task_group::lane* task_group::make_lanes() noexcept {
    scoped_lock const lock(mutex_);
    // relaxed: own — written under the mutex only
    lane* lanes = lanes_.load(relaxed);
    if (lanes == nullptr) {
        unsigned const count = context_.sched->worker_count() * lane::per_worker;
        lanes = new (std::nothrow) lane[count];
        if (lanes == nullptr) {
            return nullptr;
        }
        for (unsigned i = 0; i < count; ++i) {
            lanes[i].context.follow(context_);
        }
        // release: publish the lanes; pairs with shared_context():observe
        lanes_.store(lanes, release);
    }
    return lanes;
}

std::size_t task_group::children() const noexcept {
    // acquire: observe what ended children wrote; pairs with arrive():count
    return pending_.load(acquire) / child_share;
}

bool task_group::request_stop(stop_reason const& reason) noexcept {
    soft_stop_.request_stop(reason);
    return context_.own_stop.request_stop(reason);
}

void task_group::note_stopped() noexcept {
    // relaxed: publish — ordered by the count in arrive() (I2)
    child_stopped_.store(true, relaxed);
}

std::coroutine_handle<> task_group::plain_child_ended(completion& base,
                                                      promise_base& promise) noexcept {
    auto& self = static_cast<task_group&>(base);
    std::exception_ptr error;
    if (promise.outcome_ != outcome::value) [[unlikely]] {
        error = static_cast<task_promise<void>&>(promise).error();
        if (error == nullptr) {
            self.note_stopped();
        }
    }
    promise.handle().destroy();
    if (error != nullptr) [[unlikely]] {
        self.fail_plain(std::move(error));
    }
    return self.arrive();
}

void task_group::fail(child_record& record) noexcept {
    if (policy_ != on_error::report) {
        list(record);
        record.tell_waiter();
    } else if (record.cell_.has_handle()) {
        record.around_.report = error_hook;
        record.tell_waiter();
        record.drop_child();
    } else {
        error_hook(record.kept_.error);
        record.dispose();
    }
    if (policy_ == on_error::stop_siblings) {
        request_stop(stop_reason(stop_kind::sibling_failed));
    }
}

void task_group::fail_plain(std::exception_ptr error) noexcept {
    if (policy_ == on_error::report) {
        error_hook(error);
        return;
    }
    child_record* const record = child_record::of_error(error);
    if (record != nullptr) {
        list(*record);
    } else {
        scoped_lock const lock(mutex_);
        unlisted_error_ = std::move(error);
    }
    if (policy_ == on_error::stop_siblings) {
        request_stop(stop_reason(stop_kind::sibling_failed));
    }
}

void task_group::list(child_record& record) noexcept {
    record.around_.next = nullptr;
    scoped_lock const lock(mutex_);
    (last_failed_ != nullptr ? last_failed_->around_.next : first_failed_) = &record;
    last_failed_ = &record;
}

void task_group::take_errors(error_list& all) {
    for (child_record* each = first_failed_; each != nullptr; each = each->around_.next) {
        if (policy_ == on_error::stop_siblings || !each->cell_.was_taken()) {
            all.add(each->kept_.error, each->name());
        }
    }
    all.add(unlisted_error_);
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
