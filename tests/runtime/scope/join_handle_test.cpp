#include <weft/runtime/scope/join_handle.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace {

using namespace std::chrono_literals;
using weft::join_handle;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::object_count;

task<int> value(int v) {
    co_return v;
}

task<int> value_later(int v, int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

task<int> fails(char const* text) {
    co_await weft::yield();
    throw std::runtime_error(text);
}

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

task<int> sleeps_for_a_value() {
    co_await weft::sleep_for(24h);
    co_return 1;
}

task<counted> makes(object_count& count, int v) {
    co_await weft::yield();
    co_return counted(count, v);
}

task<> holds(std::shared_ptr<int> held) {
    co_await weft::yield();
    (void)held;
}

/// Runs `body` in a scope of a task of a pool.
template <class Body>
auto run(Body body, unsigned workers = 2) {
    weft::thread_pool pool({.workers = workers});
    auto work = [&]() -> std::invoke_result_t<Body&, nursery&> {
        co_return co_await weft::scope(std::ref(body));
    };
    return pool.block_on(work());
}

}  // namespace

TEST_SUITE("runtime/join_handle") {
    TEST_CASE("joining yields the child's value, as often as it is asked for") {
        auto body = [](nursery& n) -> task<int> {
            auto child = n.spawn(value_later(3, 5));
            int sum = co_await child;
            sum += co_await child.join();
            sum += co_await child;
            CHECK(child.is_done());
            co_return sum;
        };
        CHECK(run(body) == 9);
    }

    TEST_CASE("a child has the name that it was spawned with, whoever spawns it") {
        weft::thread_pool pool({.workers = 2});
        using weft::named;
        auto const of_pool = pool.spawn(named("of the pool"), value_later(1, 0));
        CHECK(of_pool.name() == "of the pool");
        CHECK(pool.spawn(named("called"), value_later, 1, 0).name() == "called");
        CHECK(pool.spawn(value_later(1, 0)).name().empty());
        auto body = [](nursery& n) -> task<> {
            weft::remote_nursery remote = n.remote();
            CHECK(remote.spawn(named("from afar"), value_later(1, 0)).name() == "from afar");
            CHECK(remote.spawn(named("nothing"), []() -> task<> { co_return; }).name() ==
                  "nothing");
            auto const when_free =
                co_await n.spawn_when_free(named("when free"), value_later(1, 0));
            CHECK(when_free.name() == "when free");
            auto const of_root = weft::spawn(named("under the root"), value_later(1, 0));
            CHECK(of_root.name() == "under the root");
        };
        run(body);
    }

    TEST_CASE("a reference that a join yields is the value in the record") {
        auto body = [](nursery& n) -> task<std::string> {
            auto child = n.spawn([]() -> task<std::string> { co_return "abc"; });
            std::string& first = co_await child;
            first += 'd';
            std::string& again = co_await child;
            CHECK(&first == &again);
            std::string taken = co_await std::move(child);
            CHECK(!child);
            co_return taken;
        };
        CHECK(run(body) == "abcd");
    }

    TEST_CASE("a child may yield a reference, a large value, an over-aligned value, or nothing") {
        struct alignas(64) wide {
            explicit wide(int v) noexcept : number(v) {}

            int number;
        };

        auto body = [](nursery& n) -> task<bool> {
            int target = 5;
            auto reference = n.spawn([&]() -> task<int&> { co_return target; });
            int& same = co_await reference;
            auto large = n.spawn([]() -> task<std::array<long, 100>> {
                std::array<long, 100> all{};
                all[99] = 7;
                co_return all;
            });
            long const last = (co_await large)[99];
            auto aligned = n.spawn([]() -> task<wide> { co_return wide(9); });
            wide& w = co_await aligned;
            bool const at_home = reinterpret_cast<std::uintptr_t>(&w) % 64 == 0;
            auto nothing = n.spawn([]() -> task<> { co_return; });
            co_await nothing;
            co_return &same == &target&& last == 7 && w.number == 9 && at_home;
        };
        CHECK(run(body));
    }

    TEST_CASE("a join of a fresh handle in one expression yields the value itself") {
        auto body = [](nursery& n) -> task<int> {
            int const a = co_await n.spawn(value(1));
            int const b = co_await n.spawn(value_later(2, 3)).join();
            co_return a * 10 + b;
        };
        CHECK(run(body) == 12);
    }

    TEST_CASE("values are neither lost nor destroyed twice, joined or not") {
        object_count count;
        auto body = [&](nursery& n) -> task<int> {
            int sum = 0;
            for (int i = 0; i < 20; ++i) {
                auto kept = n.spawn(makes(count, 1));
                n.spawn(makes(count, 100));
                auto dropped_later = n.spawn(makes(count, 100));
                sum += (co_await kept).value;
                counted const taken = co_await std::move(kept);
                sum += taken.value;
            }
            co_return sum;
        };
        CHECK(run(body) == 40);
        CHECK(count.alive == 0);
        CHECK(count.copies == 0);
    }

    TEST_CASE("when a join ends, what the child held is destroyed") {
        auto body = [](nursery& n) -> task<long> {
            long most = 0;
            for (int i = 0; i < 100; ++i) {
                auto held = std::make_shared<int>(i);
                auto child = n.spawn(holds(held));
                co_await child;
                most = std::max(most, held.use_count());
            }
            co_return most;
        };
        CHECK(run(body) == 1);
    }

    TEST_CASE("an error of the child is rethrown by every join, and by the scope") {
        auto body = [](nursery& n) -> task<> {
            auto child = n.spawn(fails("broken"));
            int caught = 0;
            for (int i = 0; i < 3; ++i) {
                try {
                    co_await child;
                } catch (std::runtime_error const& e) {
                    caught += std::string(e.what()) == "broken";
                }
            }
            CHECK(caught == 3);
        };
        CHECK_THROWS_WITH(run(body), "broken");
    }

    TEST_CASE("an error that a join brings out of the body is the scope's only one") {
        auto body = [](nursery& n) -> task<int> {
            auto child = n.spawn(fails("once"));
            co_return co_await child;
        };
        for (int round = 0; round < 100; ++round) {
            CHECK_THROWS_WITH_AS(
                (void)run(body, round % 2 == 0 ? 1 : 2), "once", std::runtime_error);
        }
    }

    TEST_CASE(
        "a child that was stopped through its handle makes a join throw, and nobody else stops") {
        auto body = [](nursery& n) -> task<int> {
            auto stopped = n.spawn(sleeps_for_a_value());
            auto untouched = n.spawn(value_later(4, 10));
            co_await weft::yield();
            CHECK(stopped.request_stop());
            CHECK(!stopped.request_stop());
            bool thrown = false;
            try {
                co_await stopped;
            } catch (weft::operation_cancelled const&) {
                thrown = true;
            }
            CHECK(thrown);
            CHECK(stopped.is_done());
            CHECK(!stopped.request_stop());
            int const v = co_await untouched;
            co_return v;
        };
        CHECK(run(body) == 4);
    }

    TEST_CASE("a stop through a handle that is dropped at once still reaches the child") {
        auto body = [](nursery& n) -> task<int> {
            for (int i = 0; i < 100; ++i) {
                n.spawn(sleeps()).request_stop();
                n.spawn(sleeps_for_a_value()).request_stop();
            }
            co_return 1;
        };
        CHECK(run(body) == 1);
    }

    TEST_CASE("joins give their outcome as a result without a throw") {
        auto body = [](nursery& n) -> task<int> {
            auto good = n.spawn(value_later(5, 2));
            weft::result<int&> const v = co_await weft::as_result(good);
            CHECK(v.value() == 5);
            weft::result<int> const moved = co_await (std::move(good) | weft::as_result);
            CHECK(moved.value() == 5);
            auto nothing = n.spawn([]() -> task<> { co_return; });
            weft::result<void> const ok = co_await (nothing.join() | weft::as_result);
            CHECK(ok.has_value());
            auto stopped = n.spawn(sleeps());
            stopped.request_stop();
            weft::result<void> const cut = co_await (stopped.join() | weft::as_result);
            CHECK(cut.error() == std::errc::operation_canceled);
            co_return 1;
        };
        CHECK(run(body) == 1);
    }

    TEST_CASE("an error with a code is a result; one without is rethrown") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<int> {
            auto body = [](nursery& n) -> task<int> {
                auto coded = n.spawn([]() -> task<int> {
                    throw std::system_error(std::make_error_code(std::errc::broken_pipe));
                    co_return 0;
                });
                weft::result<int&> const code = co_await (coded.join() | weft::as_result);
                CHECK(code.error() == std::errc::broken_pipe);
                auto uncoded = n.spawn(fails("no code"));
                bool thrown = false;
                try {
                    (void)co_await (uncoded.join() | weft::as_result);
                } catch (std::runtime_error const&) {
                    thrown = true;
                }
                CHECK(thrown);
                co_return 7;
            };
            co_return co_await weft::supervisor_scope(body);
        };
        CHECK(pool.block_on(work()) == 7);  // the joins have taken the errors
    }

    TEST_CASE(
        "in a supervisor scope an error that nobody joined is thrown, though its handle lives") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<> {
            join_handle<int> outer;
            auto body = [&](nursery& n) -> task<> {
                outer = n.spawn(fails("kept"));
                co_return;
            };
            co_await weft::supervisor_scope(body);
        };
        CHECK_THROWS_WITH(pool.block_on(work()), "kept");
    }

    TEST_CASE("a handle outlives its scope and its runtime, and holds the outcome") {
        object_count count;
        {
            join_handle<counted> kept;
            join_handle<int> failed;
            join_handle<> stopped;
            {
                weft::thread_pool pool({.workers = 2});
                auto work = [&]() -> task<> {
                    auto body = [&](nursery& n) -> task<> {
                        kept = n.spawn(makes(count, 6));
                        failed = n.spawn(fails("late"));
                        stopped = n.spawn(sleeps());
                        co_await sleeps();
                    };
                    co_await weft::scope(body);
                };
                CHECK_THROWS_WITH(pool.block_on(work()), "late");
            }
            CHECK(kept.is_done());
            CHECK(!kept.request_stop());
            auto look = [&]() -> task<int> {
                bool thrown = false;
                try {
                    co_await failed;
                } catch (std::runtime_error const&) {
                    thrown = true;
                }
                CHECK(thrown);
                thrown = false;
                try {
                    co_await stopped;
                } catch (weft::operation_cancelled const&) {
                    thrown = true;
                }
                CHECK(thrown);
                counted& made = co_await kept;
                co_return made.value;
            };
            CHECK(weft::sync_wait(look()) == 6);
            CHECK(count.alive == 1);
        }
        CHECK(count.alive == 0);
    }

    TEST_CASE("a stop of the waiting task ends its wait, and the child goes on") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<bool> went_on = false;
        auto work = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<int> {
                auto slow = n.spawn(value_later(8, 2000));
                auto waits = [&]() -> task<> {
                    co_await slow;
                    went_on = true;
                };
                auto waiter = n.spawn(waits());
                co_await weft::yield();
                co_await weft::yield();
                waiter.request_stop();
                weft::result<void> const cut = co_await (waiter.join() | weft::as_result);
                bool const was_cut = !cut.has_value();
                int const v = co_await slow;
                CHECK((was_cut || went_on));
                co_return v;
            };
            co_return co_await weft::scope(body);
        };
        CHECK(pool.block_on(work()) == 8);
    }

    TEST_CASE(
        "a task that is stopped already unwinds at a join, unless the child has ended before") {
        weft::thread_pool pool({.workers = 1});
        int seen = 0;
        bool went_on = false;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                auto ended = n.spawn(value(2));
                co_await ended;
                auto running = n.spawn(sleeps());
                n.request_stop();
                seen = co_await ended;
                co_await running;
                went_on = true;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(seen == 2);
        CHECK(!went_on);
    }

    TEST_CASE("a timeout around a join ends the wait only") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<int> {
            auto body = [](nursery& n) -> task<int> {
                auto child = n.spawn(value_later(3, 1000));
                auto wait = [&]() -> task<int> { co_return co_await child; };
                weft::result<int> const cut =
                    co_await (weft::timeout(0ms, wait()) | weft::as_result);
                CHECK((cut.has_value() || cut.error() == std::errc::timed_out));
                int const v = co_await child;
                co_return v;
            };
            co_return co_await weft::scope(body);
        };
        CHECK(pool.block_on(work()) == 3);
    }

    TEST_CASE("a stop of the waiter that races the child's end loses no value and no waiter") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        auto round = [&](int before_stop, int before_end) -> task<bool> {
            auto body = [&](nursery& n) -> task<bool> {
                auto child = n.spawn(value_later(1, before_end));
                int got = 0;
                auto waits = [&]() -> task<> { got = co_await child; };
                auto waiter = n.spawn(waits());
                auto stops = [&, before_stop]() -> task<> {
                    for (int i = 0; i < before_stop; ++i) {
                        co_await weft::yield();
                    }
                    waiter.request_stop();
                };
                auto stopper = n.spawn(stops());
                weft::result<void> const joined = co_await (waiter.join() | weft::as_result);
                co_await stopper;
                int const again = co_await child;
                co_return joined.has_value() == (got == 1) && again == 1;
            };
            co_return co_await weft::scope(body);
        };
        for (int i = 0; i < 10'000; ++i) {
            REQUIRE(pool.block_on(
                round(static_cast<int>(random.below(4)), static_cast<int>(random.below(4)))));
        }
    }

    TEST_CASE("a handle that is dropped while its child ends is freed once") {
        weft::thread_pool pool({.workers = 2});
        object_count count;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (int i = 0; i < 10'000; ++i) {
                    std::optional<join_handle<counted>> child(n.spawn(makes(count, i)));
                    std::optional<join_handle<>> other(n.spawn(holds(nullptr)));
                    if (i % 3 == 0) {
                        co_await weft::yield();
                    }
                    other->request_stop();
                }
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(count.alive == 0);
    }

    TEST_CASE("a spawn under the root scope gives a handle that another task may join") {
        weft::thread_pool pool({.workers = 2});
        auto child = pool.spawn(value_later(5, 10));
        auto work = [&]() -> task<int> { co_return co_await child; };
        CHECK(pool.block_on(work()) == 5);
        auto inside = []() -> task<int> {
            auto sibling = weft::spawn(value_later(6, 2));
            co_return co_await sibling;
        };
        CHECK(pool.block_on(inside()) == 6);
    }

    TEST_CASE("an error under the root scope is reported only if nobody joins it") {
        auto const joined = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            auto child = pool.spawn(fails("secret"));
            auto work = [&]() -> task<> {
                try {
                    co_await child;
                } catch (std::runtime_error const&) {
                }
            };
            pool.block_on(work());
        });
        CHECK(joined.text.empty());
        auto const dropped = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            auto child = pool.spawn(fails("in a dropped handle"));
            pool.spawn(fails("without a handle"));
            while (pool.task_count() != 0) {
                std::this_thread::yield();
            }
        });
        CHECK(dropped.text.find("in a dropped handle") != std::string::npos);
        CHECK(dropped.text.find("without a handle") != std::string::npos);
    }

    TEST_CASE("the use of an empty handle is a clear end") {
        auto const seen = weft::test::death_of([] { (void)join_handle<int>().is_done(); });
        CHECK(seen.signal == SIGABRT);
        CHECK(seen.text.find("an empty join_handle is used") != std::string::npos);
    }
}
