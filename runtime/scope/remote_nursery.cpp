#include <weft/runtime/scope/remote_nursery.hpp>

namespace weft::detail {

void remote_gate::share() noexcept {
    // relaxed: count — the caller's share keeps the gate alive
    owners_.fetch_add(1, relaxed);
}

void remote_gate::drop() noexcept {
    // acq_rel: count — the last owner observes what all others did; pairs with itself
    if (owners_.fetch_sub(1, acq_rel) == 1) {
        delete this;
    }
}

task_group* remote_gate::count_child() noexcept {
    {
        scoped_lock const lock(mutex_);
        if (group_ != nullptr && group_->count_child()) {
            return group_;
        }
    }
    // relaxed: count — a number for people
    refused_.fetch_add(1, relaxed);
    return nullptr;
}

bool remote_gate::request_stop(stop_reason const& reason) noexcept {
    task_group* group = nullptr;
    {
        scoped_lock const lock(mutex_);
        if (group_ == nullptr) {
            return false;
        }
        group = group_;
        ++requesters_;
    }
    bool const first = group->request_stop(reason);
    scoped_lock const lock(mutex_);
    if (--requesters_ == 0) {
        no_requester_.notify_all();
    }
    return first;
}

void remote_gate::close() noexcept {
    scoped_lock const lock(mutex_);
    group_ = nullptr;
    while (requesters_ != 0) {
        no_requester_.wait(mutex_);
    }
}

bool remote_gate::is_open() noexcept {
    scoped_lock const lock(mutex_);
    return group_ != nullptr;
}

std::size_t remote_gate::refused() const noexcept {
    // relaxed: count — as above
    return refused_.load(relaxed);
}

}  // namespace weft::detail
