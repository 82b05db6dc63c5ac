#pragma once

#include <tbb/global_control.h>
#include <tbb/task_arena.h>

namespace tbb_peer {

/// oneTBB on a given number of threads, the caller's among them.
class pool {
public:
    explicit pool(unsigned workers)
        : limit_(tbb::global_control::max_allowed_parallelism, workers)
        , arena_(static_cast<int>(workers)) {}

    template <class Work>
    auto run(Work const& work) {
        return arena_.execute(work);
    }

private:
    tbb::global_control limit_;
    tbb::task_arena arena_;
};

}  // namespace tbb_peer
