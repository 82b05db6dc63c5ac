#pragma once

/// Everything in which a task can wait for a primitive of sync/, in one form, so that the tests of
/// cancellation put each through the same mill.
///
/// A site:
///     wait()            waits; when it is let through, `passed` grows, and the next one waits
///     wait_for_code()   the same with as_result: the error code
///     let_through()     lets one waiter through, or, if `keeps`, the next one that comes
///     take_back()       whether somebody could pass now; nobody can afterwards
///     keeps             what is let through is kept until somebody has it
///     selects           the wait is a branch of a select, beside one that nobody completes

#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/barrier.hpp>
#include <weft/sync/locks/condition.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/latch.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/locks/once.hpp>
#include <weft/sync/locks/semaphore.hpp>
#include <weft/sync/locks/shared_mutex.hpp>
#include <weft/sync/select.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <system_error>
#include <utility>

namespace weft::test {

struct sync_site {
    static constexpr bool selects = false;

    std::atomic<int> passed{0};
};

/// For those whose operation is one await. `Site` has operation() and undo(), which gives back
/// what wait() has taken where that is needed for the next one to wait.
template <class Site>
struct simple_site : sync_site {
    task<> wait() {
        co_await self().operation();
        ++passed;
    }

    task<std::error_code> wait_for_code() {
        auto const ended = co_await (self().operation() | as_result);
        if (ended) {
            ++passed;
        }
        co_return ended.error();
    }

private:
    Site& self() noexcept { return static_cast<Site&>(*this); }
};

/// Whoever is let through keeps the mutex; letting through unlocks.
struct mutex_site : simple_site<mutex_site> {
    static constexpr bool keeps = true;

    mutex_site() { CHECK(primitive.try_lock()); }

    ~mutex_site() { primitive.unlock(); }

    auto operation() { return primitive.lock(); }

    void let_through() { primitive.unlock(); }

    bool take_back() { return primitive.try_lock(); }

    mutex primitive;
};

struct shared_mutex_writer_site : simple_site<shared_mutex_writer_site> {
    static constexpr bool keeps = true;

    shared_mutex_writer_site() { CHECK(primitive.try_lock()); }

    ~shared_mutex_writer_site() { primitive.unlock(); }

    auto operation() { return primitive.lock(); }

    void let_through() { primitive.unlock(); }

    bool take_back() { return primitive.try_lock(); }

    shared_mutex primitive;
};

/// Readers wait behind a writer. One that is let in makes way for the next writer, which is the
/// test again.
struct shared_mutex_reader_site : sync_site {
    static constexpr bool keeps = true;

    shared_mutex_reader_site() { CHECK(primitive.try_lock()); }

    ~shared_mutex_reader_site() { primitive.unlock(); }

    task<> wait() {
        co_await primitive.lock_shared();
        primitive.unlock_shared();
        co_await primitive.lock();
        ++passed;
    }

    task<std::error_code> wait_for_code() {
        auto const ended = co_await (primitive.lock_shared() | as_result);
        if (ended) {
            primitive.unlock_shared();
            co_await primitive.lock();
            ++passed;
        }
        co_return ended.error();
    }

    void let_through() { primitive.unlock(); }

    bool take_back() { return primitive.try_lock(); }

    shared_mutex primitive;
};

struct semaphore_site : simple_site<semaphore_site> {
    static constexpr bool keeps = true;

    auto operation() { return primitive.acquire(2); }

    void let_through() { primitive.release(2); }

    bool take_back() { return primitive.try_acquire(2); }

    semaphore primitive{0};
};

struct auto_reset_event_site : simple_site<auto_reset_event_site> {
    static constexpr bool keeps = true;

    auto operation() { return primitive.wait(); }

    void let_through() { primitive.set(); }

    bool take_back() { return primitive.try_wait(); }

    auto_reset_event primitive;
};

/// Lets everybody through who waits, hence keeps nothing for one.
struct manual_reset_event_site : simple_site<manual_reset_event_site> {
    static constexpr bool keeps = false;

    auto operation() { return primitive.wait(); }

    void let_through() {
        primitive.set();
        primitive.reset();
    }

    bool take_back() { return primitive.is_set(); }

    manual_reset_event primitive;
};

struct latch_site : simple_site<latch_site> {
    static constexpr bool keeps = false;

    auto operation() { return primitive->wait(); }

    void let_through() { primitive->count_down(); }

    bool take_back() {
        primitive.emplace(1U);
        return false;
    }

    std::optional<latch> primitive{std::in_place, 1U};
};

/// Somebody who is no task runs what is to be done once; it is done when it lets through.
struct once_site : simple_site<once_site> {
    struct do_nothing {
        task<> operator()() const { co_return; }
    };

    using call = detail::once_call<do_nothing>;

    static constexpr bool keeps = false;

    once_site() { CHECK(primitive->try_start()); }

    auto operation() { return detail::once_operation<call>(call(*primitive, do_nothing())); }

    void let_through() { primitive->finish(true); }

    bool take_back() {
        primitive.emplace();
        CHECK(primitive->try_start());
        return false;
    }

    std::optional<detail::once_core> primitive{std::in_place};
};

/// Another participant arrives when it lets through, without waiting.
struct barrier_site : simple_site<barrier_site> {
    struct count_phase {
        void operator()() const noexcept { ++*phases; }

        std::atomic<int>* phases;
    };

    static constexpr bool keeps = true;

    auto operation() { return primitive->arrive_and_wait(); }

    void let_through() {
        ++arrivals;
        primitive->arrive_and_drop();
    }

    /// Whether the other one has arrived at a phase that has not ended: the waiter's arrival was
    /// taken back.
    bool take_back() {
        bool const open = arrivals.exchange(0) > phases.exchange(0);
        primitive.emplace(2U, count_phase{&phases});
        return open;
    }

    std::atomic<int> arrivals{0};
    std::atomic<int> phases{0};
    std::optional<barrier<count_phase>> primitive{std::in_place, 2U, count_phase{&phases}};
};

struct condition_site : sync_site {
    static constexpr bool keeps = false;

    task<> wait() {
        auto guard = co_await lock.scoped_lock();
        co_await primitive.wait(guard);
        ++passed;
        CHECK_FALSE(lock.try_lock());
    }

    task<std::error_code> wait_for_code() {
        auto guard = co_await lock.scoped_lock();
        auto const ended = co_await (primitive.wait(guard) | as_result);
        if (ended) {
            ++passed;
        }
        CHECK_FALSE(lock.try_lock());
        co_return ended.error();
    }

    void let_through() { primitive.notify_one(); }

    bool take_back() {
        CHECK(lock.try_lock());  // whoever was stopped has unlocked it
        lock.unlock();
        return false;
    }

    mutex lock;
    condition_variable primitive;
};

/// Waits for a permit that the mutex protects.
struct predicate_site : sync_site {
    static constexpr bool keeps = true;

    task<> wait() {
        auto guard = co_await lock.scoped_lock();
        co_await primitive.wait(guard, [this] { return permits > 0; });
        --permits;
        ++passed;
    }

    task<std::error_code> wait_for_code() {
        auto guard = co_await lock.scoped_lock();
        auto operation = primitive.wait(guard, [this] { return permits > 0; });
        auto const ended = co_await (std::move(operation) | as_result);
        if (ended) {
            --permits;
            ++passed;
        }
        co_return ended.error();
    }

    /// Without the mutex, for which a worker's thread could not wait; a notification can be lost
    /// then, but not the permit.
    void let_through() {
        ++permits;
        primitive.notify_one();
    }

    bool take_back() { return permits.exchange(0) > 0; }

    mutex lock;
    condition_variable primitive;
    std::atomic<int> permits{0};
};

/// The same wait as a branch of a select.
template <class Site>
struct selecting_site : Site {
    static constexpr bool selects = true;

    task<> wait() {
        auto const won = co_await select(this->operation(), quiet.recv());
        note(won);
    }

    task<std::error_code> wait_for_code() {
        auto const ended = co_await (select(this->operation(), quiet.recv()) | as_result);
        if (ended) {
            note(*ended);
        }
        co_return ended.error();
    }

private:
    template <class Result>
    void note(Result const& won) {
        CHECK(won.index() == 0);
        ++this->passed;
    }

    channel<int> quiet{0};
};

/// The same of a wait for a condition: the task has the mutex, whatever came of it.
struct selecting_condition_site : condition_site {
    static constexpr bool selects = true;

    task<> wait() {
        auto guard = co_await lock.scoped_lock();
        auto const won = co_await select(quiet.recv(), primitive.wait(guard));
        CHECK(won.index() == 1);
        ++passed;
        CHECK_FALSE(lock.try_lock());
    }

    task<std::error_code> wait_for_code() {
        auto guard = co_await lock.scoped_lock();
        auto const ended = co_await (select(quiet.recv(), primitive.wait(guard)) | as_result);
        if (ended) {
            ++passed;
        }
        CHECK_FALSE(lock.try_lock());
        co_return ended.error();
    }

    channel<int> quiet{0};
};

struct selecting_predicate_site : predicate_site {
    static constexpr bool selects = true;

    task<> wait() {
        auto guard = co_await lock.scoped_lock();
        has_permit const holds{&permits};
        auto const won = co_await select(quiet.recv(), primitive.wait(guard, holds));
        CHECK(won.index() == 1);
        --permits;
        ++passed;
    }

    task<std::error_code> wait_for_code() {
        auto guard = co_await lock.scoped_lock();
        has_permit const holds{&permits};
        auto const ended =
            co_await (select(quiet.recv(), primitive.wait(guard, holds)) | as_result);
        if (ended) {
            --permits;
            ++passed;
        }
        co_return ended.error();
    }

    struct has_permit {
        bool operator()() const { return *count > 0; }

        std::atomic<int>* count;
    };

    channel<int> quiet{0};
};

}  // namespace weft::test
