#include <weft/runtime/join/first_success.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/tests/support/endings.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::first_success;
using weft::task;
using weft::test::child_script;
using weft::test::counted;
using weft::test::ending;
using weft::test::object_count;

constexpr int long_after = 40;

task<int> value_after(int v, int turns) {
    for (int i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

task<std::string> text() {
    co_return "text";
}

task<int> sleeps() {
    co_await weft::sleep_for(24h);
    co_return 0;
}

task<int> fails_with(std::errc code) {
    throw std::system_error(std::make_error_code(code));
    co_return 0;
}

struct outcome {
    int number = -1;  // of the child that gave the value
    bool failed = false;
};

task<> run_first_success(std::vector<child_script> const& scripts,
                         object_count& objects,
                         outcome& ended) {
    try {
        auto children = weft::test::scripted_children(scripts, objects);
        auto const first = co_await first_success(std::move(children));
        ended.number = first.value;
    } catch (std::exception const&) {
        ended.failed = true;
    }
    CHECK(objects.alive == 0);
}

bool any_is(std::vector<child_script> const& scripts, ending how) {
    return weft::test::first_to_end(scripts, [how](ending each) { return each == how; }) >= 0;
}

}  // namespace

TEST_SUITE("runtime/first_success") {
    TEST_CASE("failures are passed over while another child may succeed") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            int const same = co_await first_success(
                fails_with(std::errc::io_error), value_after(2, 5), sleeps());
            auto const mixed = co_await first_success(sleeps(), text());
            co_return same == 2 && std::get<1>(mixed) == "text";
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("the first value decides, among every combination of endings in every order") {
        weft::thread_pool pool({.workers = 1});
        weft::test::for_every_ending_in_every_order([&](std::vector<child_script> const& scripts) {
            if (scripts.empty()) {
                return;
            }
            object_count objects;
            weft::test::stoppable runner;
            outcome ended;
            bool const succeeds = any_is(scripts, ending::value);
            bool const all_fail = !succeeds && !any_is(scripts, ending::stopped);
            CHECK(pool.block_on(weft::test::run_and_stop(
                      runner, run_first_success(scripts, objects, ended), long_after)) ==
                  (succeeds || all_fail));
            CHECK(ended.number == weft::test::first_to_end(
                                      scripts, [](ending how) { return how == ending::value; }));
            CHECK(ended.failed == all_fail);
            CHECK(objects.alive == 0);
        });
    }

    TEST_CASE("a single failure is rethrown as it is") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            int const first = co_await first_success(fails_with(std::errc::io_error));
            co_return first;
        };
        CHECK_THROWS_AS((void)pool.block_on(work()), std::system_error);
    }

    TEST_CASE("several failures are thrown together, in argument order") {
        weft::thread_pool pool({.workers = 2});
        object_count objects;
        auto work = [&]() -> task<std::vector<int>> {
            std::vector<child_script> const scripts = {
                {ending::error, 6, false}, {ending::error, 0, false}, {ending::error, 3, false}};
            std::vector<int> numbers;
            try {
                auto children = weft::test::scripted_children(scripts, objects);
                (void)co_await first_success(std::move(children));
            } catch (weft::exception_group const& group) {
                for (std::exception_ptr const& each : group.errors()) {
                    numbers.push_back(weft::test::number_of(each));
                }
            }
            co_return numbers;
        };
        CHECK(pool.block_on(work()) == std::vector<int>{0, 1, 2});
    }

    TEST_CASE("as_result of nothing but failures is the first one's code, in argument order") {
        weft::thread_pool pool({.workers = 1});
        auto late = []() -> task<int> {
            co_await weft::yield();
            throw std::system_error(std::make_error_code(std::errc::io_error));
        };
        auto work = [&]() -> task<bool> {
            auto const ended = co_await (first_success(late(), fails_with(std::errc::broken_pipe)) |
                                         weft::as_result);
            auto const value =
                co_await (first_success(late(), value_after(1, 2)) | weft::as_result);
            co_return ended.error() == std::errc::io_error && *value == 1;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("as_result of one that a stop kept from its end is operation_canceled") {
        weft::thread_pool pool({.workers = 1});
        weft::test::stoppable runner;
        bool told = false;
        auto work = [&]() -> task<> {
            auto const ended = co_await (first_success(fails_with(std::errc::io_error), sleeps()) |
                                         weft::as_result);
            told = ended.error() == std::errc::operation_canceled;
        };
        CHECK(pool.block_on(weft::test::run_and_stop(runner, work(), 5)));
        CHECK(told);
    }

    TEST_CASE("the first success of no tasks is an invalid argument") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto const none = co_await (first_success(std::vector<task<int>>()) | weft::as_result);
            co_return none.error() == std::errc::invalid_argument;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("a child that succeeds in spite of the parent's stop still wins") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        weft::test::stoppable runner;
        outcome ended;
        std::vector<child_script> const scripts = {
            {ending::stopped, 0, false}, {ending::value, 100, true}, {ending::error, 0, false}};
        CHECK(pool.block_on(
            weft::test::run_and_stop(runner, run_first_success(scripts, objects, ended), 5)));
        CHECK(ended.number == 1);
    }

    TEST_CASE("stops that race the children's ends leave nothing behind") {
        for (unsigned const workers : {1U, 2U}) {
            CAPTURE(workers);
            weft::thread_pool pool({.workers = workers});
            weft::test::race_against_stop(
                pool, 5'000, [](std::vector<task<counted>> children) -> task<> {
                    (void)co_await first_success(std::move(children));
                });
        }
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
