#include <weft/runtime/join/as_completed.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/endings.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::as_completed;
using weft::task;
using weft::test::child_script;
using weft::test::counted;
using weft::test::ending;
using weft::test::object_count;

task<int> value_after(int v, int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

/// Takes long to be destroyed, so that who is told too early sees that it still lives.
class slow_to_go {
public:
    explicit slow_to_go(std::atomic<bool>& gone) noexcept : gone_(&gone) {}

    slow_to_go(slow_to_go&& other) noexcept : gone_(std::exchange(other.gone_, nullptr)) {}

    ~slow_to_go() {
        if (gone_ != nullptr) {
            for (int i = 0; i < 100; ++i) {
                std::this_thread::yield();
            }
            gone_->store(true);
        }
    }

private:
    std::atomic<bool>* gone_;
};

task<int> value_held_by(slow_to_go) {
    co_await weft::yield();
    co_return 1;
}

template <class Body>
task<int> as_completed_task(std::vector<task<int>> children, Body const& body) {
    co_return co_await as_completed(std::move(children), body);
}

task<int> sleeps() {
    co_await weft::sleep_for(24h);
    co_return 0;
}

std::vector<task<int>> values(int count) {
    std::vector<task<int>> tasks;
    for (int i = 0; i < count; ++i) {
        tasks.push_back(value_after(i, 3 * (count - i)));
    }
    return tasks;
}

task<std::vector<std::size_t>> indices(weft::completions<int>& results) {
    std::vector<std::size_t> order;
    while (auto each = co_await results.next()) {
        CHECK(each->value() == static_cast<int>(each->index));
        order.push_back(each->index);
    }
    co_return order;
}

/// The numbers of the children in the order of their turns.
std::vector<std::size_t> order_of(std::vector<child_script> const& scripts) {
    std::vector<std::size_t> order(scripts.size());
    for (std::size_t i = 0; i < scripts.size(); ++i) {
        std::size_t before = 0;
        for (child_script const& other : scripts) {
            before += other.turns < scripts[i].turns ? 1 : 0;
        }
        order[before] = i;
    }
    return order;
}

bool ended_as(weft::completed<counted> const& each, ending how) {
    return (how == ending::value && each.has_value()) ||
           (how == ending::error && each.has_error()) ||
           (how == ending::stopped && each.was_stopped());
}

}  // namespace

TEST_SUITE("runtime/as_completed") {
    TEST_CASE("outcomes come in the order in which the tasks end, whatever their order") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<std::vector<std::size_t>> {
            auto order = co_await as_completed(values(4), indices);
            co_return order;
        };
        CHECK(pool.block_on(work()) == std::vector<std::size_t>{3, 2, 1, 0});
    }

    TEST_CASE("every combination of endings is given once, in every order") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
            object_count objects;
            bool told_right = true;
            std::vector<std::size_t> seen;
            auto body = [&](weft::completions<counted>& results) -> task<> {
                CHECK(results.left() == scripts.size());
                bool asked = false;
                while (results.left() != 0) {
                    if (auto each = co_await results.next()) {
                        told_right = told_right && ended_as(*each, scripts[each->index].how);
                        if (!each->was_stopped()) {
                            seen.push_back(each->index);
                        }
                    }
                    bool only_stopped_left = true;
                    for (std::size_t i = 0; i < scripts.size(); ++i) {
                        only_stopped_left = only_stopped_left &&
                                            (scripts[i].how == ending::stopped ||
                                             std::find(seen.begin(), seen.end(), i) != seen.end());
                    }
                    if (only_stopped_left && !asked) {
                        asked = true;
                        results.request_stop();
                    }
                }
                CHECK_FALSE((co_await results.next()).has_value());
            };
            bool const some_end = weft::test::first_to_end(scripts, [](ending how) {
                                      return how != ending::stopped;
                                  }) >= 0;
            if (!some_end && !scripts.empty()) {
                return;  // nobody would ask for the stop
            }
            auto gather = [&]() -> task<> {
                auto children = weft::test::scripted_children(scripts, objects);
                auto all = as_completed(std::move(children), body);
                co_await all;
            };
            pool.block_on(gather());
            CHECK(told_right);
            std::vector<std::size_t> expected;
            for (std::size_t const i : order_of(scripts)) {
                if (scripts[i].how != ending::stopped) {
                    expected.push_back(i);
                }
            }
            CHECK(seen == expected);
            CHECK(objects.alive == 0);
        });
    }

    TEST_CASE("tasks of different types come as alternatives of a variant") {
        weft::thread_pool pool({.workers = 1});
        using either = std::variant<int, std::string, weft::unit>;
        auto text = []() -> task<std::string> {
            co_await weft::yield();
            co_return "text";
        };
        auto nothing = []() -> task<> { co_return; };
        auto body = [](weft::completions<either>& results) -> task<std::string> {
            std::string order;
            while (auto each = co_await results.next()) {
                CHECK((*each)->index() == each->index);
                order += std::to_string(each->index);
            }
            co_return order;
        };
        auto work = [&]() -> task<std::string> {
            auto tasks = std::tuple(value_after(1, 9), text(), nothing());
            auto order = co_await as_completed(std::move(tasks), body);
            co_return order;
        };
        CHECK(pool.block_on(work()) == "210");
    }

    TEST_CASE("a stop reaches the body in next although every child ignores it") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        weft::test::stoppable runner;
        int objects_left_when_stopped = -1;
        auto body = [&](weft::completions<counted>& results) -> task<> {
            struct note {
                ~note() { *to = from->alive; }
                int* to;
                object_count const* from;
            };
            note const at_the_end{&objects_left_when_stopped, &objects};
            (void)co_await results.next();
        };
        auto work = [&]() -> task<> {
            std::vector<child_script> const scripts = {{ending::value, 100, true},
                                                       {ending::value, 50, true}};
            auto children = weft::test::scripted_children(scripts, objects);
            auto all = as_completed(std::move(children), body);
            co_await all;
        };
        CHECK_FALSE(pool.block_on(weft::test::run_and_stop(runner, work(), 7)));
        CHECK(objects_left_when_stopped == 2);
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a child's frame is gone before its outcome is given") {
        constexpr int rounds = 200;
        weft::thread_pool pool({.workers = 2});
        int told_early = 0;
        for (int i = 0; i < rounds; ++i) {
            std::atomic<bool> gone{false};
            auto const body = [&](weft::completions<int>& results) -> task<int> {
                auto const first = co_await results.next();
                told_early += gone.load() ? 0 : 1;
                co_return first->value();
            };
            std::vector<task<int>> one;
            one.push_back(value_held_by(slow_to_go(gone)));
            CHECK(pool.block_on(as_completed_task(std::move(one), body)) == 1);
        }
        CHECK(told_early == 0);
    }

    TEST_CASE("leaving early stops and awaits the rest, and drops what was not taken") {
        weft::thread_pool pool({.workers = 2});
        object_count objects;
        std::vector<child_script> const scripts = {{ending::stopped, 0, false},
                                                   {ending::value, 0, false},
                                                   {ending::error, 0, false},
                                                   {ending::value, 100, true}};
        auto first = [](weft::completions<counted>& results) -> task<bool> {
            auto const each = co_await results.next();
            co_return each.has_value();
        };
        auto work = [&]() -> task<bool> {
            auto children = weft::test::scripted_children(scripts, objects);
            bool const got = co_await as_completed(std::move(children), first);
            CHECK(objects.alive == 0);
            co_return got;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("an error of the body stops the rest and is rethrown") {
        weft::thread_pool pool({.workers = 1});
        auto throws = [](weft::completions<int>& results) -> task<> {
            auto const each = co_await results.next();
            if (each.has_value()) {
                throw std::runtime_error("body");
            }
        };
        auto work = [&]() -> task<> {
            std::vector<task<int>> tasks;
            tasks.push_back(sleeps());
            tasks.push_back(value_after(1, 0));
            co_await as_completed(std::move(tasks), throws);
        };
        CHECK_THROWS_WITH(pool.block_on(work()), "body");
    }

    TEST_CASE("a body that throws at the call starts nothing") {
        weft::thread_pool pool({.workers = 1});
        bool started = false;
        auto child = [&]() -> task<> {
            started = true;
            co_return;
        };
        auto throws = [](weft::completions<void>&) -> task<> {
            throw std::runtime_error("at the call");
        };
        auto at_the_call = [&](weft::completions<void>& results) {
            if (results.left() == 1) {
                throw std::runtime_error("at the call");
            }
            return throws(results);
        };
        auto work = [&]() -> task<> {
            std::vector<task<>> tasks;
            tasks.push_back(child());
            co_await as_completed(std::move(tasks), at_the_call);
        };
        CHECK_THROWS_WITH(pool.block_on(work()), "at the call");
        CHECK_FALSE(started);
    }

    TEST_CASE("a body that waits for something else gets every outcome later") {
        weft::thread_pool pool({.workers = 1});
        auto late = [](weft::completions<int>& results) -> task<int> {
            int sum = 0;
            for (int i = 0; i < 30; ++i) {
                co_await weft::yield();
            }
            while (auto each = co_await results.next()) {
                sum += each->value();
            }
            co_return sum;
        };
        auto work = [&]() -> task<int> {
            int const sum = co_await as_completed(values(5), late);
            co_return sum;
        };
        CHECK(pool.block_on(work()) == 10);
    }

    TEST_CASE("a timeout around next ends the wait and takes nothing") {
        weft::thread_pool pool({.workers = 1});
        auto body = [](weft::completions<int>& results) -> task<int> {
            auto next = [&results]() -> task<int> {
                auto const each = co_await results.next();
                co_return each->value();
            };
            auto const none = co_await (weft::timeout(1ms, next()) | weft::as_result);
            CHECK(none.error() == std::errc::timed_out);
            CHECK(results.left() == 2);
            results.request_stop();
            int stopped = 0;
            while (auto each = co_await results.next()) {
                stopped += each->was_stopped() ? 1 : 0;
            }
            co_return stopped;
        };
        auto work = [&]() -> task<int> {
            std::vector<task<int>> tasks;
            tasks.push_back(sleeps());
            tasks.push_back(sleeps());
            int const stopped = co_await as_completed(std::move(tasks), body);
            co_return stopped;
        };
        CHECK(pool.block_on(work()) == 2);
    }

    TEST_CASE("a stop of the parent unwinds the body and every child") {
        weft::thread_pool pool({.workers = 1});
        for (int const turns : {0, 7}) {
            weft::test::stoppable runner;
            bool went_on = false;
            auto work = [&]() -> task<> {
                std::vector<task<int>> tasks;
                tasks.push_back(sleeps());
                tasks.push_back(sleeps());
                (void)co_await as_completed(std::move(tasks), indices);
                went_on = true;
            };
            CHECK_FALSE(pool.block_on(weft::test::run_and_stop(runner, work(), turns)));
            CHECK_FALSE(went_on);
        }
    }

    TEST_CASE("as_result of a stopped one is operation_canceled, and the parent goes on") {
        weft::thread_pool pool({.workers = 1});
        weft::test::stoppable runner;
        bool told = false;
        auto work = [&]() -> task<> {
            std::vector<task<int>> tasks;
            tasks.push_back(sleeps());
            auto const ended = co_await (as_completed(std::move(tasks), indices) | weft::as_result);
            told = ended.error() == std::errc::operation_canceled;
        };
        CHECK(pool.block_on(weft::test::run_and_stop(runner, work(), 5)));
        CHECK(told);
        auto whole = []() -> task<bool> {
            auto const ended = co_await (as_completed(values(3), indices) | weft::as_result);
            co_return ended.has_value() && ended->size() == 3;
        };
        CHECK(pool.block_on(whole()));
    }

    TEST_CASE("stops that race the outcomes leave nothing behind") {
        auto body = [](weft::completions<counted>& results) -> task<> {
            int values = 0;
            while (auto each = co_await results.next()) {
                values += each->has_value() ? 1 : 0;
                if (values == 2) {
                    break;
                }
            }
        };
        for (unsigned const workers : {1U, 2U}) {
            CAPTURE(workers);
            weft::thread_pool pool({.workers = workers});
            weft::test::race_against_stop(
                pool, 5'000, [&](std::vector<task<counted>> children) -> task<> {
                    auto all = as_completed(std::move(children), body);
                    co_await all;
                });
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }

    TEST_CASE("a foreign thread asks for the stop, and the join may end before it is through") {
        weft::thread_pool pool({.workers = 2});
        auto work = []() -> task<int> {
            auto endless = weft::spawn(sleeps());
            auto waits = [&endless]() -> task<int> { co_return co_await endless; };
            std::thread asks;
            auto body = [&asks](weft::completions<int>& results) -> task<int> {
                asks = std::thread([&results] { results.request_stop(); });
                int stopped = 0;
                while (auto each = co_await results.next()) {
                    stopped += each->has_value() ? 0 : 1;
                }
                co_return stopped;
            };
            std::vector<task<int>> children;
            children.push_back(waits());
            int const stopped = co_await as_completed(std::move(children), body);
            asks.join();
            endless.request_stop();
            co_return stopped;
        };
        for (int round = 0; round < 500; ++round) {
            CHECK(pool.block_on(work()) == 1);
        }
    }
}
