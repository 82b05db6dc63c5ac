#pragma once

#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>

namespace weft::test {

/// Lets everything that is ready on a pool of one worker run until it waits.
inline task<> let_others_run() {
    for (int i = 0; i < 12; ++i) {
        co_await yield();
    }
}

}  // namespace weft::test
