#include <weft/runtime/core/idle_set.hpp>

#include <weft/runtime/base/assert.hpp>

namespace weft::detail {

idle_set::idle_set(unsigned worker_count)
    : worker_count_(worker_count)
    , word_(worker_count * one_awake)
    , sleepers_(new unsigned[worker_count]) {
    WEFT_CHECK(worker_count >= 1 && worker_count <= max_workers, "worker count out of range");
}

idle_set::~idle_set() {
    delete[] sleepers_;
}

unsigned idle_set::pick() noexcept {
    scoped_lock const lock(mutex_);
    if (!wanted() || sleeper_count_ == 0) {
        return nobody;
    }
    // seq_cst: count the sleeper as awake and searching (I4); pairs with wanted()
    word_.fetch_add(one_awake + one_searching, seq_cst);
    return sleepers_[--sleeper_count_];
}

bool idle_set::begin_search() noexcept {
    // relaxed: hint — two workers that pass at the same time search together, which is only less
    // thrifty
    if (2 * searching(word_.load(relaxed)) >= worker_count_) {
        return false;
    }
    // seq_cst: count, in the order of the publications that rely on a searcher (I2); pairs with
    // wanted()
    word_.fetch_add(one_searching, seq_cst);
    return true;
}

bool idle_set::end_search() noexcept {
    // seq_cst: count, as in begin_search()
    return searching(word_.fetch_sub(one_searching, seq_cst)) == 1;
}

void idle_set::begin_sleep(unsigned worker, bool is_searching) noexcept {
    scoped_lock const lock(mutex_);
    sleepers_[sleeper_count_++] = worker;
    // seq_cst: Dekker with wanted() (I1); the caller's fence follows
    word_.fetch_sub(one_awake + (is_searching ? one_searching : 0), seq_cst);
}

bool idle_set::end_sleep(unsigned worker) noexcept {
    scoped_lock const lock(mutex_);
    for (unsigned i = 0; i < sleeper_count_; ++i) {
        if (sleepers_[i] == worker) {
            for (; i + 1 < sleeper_count_; ++i) {
                sleepers_[i] = sleepers_[i + 1];
            }
            --sleeper_count_;
            // seq_cst: count; pairs with wanted()
            word_.fetch_add(one_awake, seq_cst);
            return false;
        }
    }
    return true;
}

}  // namespace weft::detail
