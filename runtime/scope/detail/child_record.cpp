#include <weft/runtime/scope/detail/child_record.hpp>

#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/scope/detail/task_group.hpp>
#include <weft/runtime/scope/join_handle.hpp>

#include <cstring>
#include <memory>
#include <utility>

namespace weft::detail {

name_copy::name_copy(std::string_view name)
    : text_(name.empty() ? nullptr : new char[name.size() + 1]) {
    if (text_ != nullptr) {
        std::memcpy(text_, name.data(), name.size());
        text_[name.size()] = '\0';
    }
}

child_record::child_record(free_function free, outcome how) noexcept
    : end_hook(nullptr)
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

void child_record::attach(task_group& group, context const& surroundings) noexcept {
    around_.group = &group;
    std::construct_at(&kept_.context, surroundings);
}

void child_record::refuse() noexcept {
    outcome_ = outcome::stopped;
    cell_.close();
    (void)cell_.end();
    drop_child();
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
    if (is_reported_) {
        if (!cell_.was_taken()) {
            report_lost_error(around_.listener, kept_.error);
        }
        if (around_.listener != nullptr) {
            around_.listener->drop();
        }
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
std::coroutine_handle<> child_record::starting(end_hook& base, promise_base& promise) noexcept {
    auto& self = static_cast<child_record&>(base);
    if (self.cell_.has_handle() || self.cell_.was_asked()) {
        self.on_done = &child_of<void>::ended;
    } else {
        task_group& group = *self.around_.group;
        std::destroy_at(&self.kept_.context);
        delete static_cast<child_of<void>*>(&self);  // nobody else knows it (handle_cell I3)
        promise.context_ = &group.shared_context();
        promise.completion_ = &group;
    }
    return continue_inline(promise);
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
        static_cast<handle_wait*>(waiter)->child_ended();
    }
}

void child_record::drop_child() noexcept {
    if (cell_.drop_child()) {
        bury();
    }
}

}  // namespace weft::detail
