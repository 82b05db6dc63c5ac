#include <weft/sync/locks/once.hpp>

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace {

using weft::task;
using weft::test::counted;
using weft::test::object_count;

task<int> answer() {
    co_return 42;
}

task<int> no_answer() {
    throw std::system_error(std::make_error_code(std::errc::host_unreachable));
    co_return 0;
}

}  // namespace

TEST_SUITE("sync/once") {
    TEST_CASE("what is called once is called by the first, and by nobody later") {
        weft::once once;
        int calls = 0;
        auto initialise = [&calls]() -> task<> {
            ++calls;
            co_return;
        };
        auto work = [&]() -> task<> {
            co_await once.call(initialise);
            CHECK(once.is_done());
            co_await once.call(initialise);
            auto const ended = co_await (once.call(initialise) | weft::as_result);
            CHECK(ended.has_value());
        };
        CHECK_FALSE(once.is_done());
        weft::sync_wait(work());
        CHECK(calls == 1);
    }

    TEST_CASE("callers that come meanwhile wait until it is done, and go on in order") {
        weft::thread_pool pool({.workers = 1});
        weft::once once;
        weft::manual_reset_event go;
        int calls = 0;
        std::vector<int> order;
        auto initialise = [&]() -> task<> {
            ++calls;
            co_await go.wait();
        };
        auto caller = [&](int name) -> task<> {
            co_await once.call(initialise);
            order.push_back(name);
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 1; i <= 4; ++i) {
                    n.spawn(caller(i));
                }
                co_await weft::yield();
                CHECK(order.empty());
                CHECK_FALSE(once.is_done());
                go.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(calls == 1);
        CHECK(order == std::vector<int>{1, 2, 3, 4});
        CHECK(once.is_done());
    }

    TEST_CASE("an error goes to the caller that ran, and the one behind it tries again") {
        weft::thread_pool pool({.workers = 1});
        weft::once once;
        weft::manual_reset_event go;
        int calls = 0;
        int failed = 0;
        int passed = 0;
        auto initialise = [&]() -> task<> {
            int const call = ++calls;
            co_await go.wait();
            if (call < 3) {
                throw std::runtime_error("not yet");
            }
        };
        auto caller = [&]() -> task<> {
            try {
                co_await once.call(initialise);
                ++passed;
            } catch (std::runtime_error const&) {
                ++failed;
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 0; i < 5; ++i) {
                    n.spawn(caller());
                }
                co_await weft::yield();
                go.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(calls == 3);
        CHECK(failed == 2);
        CHECK(passed == 3);
        CHECK(once.is_done());
    }

    TEST_CASE("an error that nobody waits behind leaves it undone") {
        weft::once once;
        auto fails = []() -> task<> {
            throw std::runtime_error("broken");
            co_return;
        };
        auto throws_at_once = []() -> task<> { throw std::logic_error("no task"); };
        auto succeeds = []() -> task<> { co_return; };
        auto call = [&once](auto function) -> task<> { co_await once.call(function); };
        CHECK_THROWS_AS(weft::sync_wait(call(fails)), std::runtime_error);
        CHECK_THROWS_AS(weft::sync_wait(call(throws_at_once)), std::logic_error);
        CHECK_FALSE(once.is_done());
        weft::sync_wait(call(succeeds));
        CHECK(once.is_done());
    }

    TEST_CASE("a caller that is stopped while it runs makes way for the next") {
        weft::thread_pool pool({.workers = 1});
        weft::once once;
        weft::manual_reset_event go;
        int calls = 0;
        int passed = 0;
        weft::nursery* first = nullptr;
        auto initialise = [&]() -> task<> {
            ++calls;
            co_await go.wait();
        };
        auto caller = [&]() -> task<> {
            co_await once.call(initialise);
            ++passed;
        };
        auto stopped = [&](weft::nursery& inner) -> task<> {
            first = &inner;
            co_await caller();
        };
        auto runs = [&]() -> task<> { co_await weft::scope(stopped); };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(runs());
                co_await weft::yield();
                n.spawn(caller());
                n.spawn(caller());
                co_await weft::yield();
                CHECK(calls == 1);
                first->request_stop();
                co_await weft::yield();
                co_await weft::yield();
                CHECK(calls == 2);
                CHECK(passed == 0);
                go.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(calls == 2);
        CHECK(passed == 2);
    }

    TEST_CASE("a caller that is stopped while it waits leaves the others alone") {
        weft::thread_pool pool({.workers = 1});
        weft::once once;
        weft::manual_reset_event go;
        int passed = 0;
        std::error_code code;
        auto initialise = [&]() -> task<> { co_await go.wait(); };
        auto caller = [&]() -> task<> {
            co_await once.call(initialise);
            ++passed;
        };
        auto with_code = [&]() -> task<> {
            auto const ended = co_await (once.call(initialise) | weft::as_result);
            code = ended.error();
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(caller());
                co_await weft::yield();
                auto inner = [&](weft::nursery& m) -> task<> {
                    m.spawn(caller());
                    m.spawn(with_code());
                    co_await weft::yield();
                    m.request_stop();
                };
                co_await weft::scope(inner);
                CHECK(passed == 0);
                CHECK(code == std::errc::operation_canceled);
                go.set();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(passed == 1);
        CHECK(once.is_done());
    }

    TEST_CASE("with as_result, a stop of the caller that runs, and its error, are codes") {
        weft::thread_pool pool({.workers = 1});
        weft::once once;
        weft::manual_reset_event never;
        std::error_code stopped;
        auto waits = [&]() -> task<> { co_await never.wait(); };
        auto caller = [&]() -> task<> {
            auto const ended = co_await (once.call(waits) | weft::as_result);
            stopped = ended.error();
        };
        auto work = [&]() -> task<std::error_code> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.spawn(caller());
                co_await weft::yield();
                n.request_stop();
            };
            co_await weft::scope(body);
            auto const failed = co_await (once.call(&no_answer) | weft::as_result);
            co_return failed.error();
        };
        CHECK(pool.block_on(work()) == std::errc::host_unreachable);
        CHECK(stopped == std::errc::operation_canceled);
        CHECK_FALSE(once.is_done());
    }

    TEST_CASE("stops that race failures leave it to be done by somebody, once") {
        weft::thread_pool pool({.workers = 2});
        auto work = [&]() -> task<> {
            for (int round = 0; round < 2'000; ++round) {
                weft::once once;
                std::atomic<int> inside = 0;
                std::atomic<int> done = 0;
                std::atomic<int> wrong = 0;
                auto initialise = [&]() -> task<> {
                    wrong += inside.fetch_add(1);
                    struct leaves {
                        ~leaves() { inside.fetch_sub(1); }

                        std::atomic<int>& inside;
                    } const leave{inside};
                    co_await weft::yield();
                    ++done;
                };
                auto caller = [&]() -> task<> { co_await once.call(initialise); };
                auto stopped = [&](weft::nursery& n) -> task<> {
                    n.spawn(caller());
                    n.spawn(caller());
                    co_await weft::yield();
                    n.request_stop();
                };
                auto stops = [&]() -> task<> { co_await weft::scope(stopped); };
                auto body = [&](weft::nursery& n) -> task<> {
                    n.spawn(stops());
                    n.spawn(caller());
                    n.spawn(stops());
                    co_return;
                };
                co_await weft::scope(body);
                if (wrong != 0 || done != 1 || !once.is_done()) {
                    FAIL_CHECK("done " << done << " times, " << wrong << " at a time");
                }
            }
        };
        pool.block_on(work());
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("of many callers as many have an error as runs failed, and the others one success") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        constexpr int callers = 8;
        weft::thread_pool pool({.workers = 2});
        auto work = [&]() -> task<> {
            for (int round = 0; round < 500; ++round) {
                int const failures = static_cast<int>(random.below(callers));
                weft::once once;
                std::atomic<int> inside = 0;
                std::atomic<int> met = 0;
                std::atomic<int> runs = 0;
                std::atomic<int> failed = 0;
                std::atomic<int> passed = 0;
                auto initialise = [&]() -> task<> {
                    met += inside.fetch_add(1);
                    int const run = ++runs;
                    co_await weft::yield();
                    inside.fetch_sub(1);
                    if (run <= failures) {
                        throw std::runtime_error("not yet");
                    }
                };
                auto caller = [&]() -> task<> {
                    try {
                        co_await once.call(initialise);
                        ++passed;
                    } catch (std::runtime_error const&) {
                        ++failed;
                    }
                };
                auto body = [&](weft::nursery& n) -> task<> {
                    for (int i = 0; i < callers; ++i) {
                        n.spawn(caller());
                    }
                    co_return;
                };
                co_await weft::scope(body);
                bool const right = failed == failures && passed == callers - failures &&
                                   runs == failures + 1 && met == 0 && once.is_done();
                if (!right) {
                    FAIL_CHECK(failures << " failures: " << runs << " runs, " << failed
                                        << " failed, " << passed << " passed, " << met << " met");
                }
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("the last caller that goes on may destroy a once") {
        weft::thread_pool pool({.workers = 2});
        auto work = [&]() -> task<> {
            for (int round = 0; round < 2'000; ++round) {
                auto once = std::make_unique<weft::once>();
                std::atomic<int> left = 3;
                auto initialise = []() -> task<> { co_await weft::yield(); };
                auto caller = [&]() -> task<> {
                    co_await once->call(initialise);
                    if (--left == 0) {
                        once.reset();
                    }
                };
                auto body = [&](weft::nursery& n) -> task<> {
                    for (int i = 0; i < 3; ++i) {
                        n.spawn(caller());
                    }
                    co_return;
                };
                co_await weft::scope(body);
                CHECK(once == nullptr);
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("a lazy value is computed when it is first asked for, and destroyed once") {
        object_count objects;
        {
            weft::lazy<counted> unused(+[]() -> task<counted> { std::abort(); });
            CHECK(unused.peek() == nullptr);
            int calls = 0;
            weft::lazy value([&]() -> task<counted> {
                ++calls;
                co_return counted(objects, 7);
            });
            auto work = [&]() -> task<> {
                counted& first = co_await value.value();
                counted& second = co_await value.value();
                CHECK(&first == &second);
                CHECK(first.value == 7);
                auto const third = co_await (value.value() | weft::as_result);
                CHECK(&*third == &first);
            };
            CHECK(value.peek() == nullptr);
            CHECK_FALSE(value.is_ready());
            weft::sync_wait(work());
            CHECK(value.is_ready());
            CHECK(value.peek()->value == 7);
            CHECK(calls == 1);
            CHECK(objects.alive == 1);
            CHECK(objects.copies == 0);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a lazy value that could not be computed is computed by the next") {
        bool fail = true;
        weft::lazy<int> function_pointer(&answer);
        weft::lazy value([&fail]() -> task<int> { return fail ? no_answer() : answer(); });
        auto ask = [](auto& lazy) -> task<int> { co_return co_await lazy.value(); };
        CHECK(weft::sync_wait(ask(function_pointer)) == 42);
        CHECK_THROWS_AS((void)weft::sync_wait(ask(value)), std::system_error);
        CHECK_FALSE(value.is_ready());
        fail = false;
        CHECK(weft::sync_wait(ask(value)) == 42);
    }

    TEST_CASE("a lazy value whose move throws is computed by the next, wherever it is moved") {
        struct fragile {
            explicit fragile(int& left) noexcept : moves(&left) {}

            fragile(fragile&& other) : moves(other.moves) {
                if (--*moves == 0) {
                    throw std::runtime_error("fragile");
                }
            }

            int* moves;
        };

        auto ask = [](auto& lazy) -> task<> { (void)co_await lazy.value(); };
        int moves = 0;
        auto compute = [&moves]() -> task<fragile> { co_return fragile(moves); };
        weft::lazy unharmed(compute);
        weft::sync_wait(ask(unharmed));
        int const needed = -moves;
        CHECK(needed > 0);
        for (int last = 1; last <= needed; ++last) {
            CAPTURE(last);
            weft::lazy value(compute);
            moves = last;
            CHECK_THROWS_AS(weft::sync_wait(ask(value)), std::runtime_error);
            CHECK_FALSE(value.is_ready());
            weft::sync_wait(ask(value));
            CHECK(value.is_ready());
        }
    }

    TEST_CASE("all callers on several workers get the one value") {
        weft::thread_pool pool({.workers = 2});
        auto work = [&]() -> task<> {
            for (int round = 0; round < 1'000; ++round) {
                std::atomic<int> calls = 0;
                weft::lazy value([&calls]() -> task<std::unique_ptr<int>> {
                    co_await weft::yield();
                    co_return std::make_unique<int>(++calls);
                });
                std::atomic<int> wrong = 0;
                auto ask = [&]() -> task<> {
                    auto& pointer = co_await value.value();
                    wrong += *pointer == 1 ? 0 : 1;
                };
                auto body = [&](weft::nursery& n) -> task<> {
                    for (int i = 0; i < 6; ++i) {
                        n.spawn(ask());
                    }
                    co_return;
                };
                co_await weft::scope(body);
                if (wrong != 0 || calls != 1) {
                    FAIL_CHECK("computed " << calls << " times");
                }
            }
        };
        pool.block_on(work());
    }

    TEST_CASE("a once that is destroyed while a task waits aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            std::optional<weft::once> once;
            once.emplace();
            weft::manual_reset_event never;
            auto initialise = [&]() -> task<> { co_await never.wait(); };
            auto calls = [&]() -> task<> { co_await once->call(initialise); };
            auto work = [&]() -> task<> {
                weft::spawn(calls());
                weft::spawn(calls());
                co_await weft::yield();
                once.reset();
            };
            pool.block_on(work());
        });
        CHECK(weft::test::aborted_saying(seen, "a once or lazy is destroyed while tasks wait"));
    }

    TEST_CASE("a call that would have to wait without a runtime aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::once once;
            auto calls = [&]() -> task<> {
                auto again = [&]() -> task<> { co_await once.call([]() -> task<> { co_return; }); };
                co_await once.call(again);
            };
            weft::sync_wait(calls());
        });
        CHECK(weft::test::aborted_saying(seen, "once::call needs a runtime"));
    }

    TEST_CASE("what is done once and gives an empty task aborts and says so") {
        auto const seen = weft::test::death_of([] {
            weft::once once;
            auto calls = [&]() -> task<> { co_await once.call([] { return task<>(); }); };
            weft::sync_wait(calls());
        });
        CHECK(weft::test::aborted_saying(seen, "what is done once gives an empty task"));
    }
}
