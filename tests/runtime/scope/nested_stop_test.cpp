#include <weft/runtime/coro/promise.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <system_error>
#include <thread>

#include <pthread.h>

// How deep what handles stops may be nested in one another, on the stack of a worker: a stop goes
// down to the innermost, and each level goes home, by loops.

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

/// A sanitizer takes its time and its memory.
constexpr int levels = WEFT_ASAN || WEFT_TSAN ? 20'000 : 1'000'000;

/// Far less than a byte a level.
constexpr std::size_t small_stack = WEFT_ASAN || WEFT_TSAN ? 1'024 * 1'024 : 256 * 1'024;

struct descent {
    task<> innermost() {
        reached.store(true);
        reached.notify_all();
        co_await weft::sleep_for(24h);
    }

    std::atomic<bool> reached = false;
    weft::stop_source source;
};

enum class kind : unsigned char {
    scope,
    timeout,
    token,
    soft,
    shield,
    result,
    cleanup,
    join,
    race,
    mix,
};

task<> level(descent& way, kind wanted, int depth);

task<> in_scope(descent& way, kind wanted, int depth) {
    auto body = [&](nursery&) -> task<> { co_await level(way, wanted, depth); };
    co_await weft::scope(body);
}

task<> in_timeout(descent& way, kind wanted, int depth) {
    co_await weft::timeout(24h, level(way, wanted, depth));
}

task<> under_token(descent& way, kind wanted, int depth) {
    co_await weft::with_stop_token(way.source.token(), level(way, wanted, depth));
}

task<> until_soft(descent& way, kind wanted, int depth) {
    co_await weft::until_soft_stop(level(way, wanted, depth));
}

task<> in_shield(descent& way, kind wanted, int depth) {
    co_await weft::shielded(0s, level(way, wanted, depth));
}

task<> for_result(descent& way, kind wanted, int depth) {
    (void)co_await (level(way, wanted, depth) | weft::as_result);
}

task<> nothing() {
    co_return;
}

task<> with_cleanup(descent& way, kind wanted, int depth) {
    co_await weft::finally(level(way, wanted, depth), nothing());
}

task<> in_join(descent& way, kind wanted, int depth) {
    co_await weft::when_all(level(way, wanted, depth), nothing());
}

task<> in_race(descent& way, kind wanted, int depth) {
    (void)co_await weft::when_any(level(way, wanted, depth));
}

task<> level(descent& way, kind wanted, int depth) {
    if (depth == 0) {
        return way.innermost();
    }
    constexpr int kinds = static_cast<int>(kind::mix);
    switch (wanted == kind::mix ? static_cast<kind>(depth % kinds) : wanted) {
        case kind::scope:
            return in_scope(way, wanted, depth - 1);
        case kind::timeout:
            return in_timeout(way, wanted, depth - 1);
        case kind::token:
            return under_token(way, wanted, depth - 1);
        case kind::soft:
            return until_soft(way, wanted, depth - 1);
        case kind::shield:
            return in_shield(way, wanted, depth - 1);
        case kind::result:
            return for_result(way, wanted, depth - 1);
        case kind::cleanup:
            return with_cleanup(way, wanted, depth - 1);
        case kind::join:
            return in_join(way, wanted, depth - 1);
        default:
            return in_race(way, wanted, depth - 1);
    }
}

/// Threads that are made meanwhile, as workers are, have a small stack.
class small_stacks {
public:
    small_stacks() noexcept {
        ::pthread_getattr_default_np(&before_);
        ::pthread_attr_t small;
        ::pthread_getattr_default_np(&small);
        ::pthread_attr_setstacksize(&small, small_stack);
        CHECK(::pthread_setattr_default_np(&small) == 0);
        ::pthread_attr_destroy(&small);
    }

    small_stacks(small_stacks const&) = delete;
    small_stacks& operator=(small_stacks const&) = delete;

    ~small_stacks() {
        ::pthread_setattr_default_np(&before_);
        ::pthread_attr_destroy(&before_);
    }

private:
    ::pthread_attr_t before_;
};

constexpr kind all_kinds[] = {kind::scope,
                              kind::timeout,
                              kind::token,
                              kind::soft,
                              kind::shield,
                              kind::result,
                              kind::cleanup,
                              kind::join,
                              kind::race,
                              kind::mix};

/// A shield's level takes a timer, a join's a way through the queue: that is time, not stack.
int levels_of(kind wanted) {
    return wanted == kind::mix || wanted == kind::scope ? levels : levels / 50;
}

}  // namespace

TEST_SUITE("runtime/nested_stop") {
    TEST_CASE("a million levels that handle stops are stopped on a small stack") {
        for (kind const each : all_kinds) {
            CAPTURE(static_cast<int>(each));
            small_stacks const small;
            weft::thread_pool pool({.workers = 1});
            descent way;
            bool went_on = false;
            auto watch = [&](nursery& n) -> task<> {
                while (!way.reached) {
                    co_await weft::sleep_for(1ms);
                }
                n.request_stop();
            };
            auto body = [&](nursery& n) -> task<> {
                n.spawn(watch(n));
                co_await level(way, each, levels_of(each));
            };
            auto all = [&]() -> task<> {
                co_await weft::scope(body);
                went_on = true;
            };
            pool.block_on(all());
            CHECK(went_on);
        }
    }

    TEST_CASE("levels that handle stops end with their runtime on a small stack") {
        descent way;
        {
            small_stacks const small;
            weft::thread_pool pool({.workers = 1});
            pool.spawn(level(way, kind::mix, levels / 5));
            way.reached.wait(false);
        }
        CHECK(way.reached);
    }

    TEST_CASE("scopes are stopped on a small stack without a runtime") {
        int unwound = 0;

        struct counting {
            ~counting() { ++*count; }

            int* count;
        };

        struct nest {
            static task<> level(nursery& outermost, int& count, int depth) {
                auto body = [&](nursery&) -> task<> {
                    counting const left{&count};
                    if (depth == 0) {
                        outermost.request_stop();
                        co_await weft::this_task::stop_point();
                    }
                    co_await level(outermost, count, depth - 1);
                };
                co_await weft::scope(body);
            }
        };

        auto all = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                co_await nest::level(n, unwound, levels / 5 - 1);
            };
            co_await weft::scope(body);
        };
        auto const run = [&] { weft::sync_wait(all()); };
        {
            small_stacks const small;
            std::thread(run).join();
        }
        CHECK(unwound == levels / 5);
    }

    TEST_CASE("a token stops levels that follow it on a small stack") {
        small_stacks const small;
        weft::thread_pool pool({.workers = 1});
        descent way;
        auto watch = [&]() -> task<> {
            while (!way.reached) {
                co_await weft::sleep_for(1ms);
            }
            way.source.request_stop();
        };
        bool stopped = false;
        auto work = [&]() -> task<> {
            auto const ended = co_await (level(way, kind::token, levels / 5) | weft::as_result);
            stopped = ended.error() == std::errc::operation_canceled;
        };
        auto all = [&]() -> task<> { co_await weft::when_all(work(), watch()); };
        pool.block_on(all());
        CHECK(stopped);
    }
}
