#pragma once

#include <weft/runtime/base/config.hpp>
#include <weft/runtime/base/mutex.hpp>

namespace weft::detail {

/// What a foreign thread waits on. Signalled once.
class thread_event {
public:
    void signal() noexcept;
    void wait() noexcept;

private:
    mutex mutex_;
    condition condition_;
    bool signalled_ = false;
};

class scheduler;

/// While it lives, a task of `home` waits for what this thread, which is no worker, does.
class call_for_task {
public:
    explicit call_for_task(scheduler const* home) noexcept;
    call_for_task(call_for_task const&) = delete;
    call_for_task& operator=(call_for_task const&) = delete;
    ~call_for_task();
};

/// Whether this thread would wait for itself, if it waited for the tasks of `home` to end.
[[nodiscard]] bool makes_call_for(scheduler const& home) noexcept;

}  // namespace weft::detail
