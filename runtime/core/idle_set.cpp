#include <weft/runtime/core/idle_set.hpp>

#include <weft/runtime/base/argument.hpp>

namespace weft::detail {

unsigned idle_set::checked(unsigned worker_count) {
    check_argument(worker_count >= 1 && worker_count <= max_workers,
                   "a runtime has between 1 and 1024 workers");
    return worker_count;
}

idle_set::idle_set(unsigned worker_count)
    : worker_count_(checked(worker_count))
    , word_(worker_count * one_awake)
    , sleepers_(new unsigned[worker_count]) {}

idle_set::~idle_set() {
    delete[] sleepers_;
}

unsigned idle_set::pick() noexcept {
    scoped_lock const lock(mutex_);
    if (!wanted() || sleeper_count_ == 0) {
        return nobody;
    }
    unsigned const chosen = sleepers_[--sleeper_count_];
    // relaxed: count the sleeper as awake and searching (I4); ordered by the fences (I1)
    word_.fetch_add(one_awake + one_searching - watch_of(chosen), relaxed);
    return chosen;
}

bool idle_set::begin_search() noexcept {
    // relaxed: hint — two workers that pass at the same time search together, which is only less
    // thrifty
    if (2 * searching(word_.load(relaxed)) >= worker_count_) {
        return false;
    }
    // relaxed: count — who leaves again looks behind a fence (I1, I3)
    word_.fetch_add(one_searching, relaxed);
    return true;
}

bool idle_set::end_search() noexcept {
    // relaxed: count — the last searcher looks again, behind a fence (I1, I2)
    std::uint32_t const word = word_.fetch_sub(one_searching, relaxed);
    return searching(word) == 1 && awake(word) < worker_count_;
}

bool idle_set::begin_sleep(unsigned worker, bool is_searching, bool wants_to_watch) noexcept {
    scoped_lock const lock(mutex_);
    sleepers_[sleeper_count_++] = worker;
    std::uint32_t watch = 0;
    if (wants_to_watch && watcher_ == nobody) {
        watcher_ = worker;
        watch = watched;
    }
    // relaxed: Dekker with wanted() through the caller's fence, which follows (I1)
    word_.fetch_sub(one_awake + (is_searching ? one_searching : 0) - watch, relaxed);
    return watch != 0;
}

bool idle_set::rise(unsigned worker, bool is_certain) noexcept {
    scoped_lock const lock(mutex_);
    unsigned* const place = find(worker);
    if (place == nullptr) {
        return true;
    }
    // relaxed: hint — as in begin_search(); searchers that leave meanwhile look again themselves
    // (I3)
    if (!is_certain && 2 * searching(word_.load(relaxed)) >= worker_count_) {
        return false;
    }
    erase(place);
    // relaxed: count — as in begin_search()
    word_.fetch_add(one_awake + one_searching - watch_of(worker), relaxed);
    return true;
}

bool idle_set::end_sleep(unsigned worker) noexcept {
    scoped_lock const lock(mutex_);
    unsigned* const place = find(worker);
    if (place == nullptr) {
        return true;
    }
    erase(place);
    // relaxed: count — this worker is awake, and looks at its queues before it sleeps again
    word_.fetch_add(one_awake - watch_of(worker), relaxed);
    return false;
}

/// Under the mutex. Null when pick() has taken the worker from the list.
unsigned* idle_set::find(unsigned worker) noexcept {
    for (unsigned i = 0; i < sleeper_count_; ++i) {
        if (sleepers_[i] == worker) {
            return &sleepers_[i];
        }
    }
    return nullptr;
}

/// Under the mutex.
void idle_set::erase(unsigned* place) noexcept {
    --sleeper_count_;
    for (unsigned* const end = sleepers_ + sleeper_count_; place != end; ++place) {
        *place = place[1];
    }
}

/// Under the mutex: what the word loses when this worker gets up.
std::uint32_t idle_set::watch_of(unsigned worker) noexcept {
    if (watcher_ != worker) {
        return 0;
    }
    watcher_ = nobody;
    return watched;
}

}  // namespace weft::detail
