#include <weft/runtime/scope/nursery.hpp>

#include <weft/runtime/scope/finally.hpp>

#include <utility>

namespace weft {

time_span nursery::default_limit() noexcept {
    return default_cleanup_limit;
}

namespace detail {

nursery_extras::~nursery_extras() {
    WEFT_ASSERT(cleanups_ == nullptr, "a scope is destroyed before its clean-ups have run");
    if (remote_ != nullptr) {
        remote_->drop();
    }
}

void nursery_extras::add_cleanup(task<> work,
                                 time_span limit,
                                 std::source_location at,
                                 bool has_workers) {
    WEFT_CHECK(static_cast<bool>(work), "an empty task is deferred");
    if (has_workers) {  // else there are no timers
        work = clean_up(limit, std::move(work), at);
    }
    promise_base& promise = task_access::release(work).promise();
    scoped_lock const lock(mutex_);
    promise.sibling_ = std::exchange(cleanups_, &promise);
}

promise_base* nursery_extras::take_cleanup() noexcept {
    scoped_lock const lock(mutex_);
    promise_base* const youngest = cleanups_;
    if (youngest != nullptr) {
        cleanups_ = std::exchange(youngest->sibling_, nullptr);
    }
    return youngest;
}

remote_gate& nursery_extras::remote(task_group& group) {
    {
        scoped_lock const lock(mutex_);
        if (remote_ != nullptr) {
            return *remote_;
        }
    }
    auto* const made = new remote_gate(group);
    scoped_lock const lock(mutex_);
    if (remote_ == nullptr) {
        remote_ = made;
    } else {
        made->drop();
    }
    return *remote_;
}

void nursery_extras::close() noexcept {
    remote_gate* open = nullptr;
    {
        scoped_lock const lock(mutex_);
        open = remote_;
    }
    if (open != nullptr) {
        open->close();
    }
}

}  // namespace detail

}  // namespace weft
