#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// How a stop gets through a stack.

using namespace std::chrono_literals;
using weft::fiber;
using weft::nursery;
using weft::task;
using weft::test::aborted_saying;
using weft::test::death_of;
namespace this_fiber = weft::this_fiber;

namespace {

void sleep_long() {
    this_fiber::await(weft::sleep_for(24h));
}

/// Notes when it is destroyed.
struct mark {
    std::vector<std::string>* notes;
    char const* name;

    ~mark() { notes->emplace_back(name); }
};

/// Runs `f` as a fiber that is stopped after a second, and whoever awaits it with it.
template <class Function>
void stop_in(Function f) {
    weft::test::runtime rt;
    rt.block_on(
        [&]() -> task<> { (void)co_await weft::timeout(1s, fiber(std::move(f))).as_result(); });
}

// NOLINTNEXTLINE(misc-no-recursion): that is what is asked
void go_down(std::vector<std::string>& notes, int depth) {
    mark const here{&notes, depth == 0 ? "bottom" : "level"};
    if (depth == 0) {
        sleep_long();
    } else {
        go_down(notes, depth - 1);
    }
    notes.emplace_back("not reached");
}

/// What a child process says that runs `f` as a fiber and stops it.
template <class Function>
weft::test::death death_in(Function f) {
    return death_of([&f] { stop_in(f); });
}

}  // namespace

TEST_SUITE("runtime/fiber/stop") {
    TEST_CASE("a stop destroys what is on the stack, from the inside out, before anybody hears") {
        std::vector<std::string> notes;
        weft::test::runtime rt;
        rt.block_on([&]() -> task<> {
            auto limited = weft::timeout(1s, fiber([&] { go_down(notes, 3); }));
            auto const ended = co_await std::move(limited).as_result();
            CHECK(ended.error() == std::errc::timed_out);
            notes.emplace_back("told");
        });
        CHECK(notes == std::vector<std::string>{"bottom", "level", "level", "level", "told"});
    }

    TEST_CASE("a stop gets through catch (...), again at each await, whatever is awaited") {
        std::vector<std::string> notes;
        stop_in([&notes] {
            try {
                try {
                    sleep_long();
                } catch (...) {
                    notes.emplace_back("caught");
                }
                this_fiber::await([]() -> task<> { co_return; }());
                notes.emplace_back("not reached");
            } catch (std::exception const&) {
                notes.emplace_back("no exception of the standard");
            } catch (weft::fiber_stopped const&) {
                notes.emplace_back("caught by name");
            }
            try {
                this_fiber::yield();
            } catch (...) {
                notes.emplace_back("and again");
            }
        });
        CHECK(notes == std::vector<std::string>{"caught", "caught by name", "and again"});
    }

    TEST_CASE("what a stopped fiber returns or throws all the same is dropped") {
        weft::test::object_count count;
        bool went_on = false;
        weft::test::runtime rt;
        auto body = [&](nursery& n) -> task<> {
            auto swallows = n.spawn(fiber([&count] {
                try {
                    sleep_long();
                } catch (...) {
                }
                return weft::test::counted(count);
            }));
            auto throws = n.spawn(fiber([] {
                try {
                    sleep_long();
                } catch (...) {
                    throw std::runtime_error("instead of the stop");
                }
            }));
            co_await weft::sleep_for(1s);
            swallows.request_stop();
            throws.request_stop();
            co_await weft::sleep_for(1s);
            went_on = swallows.is_done() && throws.is_done();
        };
        rt.block_on([&] { return weft::scope(body); });
        CHECK(went_on);
        CHECK(count.alive == 0);
    }

    TEST_CASE("a stop that is told as a result is told once, and unwinds the next await") {
        int told = 0;
        bool unwound = false;
        stop_in([&] {
            try {
                for (int i = 0; i < 10; ++i) {
                    told += weft::this_fiber::await(weft::timeout(24h, weft::sleep_for(24h)) |
                                                    weft::as_result)
                                ? 0
                                : 1;
                }
            } catch (weft::fiber_stopped const&) {
                unwound = true;
                throw;
            }
        });
        CHECK(told == 1);
        CHECK(unwound);
    }

    TEST_CASE("a fiber that has begun to return delivers its value under a stop") {
        weft::test::runtime rt;
        auto body = [](nursery& n) -> task<int> {
            n.request_stop();
            co_return co_await fiber([] { return 6; });
        };
        auto const got = rt.block_on([&] { return weft::scope(body); });
        CHECK(got == 6);
    }

    TEST_CASE("a fiber in a task that is stopped begins, and is unwound at its first wait") {
        std::vector<std::string> notes;
        weft::test::runtime rt;
        auto body = [&notes](nursery& n) -> task<> {
            n.request_stop();
            co_await fiber([&notes] {
                notes.emplace_back("began");
                go_down(notes, 0);
            });
        };
        rt.block_on([&]() -> task<> { (void)co_await (weft::scope(body) | weft::as_result); });
        CHECK(notes == std::vector<std::string>{"began", "bottom"});
    }

    TEST_CASE("whatever a fiber waits in when the stop comes is over before its stack goes") {
        weft::test::object_count count;
        weft::test::runtime rt;
        rt.block_on([&]() -> task<> {
            auto child = [&count]() -> task<> {
                weft::test::counted const held(count);
                co_await weft::sleep_for(24h);
            };
            auto outer = fiber([&] {
                weft::test::counted const held(count);
                this_fiber::await(weft::when_any(child(), fiber([&] {
                                                     weft::test::counted const inner(count);
                                                     this_fiber::await(child());
                                                 })));
            });
            (void)co_await weft::timeout(1s, std::move(outer)).as_result();
            CHECK(count.alive == 0);
        });
    }

    TEST_CASE("what has to be awaited after a stop stands behind the fiber") {
        std::vector<std::string> notes;
        weft::test::runtime rt;
        rt.block_on([&]() -> task<> {
            auto cleanup = [&notes]() -> task<> {
                co_await weft::sleep_for(1s);
                notes.emplace_back("cleaned");
            };
            auto cleaned = weft::finally(fiber([&] { go_down(notes, 0); }), 1min, cleanup());
            (void)co_await weft::timeout(1s, std::move(cleaned)).as_result();
        });
        CHECK(notes == std::vector<std::string>{"bottom", "cleaned"});
    }

    TEST_CASE("what is shielded ends, and the stop comes after it") {
        std::vector<std::string> notes;
        stop_in([&notes] {
            mark const here{&notes, "unwound"};
            auto flush = [&notes]() -> task<> {
                co_await weft::sleep_for(5s);
                notes.emplace_back("flushed");
            };
            this_fiber::await(weft::shielded(1min, flush()));
            notes.emplace_back("went on");
            this_fiber::yield();
            notes.emplace_back("not reached");
        });
        CHECK(notes == std::vector<std::string>{"flushed", "went on", "unwound"});
    }

    TEST_CASE("a destructor that a stop runs sees no exception of others in its handlers") {
        int caught = 0;

        struct throws_within {
            int* caught;

            ~throws_within() {
                try {
                    throw 3;
                } catch (int value) {
                    *caught += value;
                }
            }
        };

        stop_in([&caught] {
            throws_within const here{&caught};
            sleep_long();
        });
        CHECK(caught == 3);
        CHECK(std::uncaught_exceptions() == 0);
    }

    TEST_CASE("stops that race with the end of the wait find every fiber whole") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::test::object_count count;
        weft::thread_pool pool({.workers = 3});
        int const rounds = weft::detail::tsan_enabled ? 200 : 1'000;
        for (int i = 0; i < rounds; ++i) {
            auto const limit = std::chrono::microseconds(random.below(30));
            auto const nap = std::chrono::microseconds(random.below(30));
            bool const migrates = random.one_in(2);
            auto body = [&]() -> task<> {
                auto sleeper = fiber(
                    [&count, nap] {
                        weft::test::counted const held(count);
                        this_fiber::await(weft::sleep_for(nap));
                        this_fiber::yield();
                        this_fiber::await(weft::sleep_for(nap));
                    },
                    {.may_migrate = migrates});
                (void)co_await weft::timeout(limit, std::move(sleeper)).as_result();
            };
            pool.block_on([&] { return weft::when_any(body(), body(), body()); });
            REQUIRE(count.alive == 0);
        }
    }
}

TEST_SUITE("runtime/fiber/misuse") {
    TEST_CASE("an await where no fiber runs names the cures") {
        CHECK(aborted_saying(death_of([] { this_fiber::await(weft::yield()); }),
                             "this_fiber::await is called where no fiber runs: in a coroutine, use "
                             "co_await; in a plain function, let weft::fiber(f) call it"));
        CHECK(aborted_saying(death_of([] { this_fiber::yield(); }),
                             "this_fiber::yield is called where no fiber runs"));
        // A coroutine that a fiber awaits does not run on the fiber's stack.
        CHECK(aborted_saying(death_of([] {
                                 weft::thread_pool pool({.workers = 1});
                                 auto child = []() -> task<> {
                                     this_fiber::yield();
                                     co_return;
                                 };
                                 pool.block_on(fiber([&] { this_fiber::await(child()); }));
                             }),
                             "this_fiber::yield is called where no fiber runs"));
    }

    TEST_CASE("an await in a destructor that a stop runs aborts, and says where it belongs") {
        struct awaits_at_end {
            ~awaits_at_end() { this_fiber::yield(); }
        };

        CHECK(aborted_saying(death_in([] {
                                 awaits_at_end const here;
                                 sleep_long();
                             }),
                             "let clean-ups that await stand behind the fiber, by "
                             "weft::finally(weft::fiber(f), cleanup)"));
    }

    TEST_CASE("a fiber that takes its stop for ever aborts, and says how to let it through") {
        if (weft::detail::tsan_enabled || weft::detail::asan_enabled) {
            return;  // a hundred thousand throws
        }
        CHECK(aborted_saying(death_in([] {
                                 for (;;) {
                                     try {
                                         sleep_long();
                                     } catch (...) {
                                     }
                                 }
                             }),
                             "catch (weft::fiber_stopped const&) { throw; }"));
    }
}
