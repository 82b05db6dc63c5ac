#include <weft/runtime/fiber/fiber.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/task_local.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using weft::fiber;
using weft::nursery;
using weft::task;
namespace this_fiber = weft::this_fiber;

namespace {

constinit weft::task_local<std::string> user;

task<int> answer() {
    co_await weft::yield();
    co_return 42;
}

task<int> fails() {
    co_await weft::yield();
    throw std::runtime_error("broken");
}

/// Runs `f` as a fiber on a pool of one worker.
template <class Function>
decltype(auto) run(Function f) {
    weft::thread_pool pool({.workers = 1});
    return pool.block_on(fiber(std::move(f)));
}

/// The message of what is caught, or "nothing".
template <class Function>
std::string error_of(Function f) {
    try {
        (void)f();
        return "nothing";
    } catch (std::exception const& error) {
        return error.what();
    }
}

/// Awaits at the bottom of a recursion of that depth, and adds up on the way back.
// NOLINTNEXTLINE(misc-no-recursion): that is what is asked
int sum_down_from(int depth) {
    if (depth == 0) {
        this_fiber::yield();
        return this_fiber::await(answer());
    }
    int const below = sum_down_from(depth - 1);
    if (depth % 16 == 0) {
        this_fiber::yield();
    }
    return below + depth;
}

/// An awaiter whose await_suspend answers as it is told.
struct answering {
    bool waits;
    int* suspended;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiter) const {
        ++*suspended;
        if (waits) {
            std::thread([waiter] { waiter.resume(); }).detach();
        }
        return waits;
    }

    [[nodiscard]] int await_resume() const noexcept { return 7; }
};

struct throws_in_suspend {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    void await_suspend(std::coroutine_handle<>) const { throw std::logic_error("no place"); }

    void await_resume() const noexcept {}
};

}  // namespace

TEST_SUITE("runtime/fiber") {
    TEST_CASE("what the function returns is the value of the task") {
        CHECK(run([] { return 3; }) == 3);
        int target = 1;
        static_assert(std::same_as<decltype(fiber([&]() -> int& { return target; })), task<int&>>);
        CHECK(&run([&]() -> int& { return target; }) == &target);
        run([&] { target = 2; });
        CHECK(target == 2);
        auto const moved = run([] { return std::make_unique<int>(5); });
        CHECK(*moved == 5);
    }

    TEST_CASE("a function that can be called only once is run as well") {
        struct once {
            std::unique_ptr<int> value = std::make_unique<int>(9);

            int operator()() && { return *value; }
        };

        CHECK(run(once()) == 9);
    }

    TEST_CASE("a value is destroyed once, and so is the function") {
        weft::test::object_count count;
        {
            auto held = weft::test::counted(count, 4);
            auto got = run([held = std::move(held), &count] {
                this_fiber::yield();
                return weft::test::counted(count, held.value + 1);
            });
            CHECK(got.value == 5);
        }
        CHECK(count.alive == 0);
        CHECK(count.copies == 0);
    }

    TEST_CASE("what the function throws is thrown where the task is awaited") {
        CHECK(error_of([] { run([] { throw std::runtime_error("from the fiber"); }); }) ==
              "from the fiber");
        CHECK(error_of([] {
                  return run([]() -> int {
                      this_fiber::yield();
                      throw std::runtime_error("after a wait");
                  });
              }) == "after a wait");
    }

    TEST_CASE("an await gives the value, and throws the error, where it stands") {
        auto const got = run([] {
            std::string seen;
            seen += std::to_string(this_fiber::await(answer()));
            seen += ' ' + error_of([] { return this_fiber::await(fails()); });
            auto const late =
                this_fiber::await(weft::timeout(1us, weft::sleep_for(1h)) | weft::as_result);
            seen += late.error() == std::errc::timed_out ? " late" : " in time";
            return seen;
        });
        CHECK(got == "42 broken late");
    }

    TEST_CASE("an awaiter that is resumed at once, or by a foreign thread, gives its value") {
        int suspended = 0;
        auto const got = run([&] {
            int sum = 0;
            for (int i = 0; i < 100; ++i) {
                sum += this_fiber::await(answering{i % 2 == 0, &suspended});
            }
            return sum;
        });
        CHECK(got == 700);
        CHECK(suspended == 100);
    }

    TEST_CASE("what await_suspend throws is thrown by the await, and the fiber goes on") {
        CHECK(run([] {
                  std::string const text =
                      error_of([] { return this_fiber::await(throws_in_suspend()), 0; });
                  return text + ", " + std::to_string(this_fiber::await(answer()));
              }) == "no place, 42");
    }

    TEST_CASE("a fiber sleeps, joins and is limited in time as a coroutine is") {
        weft::test::runtime rt;
        auto const start = rt.now();
        auto const got = rt.block_on(fiber([] {
            this_fiber::await(weft::sleep_for(1h));
            auto const [a, b] = this_fiber::await(weft::when_all(
                answer(), fiber([] { return this_fiber::await(weft::sleep_for(1h)), 8; })));
            auto const limited =
                this_fiber::await(weft::timeout(1min, weft::sleep_for(24h)).as_result());
            return std::to_string(a + b) + (limited ? " in time" : " late");
        }));
        CHECK(got == "50 late");
        CHECK(std::chrono::round<std::chrono::minutes>(rt.now() - start) == 121min);
    }

    TEST_CASE("stop, deadline and task-locals are those of whoever awaits the fiber") {
        weft::test::runtime rt;
        auto f = [] {
            std::string const* const name = this_fiber::await(user.find());
            bool const has_deadline{this_fiber::await(weft::this_task::deadline())};
            bool const stops = this_fiber::await(weft::this_task::stop_requested());
            auto child = []() -> task<std::string> { co_return *co_await user.find(); };
            return *name + this_fiber::await(child()) + (has_deadline ? " limited" : "") +
                   (stops ? " stopped" : "");
        };
        auto limited = [&f]() -> task<std::string> {
            co_return co_await weft::timeout(1h, fiber(f));
        };
        CHECK(rt.block_on(user.with("ada", limited())) == "adaada limited");
    }

    TEST_CASE("an await stands at any depth of calls") {
        constexpr int depth = weft::detail::tsan_enabled ? 500 : 1000;
        CHECK(run([] { return sum_down_from(depth); }) == 42 + depth * (depth + 1) / 2);
    }

    TEST_CASE("fibers await fibers") {
        weft::thread_pool pool({.workers = 2});
        // NOLINTNEXTLINE(misc-no-recursion): that is what is asked
        auto fib = [](auto& self, int n) -> int {
            if (n < 2) {
                this_fiber::yield();
                return n;
            }
            auto const [a, b] =
                this_fiber::await(weft::when_all(fiber([&self, n] { return self(self, n - 1); }),
                                                 fiber([&self, n] { return self(self, n - 2); })));
            return a + b;
        };
        CHECK(pool.block_on(fiber([&] { return fib(fib, 9); })) == 34);
    }

    TEST_CASE("a fiber runs without a runtime, as long as nothing has to be waited for") {
        auto plain = []() -> task<int> { co_return 4; };
        CHECK(weft::sync_wait(fiber([&] { return this_fiber::await(plain()); })) == 4);
    }

    TEST_CASE("a task of a fiber that is never awaited runs nothing") {
        weft::test::object_count count;
        int runs = 0;
        {
            auto held = weft::test::counted(count);
            auto never = fiber([&runs, held = std::move(held)] { ++runs; });
        }
        CHECK(runs == 0);
        CHECK(count.alive == 0);
    }

    TEST_CASE("a stack that makes no sense is refused by the call") {
        auto nothing = [] {};
        CHECK_THROWS_AS((void)fiber(nothing, {.stack_size = 100}), std::invalid_argument);
        CHECK_THROWS_AS((void)fiber(nothing, {.stack_size = std::size_t{1} << 40U}),
                        std::invalid_argument);
    }

    TEST_CASE("a fiber that never has to wait lets others run now and then") {
        weft::thread_pool pool({.workers = 1});
        bool flag = false;
        int turns = 0;
        auto body = [&](nursery& n) -> task<> {
            n.spawn(fiber([&] {
                while (!flag) {
                    ++turns;
                    (void)this_fiber::await(weft::this_task::stop_requested());
                }
            }));
            n.spawn([&flag]() -> task<> {
                flag = true;
                co_return;
            });
            co_return;
        };
        pool.block_on([&] { return weft::scope(body); });
        CHECK(turns > 0);
        CHECK(turns < 1'000);
    }
}

TEST_SUITE("runtime/fiber/exceptions") {
    TEST_CASE("a handler awaits, and still has its exception") {
        auto const got = run([] {
            std::string seen;
            try {
                throw std::runtime_error("outer");
            } catch (std::runtime_error const& outer) {
                this_fiber::yield();
                try {
                    throw std::logic_error("inner");
                } catch (std::logic_error const& inner) {
                    this_fiber::await(answer());
                    seen += inner.what();
                    seen += ' ' + error_of([] {
                                throw;
                                return 0;
                            });
                }
                seen += std::string(" ") + outer.what();
                seen += ' ' + error_of([] {
                            throw;
                            return 0;
                        });
            }
            return seen + (std::current_exception() == nullptr ? " none" : " some");
        });
        CHECK(got == "inner inner outer outer none");
    }

    TEST_CASE("two fibers that interleave in their handlers keep their own exceptions") {
        weft::thread_pool pool({.workers = 1});
        int wrong = 0;
        auto thrower = [&wrong](int id) {
            return fiber([&wrong, id] {
                for (int i = 0; i < 50; ++i) {
                    try {
                        throw id * 1'000 + i;
                    } catch (int mine) {
                        for (int turn = 0; turn < id + i % 3; ++turn) {
                            this_fiber::yield();
                        }
                        try {
                            throw;
                        } catch (int again) {
                            wrong += again == mine && mine == id * 1'000 + i ? 0 : 1;
                        }
                    }
                    wrong += std::current_exception() == nullptr ? 0 : 1;
                    wrong += std::uncaught_exceptions() == 0 ? 0 : 1;
                }
            });
        };
        pool.block_on([&] { return weft::when_all(thrower(1), thrower(2), thrower(3)); });
        CHECK(wrong == 0);
    }

    TEST_CASE("a destructor that an exception runs may await, and others see nothing of it") {
        weft::thread_pool pool({.workers = 1});
        std::vector<int> seen;

        struct awaits_at_end {
            std::vector<int>* seen;

            ~awaits_at_end() {
                seen->push_back(std::uncaught_exceptions());
                this_fiber::yield();
                seen->push_back(std::uncaught_exceptions());
            }
        };

        auto unwinds = fiber([&seen] {
            try {
                awaits_at_end const guard{&seen};
                throw std::runtime_error("on its way");
            } catch (std::runtime_error const&) {
                seen.push_back(std::uncaught_exceptions());
            }
        });
        int others = 0;
        auto watches = [&others]() -> task<> {
            for (int i = 0; i < 5; ++i) {
                others += std::uncaught_exceptions();
                others += std::current_exception() == nullptr ? 0 : 1;
                co_await weft::yield();
            }
        };
        pool.block_on([&] { return weft::when_all(std::move(unwinds), watches()); });
        CHECK(seen == std::vector<int>{1, 1, 0});
        CHECK(others == 0);
    }

    TEST_CASE("an exception that is kept outlives the fiber that threw it") {
        auto const kept = run([] {
            try {
                throw std::runtime_error("kept");
            } catch (...) {
                this_fiber::yield();
                return std::current_exception();
            }
        });
        CHECK(error_of([&] {
                  std::rethrow_exception(kept);
                  return 0;
              }) == "kept");
    }
}
