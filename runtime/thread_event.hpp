#pragma once

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

}  // namespace weft::detail
