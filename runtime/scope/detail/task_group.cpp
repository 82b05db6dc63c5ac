#include <weft/runtime/scope/detail/task_group.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/sched/thread_event.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace weft::detail {

// --- the group ----------------------------------------------------------------------------------

/// Children that are many would meet in the lock of one stop state whenever they wait for
/// something.
struct alignas(cache_line) task_group::stop_shard {
    static constexpr unsigned per_worker = 4;

    stop_context context;
    unsigned turn = 0;  // of a worker's first shard, its own thread only: whose turn it is
};

task_group::task_group(scheduler* home, on_error policy) noexcept
    : end_hook(&plain_child_ended)
    , context_(home, nullptr)
    , policy_(policy)
    , has_peers_(home->worker_count() > 1) {
    ambient_.soft_stop = &soft_stop_;
    context_.ambient = &ambient_;
}

task_group::task_group(context const& surroundings, on_error policy) noexcept
    : end_hook(&plain_child_ended)
    , context_(surroundings)
    , policy_(policy)
    , has_peers_(surroundings.sched != nullptr && surroundings.sched->worker_count() > 1)
    , ambient_(*surroundings.ambient)
    , soft_stop_(ambient_.soft_stop != nullptr ? ambient_.soft_stop : &context_.own_stop) {
    ambient_.soft_stop = &soft_stop_;
    context_.ambient = &ambient_;
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

void task_group::count_spawn() noexcept {
    WEFT_CHECK(context_.sched != nullptr,
               "spawn needs a runtime: await the scope in a task that a runtime runs");
    // relaxed: count — the caller's share keeps the group alive; the queue orders the rest
    std::size_t const before = pending_.fetch_add(child_share, relaxed);
    WEFT_CHECK(before != 0, "a task is spawned into a scope that has ended");
}

void task_group::start_plain(promise_base& promise) noexcept {
    count_spawn();
    // The shards are those of this scheduler's workers.
    promise.context_ = context_.sched->is_current() ? &shared_context() : &context_;
    promise.completion_ = this;
    make_ready(promise);
}

void task_group::start_counted(child_record& record,
                               promise_base& promise,
                               bool may_shed) noexcept {
    promise.context_ = &record.kept_.context;
    promise.completion_ = &record;
    if (may_shed) {
        record.on_done = &child_record::starting;
    }
    make_ready(promise, may_shed ? wake_as::notify : wake_as::resume);
}

context const& task_group::choose_context() noexcept {
    // acquire: observe the shards; pairs with make_shards():publish
    stop_shard* shards = shards_.load(acquire);
    if (shards == nullptr) {
        // relaxed: hint — a few children more or less follow the group itself
        if (pending_.load(relaxed) < few_children * child_share) [[likely]] {
            return context_;
        }
        shards = make_shards();
        if (shards == nullptr) {
            return context_;
        }
    }
    // Children stay where they started, mostly: those of one worker share its shards.
    stop_shard* const own =
        shards + std::size_t{current_worker()->index()} * stop_shard::per_worker;
    return own[own->turn++ % stop_shard::per_worker].context;
}

task_group::stop_shard* task_group::make_shards() noexcept {
    scoped_lock const lock(mutex_);
    // relaxed: own — written under the mutex only
    stop_shard* shards = shards_.load(relaxed);
    if (shards == nullptr) {
        unsigned const count = context_.sched->worker_count() * stop_shard::per_worker;
        shards = new (std::nothrow) stop_shard[count];
        if (shards == nullptr) {
            return nullptr;
        }
        for (unsigned i = 0; i < count; ++i) {
            shards[i].context.follow(context_);
        }
        // release: publish the shards; pairs with choose_context():observe
        shards_.store(shards, release);
    }
    return shards;
}

std::size_t task_group::children() const noexcept {
    // acquire: observe what ended children wrote; pairs with arrive():count
    return pending_.load(acquire) / child_share;
}

bool task_group::request_stop(stop_reason const& reason) noexcept {
    return context_.own_stop.request_stop(reason, &soft_stop_);  // keeps I4
}

void task_group::note_stopped() noexcept {
    stop_state* const outer = context_.own_stop.parent();
    if (outer != nullptr && !outer->stop_requested()) {
        return;  // somebody here asked for it, who knows
    }
    // relaxed: publish — ordered by the count in arrive() (I2)
    child_stopped_.store(true, relaxed);
}

std::coroutine_handle<> task_group::plain_child_ended(end_hook& base,
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
        record.is_reported_ = true;
        record.around_.listener = listener != nullptr ? &listener->share() : nullptr;
        record.tell_waiter();
        record.drop_child();
    } else {
        report_lost_error(listener, record.kept_.error);
        record.dispose();
    }
    if (policy_ == on_error::stop_siblings) {
        request_stop(stop_reason(stop_kind::sibling_failed));
    }
}

void task_group::fail_plain(std::exception_ptr error) noexcept {
    if (policy_ == on_error::report) {
        report_lost_error(listener, error);
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

bool task_group::has_errors() const noexcept {
    for (child_record* each = first_failed_; each != nullptr; each = each->around_.next) {
        if (policy_ == on_error::stop_siblings || !each->cell_.was_taken()) {
            return true;
        }
    }
    return unlisted_error_ != nullptr;
}

void task_group::take_errors(error_list& all) {
    for (child_record* each = first_failed_; each != nullptr; each = each->around_.next) {
        if (policy_ == on_error::stop_siblings || !each->cell_.was_taken()) {
            all.add(each->kept_.error, each->name());
        }
    }
    all.add(unlisted_error_);
}

void task_group::add_error(std::exception_ptr error) noexcept {
    child_record* const record = child_record::of_error(error);
    if (record != nullptr) {
        list(*record);
    } else {
        unlisted_error_ = std::move(error);
    }
}

// --- the join -----------------------------------------------------------------------------------

std::coroutine_handle<> task_group::arrive() noexcept {
    // acq_rel: count — publish this child's effects (I2), and observe everybody's when the last
    // one; pairs with itself and with join()
    if (pending_.fetch_sub(child_share, acq_rel) != child_share) {
        return std::noop_coroutine();
    }
    return end_grace() ? std::noop_coroutine() : tell_joiner();
}

std::coroutine_handle<> task_group::tell_joiner() noexcept {
    if (joining_thread_ != nullptr) {
        joining_thread_->signal();
        return std::noop_coroutine();
    }
    return joiner_->on_done(*joiner_, *owner_);
}

bool task_group::join(end_hook& joiner, promise_base& owner) noexcept {
    joiner_ = &joiner;
    owner_ = &owner;
    // acq_rel: count — publish joiner_ and observe the children's effects; pairs with arrive()
    return pending_.fetch_sub(joiner_share, acq_rel) != joiner_share || end_grace();
}

void task_group::join_blocking() noexcept {
    thread_event done;
    joining_thread_ = &done;
    // acq_rel: count — publish joining_thread_ and observe the children's effects; pairs with
    // arrive()
    if (pending_.fetch_sub(joiner_share, acq_rel) != joiner_share || end_grace()) {
        done.wait();
    }
}

bool task_group::count_child() noexcept {
    WEFT_CHECK(context_.sched != nullptr,
               "spawn needs a runtime: await the scope in a task that a runtime runs");
    // relaxed: hint — the exchange below decides
    std::size_t pending = pending_.load(relaxed);
    while (pending != 0) {
        // relaxed: count — the group is known to be alive; the loser looks again
        if (pending_.compare_exchange_weak(pending, pending + child_share, relaxed, relaxed)) {
            return true;
        }
    }
    return false;
}

// --- soft stops ---------------------------------------------------------------------------------

struct task_group::grace_period : end_hook {
    explicit grace_period(task_group& owner) noexcept
        : end_hook(&over)
        , group(&owner)
        , own_context(owner.context_.sched, nullptr) {}

    /// Hears of nobody's stop but the last child's.
    static task<> wait(task_group& group, stop_reason reason, time_span length) {
        co_await sleep_for(length);
        group.request_stop(reason);
    }

    static std::coroutine_handle<> over(end_hook& base, promise_base& finished) noexcept {
        task_group& group = *static_cast<grace_period&>(base).group;
        finished.handle().destroy();
        return static_cast<grace_period&>(base).is_last() ? group.tell_joiner()
                                                          : std::noop_coroutine();
    }

    /// For the last child and for the end of the grace: true for the later one. The other must not
    /// touch the group any more.
    [[nodiscard]] bool is_last() noexcept {
        // acq_rel: count — publish what this side did and observe the other's when last; pairs with
        // itself
        return ends.fetch_add(1, acq_rel) == 1;
    }

    // --- constant after construction -------------------------------------------
    task_group* group;
    stop_context own_context;

    // --- any thread, atomic ------------------------------------------------------
    /// Written by the last child and by the end of the grace.
    atomic<int> ends{0};
};

/// Stands in `grace_` where no grace can begin any more.
task_group::grace_period* task_group::over_mark() noexcept {
    alignas(grace_period) static unsigned char mark;
    return reinterpret_cast<grace_period*>(&mark);
}

bool task_group::request_stop(stop_reason const& reason, time_span grace) noexcept {
    if (grace == time_span() || context_.sched == nullptr) {
        return request_stop(reason);
    }
    if (context_.own_stop.stop_requested()) {
        return false;
    }
    grace_period* period = nullptr;
    try {
        period = new grace_period(*this);
        task<> wait = grace_period::wait(*this, reason, grace);
        promise_base& promise = task_access::promise(wait);
        promise.context_ = &period->own_context;
        promise.completion_ = period;
        grace_period* none = nullptr;
        // release: publish the period; pairs with end_grace():observe. The loser (relaxed: it
        // reads nothing) comes after another, or when the last child has ended: then it asks for
        // good.
        if (!grace_.compare_exchange_strong(none, period, release, relaxed)) {
            delete period;
            return none == over_mark() && request_stop(reason);
        }
        (void)task_access::release(wait);
        soft_stop_.request_stop(reason);  // may have come from the surroundings already
        make_ready(promise);              // keeps I5: the last access to the group
    } catch (...) {
        delete period;
        return request_stop(reason);  // there is no memory to wait in
    }
    return true;
}

/// Whoever brought pending_ to 0: no grace begins any more, and one that runs is stopped. True when
/// that one tells the joiner instead of the caller.
bool task_group::end_grace() noexcept {
    grace_period* period = nullptr;
    // acquire: claim — no grace begins any more; pairs with request_stop():publish. The loser
    // (acquire: observe) has the period.
    if (grace_.compare_exchange_strong(period, over_mark(), acquire, acquire)) [[likely]] {
        return false;
    }
    period->own_context.own_stop.request_stop();
    return !period->is_last();
}

// --- the end ------------------------------------------------------------------------------------

task_group::~task_group() {
    WEFT_ASSERT(children() == 0, "a task group is destroyed with children alive");
    context_.own_stop.await_requester();  // keeps I5
    while (first_failed_ != nullptr) {
        child_record& each = *std::exchange(first_failed_, first_failed_->around_.next);
        each.drop_child();
    }
    // relaxed: own — every child is gone
    if (grace_period* const period = grace_.load(relaxed); period != over_mark()) {
        delete period;
    }
    // relaxed: own — as above
    if (stop_shard* const shards = shards_.load(relaxed); shards != nullptr) {
        delete[] shards;
    }
}

}  // namespace weft::detail
