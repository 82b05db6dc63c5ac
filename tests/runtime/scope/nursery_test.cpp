#include <weft/runtime/scope/nursery.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::join_handle;
using weft::named;
using weft::nursery;
using weft::task;

task<> nothing() {
    co_return;
}

task<> yields(int count) {
    for (int i = 0; i < count; ++i) {
        co_await weft::yield();
    }
}

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

task<> fails(std::string text) {
    co_await weft::yield();
    throw std::runtime_error(text);
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

/// Counts how many of its kind run at once.
struct crowd {
    task<> enter(int length) {
        int const now = ++inside;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        for (int i = 0; i < length; ++i) {
            co_await weft::yield();
        }
        --inside;
        ++served;
    }

    std::atomic<int> inside = 0;
    std::atomic<int> most = 0;
    std::atomic<int> served = 0;
};

}  // namespace

TEST_SUITE("runtime/nursery") {
    // --- spawn ------------------------------------------------------------------------

    TEST_CASE("a callable may give any awaitable, and its value is the handle's") {
        auto body = [](nursery& n) -> task<int> {
            auto adds = [](int a, int b) -> task<int> { co_return a + b; };
            auto sum = n.spawn(adds, 2, 3);
            auto slept = n.spawn([] { return weft::sleep_for(1ms); });
            co_await slept;
            int const v = co_await sum;
            co_return v;
        };
        CHECK(run(body) == 5);
    }

    TEST_CASE(
        "children have the names they were given, in handles and in the text of their errors") {
        auto body = [](nursery& n) -> task<> {
            std::string const composed = "session " + std::to_string(7);
            auto reader = n.spawn(named(composed), fails("reset"));
            CHECK(reader.name() == "session 7");
            CHECK(n.spawn(nothing()).name().empty());
            auto writer = [](std::string text) -> task<> { co_await fails(std::move(text)); };
            n.spawn(named("writer"), writer, std::string("broken pipe"));
            n.spawn(fails("nameless"));
            co_await yields(50);
        };
        weft::thread_pool pool({.workers = 1});
        auto work = [&]() -> task<> { co_await weft::supervisor_scope(std::ref(body)); };
        CHECK_THROWS_WITH(pool.block_on(work()),
                          "3 errors\n"
                          "  - session 7: reset\n"
                          "  - writer: broken pipe\n"
                          "  - nameless");
    }

    TEST_CASE("a million children pass through one scope, on few stop states") {
        std::atomic<int> sum = 0;
        auto body = [&](nursery& n) -> task<> {
            auto add = [](std::atomic<int>& target) -> task<> {
                co_await weft::yield();
                ++target;
            };
            for (int i = 0; i < 100'000; ++i) {
                n.spawn(add(sum));
                if (i % 1000 == 999) {
                    co_await weft::yield();
                }
            }
        };
        run(body);
        CHECK(sum == 100'000);
    }

    TEST_CASE("a stop reaches every one of many sleeping children") {
        std::atomic<int> started = 0;
        auto body = [&](nursery& n) -> task<> {
            auto sleeper = [](std::atomic<int>& count) -> task<> {
                ++count;
                co_await weft::sleep_for(24h);
            };
            for (int i = 0; i < 2000; ++i) {
                n.spawn(sleeper(started));
            }
            while (started != 2000) {
                co_await weft::yield();
            }
            n.request_stop();
        };
        run(body);
        CHECK(started == 2000);
    }

    TEST_CASE("an empty task, a task spawned twice, and a spawn after the end are a clear end") {
        auto const twice = weft::test::death_of([] {
            auto body = [](nursery& n) -> task<> {
                task<> once = nothing();
                n.spawn(std::move(once));
                n.spawn(std::move(once));  // NOLINT(bugprone-use-after-move): that is the point
                co_return;
            };
            run(body, 1);
        });
        CHECK(twice.signal == SIGABRT);
        CHECK(twice.text.find("a task can be spawned once") != std::string::npos);

        auto const late = weft::test::death_of([] {
            weft::thread_pool pool({.workers = 1});
            auto work = []() -> task<> {
                nursery* kept = nullptr;
                auto body = [&](nursery& n) -> task<> {
                    kept = &n;
                    co_return;
                };
                auto both = weft::scope(body);
                co_await both;
                kept->spawn(nothing());
            };
            pool.block_on(work());
        });
        CHECK(late.signal == SIGABRT);
        CHECK(late.text.find("spawned into a scope that has ended") != std::string::npos);

        auto const again = weft::test::death_of([] {
            auto work = []() -> task<> {
                auto both = weft::scope([](nursery&) -> task<> { co_return; });
                co_await both;
                co_await both;
            };
            weft::sync_wait(work());
        });
        CHECK(again.signal == SIGABRT);
        CHECK(again.text.find("a scope is awaited twice") != std::string::npos);

        auto const nowhere = weft::test::death_of([] {
            auto body = [](nursery& n) -> task<> {
                n.spawn(nothing());
                co_return;
            };
            auto work = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
            weft::sync_wait(work());
        });
        CHECK(nowhere.signal == SIGABRT);
        CHECK(nowhere.text.find("spawn needs a runtime") != std::string::npos);
    }

    // --- limits -------------------------------------------------------------------------

    TEST_CASE("spawn_when_free never lets more children run than the limit, and all of them run") {
        crowd children;
        auto body = [&](nursery& n) -> task<> {
            n.set_limit(3);
            for (int i = 0; i < 500; ++i) {
                co_await n.spawn_when_free(children.enter(i % 5));
            }
        };
        run(body);
        CHECK(children.most == 3);
        CHECK(children.served == 500);
    }

    TEST_CASE("whoever waits longest for a place gets it first") {
        std::string order;
        auto body = [&](nursery& n) -> task<> {
            n.set_limit(1);
            auto spawner = [&](char name) -> task<> {
                auto child = co_await n.spawn_when_free([&, name]() -> task<> {
                    order += name;
                    co_await weft::yield();
                });
                co_await child;
            };
            for (char const name : {'a', 'b', 'c', 'd', 'e'}) {
                n.spawn(spawner, name);
            }
            co_return;
        };
        run(body, 1);
        CHECK(order == "abcde");
    }

    TEST_CASE(
        "a spawner that is stopped while it waits does not start its child, and the line moves") {
        weft::test::object_count count;
        auto body = [&](nursery& n) -> task<int> {
            n.set_limit(1);
            auto holder = co_await n.spawn_when_free(sleeps());
            int started = 0;
            auto spawner = [&](weft::test::counted) -> task<> {
                auto child = co_await n.spawn_when_free([&]() -> task<> {
                    ++started;
                    co_return;
                });
                co_await child;
            };
            auto first = n.spawn(spawner(weft::test::counted(count)));
            auto second = n.spawn(spawner(weft::test::counted(count)));
            co_await yields(20);
            first.request_stop();
            weft::result<void> const cut = co_await (first.join() | weft::as_result);
            CHECK(cut.error() == std::errc::operation_canceled);
            CHECK(started == 0);
            CHECK(count.alive == 1);
            holder.request_stop();
            co_await second;
            co_return started;
        };
        CHECK(run(body) == 1);
        CHECK(count.alive == 0);
    }

    TEST_CASE("a higher limit lets those go on who wait, a lower one holds back the next") {
        crowd children;
        auto body = [&](nursery& n) -> task<> {
            n.set_limit(1);
            auto feed = [&]() -> task<> {
                for (int i = 0; i < 50; ++i) {
                    co_await n.spawn_when_free(children.enter(3));
                }
            };
            for (int i = 0; i < 4; ++i) {
                n.spawn(feed);
            }
            co_await yields(10);
            n.set_limit(4);
            co_await yields(50);
            n.set_limit(2);
            co_return;
        };
        run(body);
        CHECK(children.most <= 4);
        CHECK(children.served == 200);
    }

    TEST_CASE("stops that race free places lose no place and no waiter") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        auto round = [&](int stop_after) -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.set_limit(2);
                auto spawner = [&]() -> task<> {
                    auto child = co_await n.spawn_when_free(yields(2));
                    co_await child;
                };
                std::vector<join_handle<>> all;
                for (int i = 0; i < 5; ++i) {
                    all.push_back(n.spawn(spawner()));
                }
                co_await yields(stop_after);
                all[1].request_stop();
                all[3].request_stop();
                for (auto& each : all) {
                    (void)co_await (each.join() | weft::as_result);
                }
                auto last = co_await n.spawn_when_free(nothing());
                co_await last;
            };
            co_await weft::scope(body);
        };
        for (int i = 0; i < 10'000; ++i) {
            pool.block_on(round(static_cast<int>(random.below(8))));
        }
        CHECK(pool.task_count() == 0);
    }

    // --- clean-ups ----------------------------------------------------------------------

    TEST_CASE("clean-ups run after the last child, the youngest first") {
        std::string order;
        auto note = [&](char c) -> task<> {
            co_await weft::yield();
            order += c;
        };
        auto body = [&](nursery& n) -> task<> {
            n.defer(note('1'));
            n.defer([&] { return note('2'); });
            auto child = [&]() -> task<> {
                n.defer(note('3'));
                co_await yields(20);
                order += 'c';
            };
            n.spawn(child);
            order += 'b';
            co_return;
        };
        run(body, 1);
        CHECK(order == "bc321");
    }

    TEST_CASE("clean-ups run when the body or a child fails, and their errors are kept, too") {
        bool cleaned = false;
        auto body = [&](nursery& n) -> task<> {
            n.defer([&]() -> task<> {
                co_await weft::yield();
                cleaned = true;
            });
            n.defer(fails("clean-up"));
            n.spawn(fails("child"));
            co_await sleeps();
        };
        CHECK_THROWS_WITH(run(body), "2 errors\n  - child\n  - clean-up");
        CHECK(cleaned);
    }

    TEST_CASE("a body that throws at the call has its clean-ups run") {
        bool cleaned = false;
        auto body = [&](nursery& n) -> task<> {  // no coroutine
            n.defer([&]() -> task<> {
                cleaned = true;
                co_return;
            });
            throw std::runtime_error("no body");
        };
        CHECK_THROWS_WITH(run(body), "no body");
        CHECK(cleaned);
    }

    TEST_CASE("a stop ends the body and not its clean-ups") {
        std::atomic<bool> started = false;
        std::atomic<bool> cleaned = false;
        std::atomic<bool> went_on = false;
        {
            weft::thread_pool pool({.workers = 2});
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.defer([&]() -> task<> {
                        co_await weft::sleep_for(1ms);
                        cleaned = true;
                    });
                    started = true;
                    co_await sleeps();
                };
                co_await weft::scope(body);
                went_on = true;
            };
            pool.spawn(work());
            while (!started) {
                std::this_thread::yield();
            }
        }
        CHECK(cleaned);
        CHECK(!went_on);
    }

    TEST_CASE("a clean-up that takes longer than its limit fails with timed_out") {
        weft::test::runtime pool;
        auto work = []() -> task<> {
            auto body = [](nursery& n) -> task<> {
                n.defer(3s, sleeps());
                co_return;
            };
            co_await weft::scope(body);
        };
        bool timed_out = false;
        try {
            pool.block_on(work());
        } catch (std::system_error const& e) {
            timed_out = e.code() == std::errc::timed_out;
        }
        CHECK(timed_out);
    }

    TEST_CASE("a scope without a runtime runs its clean-ups, too") {
        int cleaned = 0;
        auto work = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<int> {
                n.defer([&]() -> task<> {
                    ++cleaned;
                    co_return;
                });
                co_return 4;
            };
            co_return co_await weft::scope(body);
        };
        CHECK(weft::sync_wait(work()) == 4);
        CHECK(cleaned == 1);
    }

    // --- other threads ------------------------------------------------------------------

    TEST_CASE("another thread may spawn while the scope is open, through its nursery") {
        std::atomic<int> sum = 0;
        auto add = [&]() -> task<> {
            co_await weft::yield();
            ++sum;
        };
        auto body = [&](nursery& n) -> task<> {
            std::thread other([&] {
                for (int i = 0; i < 100; ++i) {
                    n.spawn(add());
                }
            });
            other.join();
            co_return;
        };
        run(body);
        CHECK(sum == 100);
    }

    TEST_CASE(
        "spawns from another thread that race the scope's end run or are refused, never lost") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> ran = 0;
        std::size_t refused_handles = 0;
        std::size_t refused = 0;
        int constexpr rounds = 300;
        int constexpr each = 20;
        for (int round = 0; round < rounds; ++round) {
            std::optional<weft::remote_nursery> remote;
            std::vector<join_handle<>> handles;
            std::atomic<bool> ready = false;
            std::thread other([&] {
                while (!ready) {
                    std::this_thread::yield();
                }
                for (int i = 0; i < each; ++i) {
                    auto add = [&]() -> task<> {
                        ++ran;
                        co_return;
                    };
                    handles.push_back(remote->spawn(weft::call(add)));
                }
            });
            auto const length = static_cast<int>(random.below(200));
            auto body = [&](nursery& n) -> task<> {
                remote.emplace(n.remote());
                ready = true;
                co_await yields(length);
            };
            auto work = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
            pool.block_on(work());
            CHECK(!remote->is_open());
            CHECK(!remote->request_stop());
            other.join();
            refused += remote->refused();
            for (auto& child : handles) {
                auto look = [&]() -> task<bool> {
                    weft::result<void> const v = co_await (child.join() | weft::as_result);
                    co_return v.has_value();
                };
                CHECK(child.is_done());
                refused_handles += weft::sync_wait(look()) ? 0U : 1U;
            }
        }
        CHECK(static_cast<std::size_t>(ran) + refused == rounds * each);
        CHECK(refused_handles == refused);
    }

    TEST_CASE("another thread may stop the scope, at any time") {
        weft::thread_pool pool({.workers = 2});
        for (int round = 0; round < 200; ++round) {
            std::optional<weft::remote_nursery> remote;
            std::atomic<bool> ready = false;
            auto body = [&](nursery& n) -> task<> {
                remote.emplace(n.remote());
                ready = true;
                n.spawn(sleeps());
                co_await sleeps();
            };
            std::thread other([&] {
                while (!ready) {
                    std::this_thread::yield();
                }
                weft::remote_nursery copy = *remote;
                copy.request_stop();
                copy.request_stop();
            });
            auto work = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
            pool.block_on(work());
            other.join();
        }
    }

    TEST_CASE("a scope ends after the callback of a stop from elsewhere, and others go on") {
        weft::thread_pool pool({.workers = 2});
        std::optional<weft::remote_nursery> remote;
        std::atomic<bool> has_callback = false;
        std::atomic<bool> is_in_callback = false;
        std::atomic<bool> may_return = false;
        std::atomic<bool> has_ended = false;
        auto body = [&](nursery& n) -> task<> {
            remote.emplace(n.remote());
            auto waits = [&] {
                is_in_callback = true;
                may_return.wait(false);
            };
            weft::stop_callback const callback(n.token(), waits);
            has_callback = true;
            has_callback.notify_one();
            is_in_callback.wait(false);  // then the frame's end waits for the callback
            co_return;
        };
        auto work = [&]() -> task<> {
            co_await weft::scope(std::ref(body));
            has_ended = true;
        };
        auto scope = pool.spawn(work());
        has_callback.wait(false);
        std::thread other([&] { remote->request_stop(); });
        while (!is_in_callback) {
            std::this_thread::yield();
        }
        is_in_callback.notify_one();
        pool.block_on(yields(100));
        CHECK_FALSE(has_ended);
        may_return = true;
        may_return.notify_one();
        pool.join();
        CHECK(has_ended);
        other.join();
    }
}
