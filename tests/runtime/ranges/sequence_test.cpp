#include <weft/runtime/ranges/sequence.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/endings.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using weft::sequence;
using weft::task;
using weft::test::child_script;
using weft::test::counted;
using weft::test::ending;
using weft::test::object_count;

/// Notes when it begins and ends.
task<int> noted(std::vector<int>& log, int number) {
    log.push_back(number);
    for (int i = 0; i < 5 - number; ++i) {
        co_await weft::yield();
    }
    log.push_back(number);
    co_return number;
}

task<> noted_nothing(std::vector<int>& log, int number) {
    (void)co_await noted(log, number);
}

}  // namespace

TEST_SUITE("runtime/sequence") {
    TEST_CASE("each task begins when the one before it has ended") {
        weft::thread_pool pool({.workers = 2});
        std::vector<int> log;
        auto work = [&]() -> task<bool> {
            auto [a, b, c] = co_await sequence(noted(log, 1), noted_nothing(log, 2), noted(log, 3));
            co_return a == 1 && b == weft::unit{} && c == 3;
        };
        CHECK(pool.block_on(work()));
        CHECK(log == std::vector<int>{1, 1, 2, 2, 3, 3});
    }

    TEST_CASE("a range of tasks, or of what tasks are made of, yields their values in order") {
        std::vector<int> log;
        auto work = [&]() -> task<bool> {
            std::vector<task<int>> tasks;
            tasks.push_back(noted(log, 4));
            tasks.push_back(noted(log, 5));
            auto const of_tasks = co_await sequence(std::move(tasks));
            std::vector<int> const items = {5, 4};
            auto make = [&log](int item) { return noted(log, item); };
            auto const made = co_await sequence(items, make);
            std::vector<task<>> nothings;
            nothings.push_back(noted_nothing(log, 5));
            co_await sequence(std::move(nothings));
            auto make_nothing = [&log](int item) { return noted_nothing(log, item); };
            co_await sequence(std::vector<int>(1, 4), make_nothing);
            co_return of_tasks == std::vector<int>{4, 5} && made == items;
        };
        weft::thread_pool pool({.workers = 1});
        CHECK(pool.block_on(work()));
        CHECK(log == std::vector<int>{4, 4, 5, 5, 5, 5, 4, 4, 5, 5, 4, 4});
    }

    TEST_CASE("after every combination of endings nothing later has started") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
            object_count objects;
            weft::test::stoppable runner;
            std::size_t values = 0;
            int failed = -1;
            auto work = [&]() -> task<> {
                auto children = weft::test::scripted_children(scripts, objects);
                try {
                    auto const all = co_await sequence(std::move(children));
                    values = all.size();
                } catch (weft::test::numbered_error const& error) {
                    failed = error.number;
                }
                CHECK(objects.alive == 0);
            };
            bool const whole = pool.block_on(weft::test::run_and_stop(runner, work(), 100));
            std::size_t first_bad = 0;
            while (first_bad < scripts.size() && scripts[first_bad].how == ending::value) {
                ++first_bad;
            }
            bool const all_good = first_bad == scripts.size();
            bool const fails = !all_good && scripts[first_bad].how == ending::error;
            CHECK(whole == (all_good || fails));
            CHECK(failed == (fails ? static_cast<int>(first_bad) : -1));
            CHECK(values == (all_good ? scripts.size() : 0));
            CHECK(objects.alive == 0);
        });
    }

    TEST_CASE("as_result gives all values or the first error's code") {
        auto fails = []() -> task<int> {
            throw std::system_error(std::make_error_code(std::errc::io_error));
            co_return 0;
        };
        std::vector<int> log;
        auto work = [&]() -> task<bool> {
            auto const bad =
                co_await (sequence(noted(log, 5), fails(), noted(log, 5)) | weft::as_result);
            auto const good = co_await (sequence(noted(log, 5)) | weft::as_result);
            co_return bad.error() == std::errc::io_error&& std::get<0>(*good) == 5;
        };
        CHECK(weft::sync_wait(work()));
        CHECK(log.size() == 4);
    }
}
