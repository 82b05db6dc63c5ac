#include <weft/runtime/task/task_local.hpp>

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/outcome.hpp>
#include <weft/tests/support/small_tasks.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

using namespace std::chrono_literals;
using namespace weft::test;
using weft::task;

namespace {

constinit weft::task_local<std::string> user;
constinit weft::task_local<int> depth;
constinit weft::task_local<int> other_int;

task<std::string> user_here() {
    std::string const* const found = co_await user.find();
    co_return found != nullptr ? *found : "nobody";
}

task<int> depth_here() {
    int const* const found = co_await depth.find();
    co_return found != nullptr ? *found : 0;
}

}  // namespace

TEST_SUITE("runtime/task_local") {
    TEST_CASE("a key without a value gives null") {
        CHECK(weft::sync_wait(user_here()) == "nobody");
    }

    TEST_CASE("a value is seen below its task, and no more when that has ended") {
        auto work = []() -> task<std::string> {
            std::string const inside = co_await user.with("ada", user_here());
            std::string const after = co_await user_here();
            co_return inside + " " + after;
        };
        CHECK(weft::sync_wait(work()) == "ada nobody");
    }

    TEST_CASE("the innermost value counts, and the outer one returns") {
        auto middle = []() -> task<std::string> {
            std::string const before = co_await user_here();
            std::string const inner = co_await user.with("bob", user_here());
            std::string const after = co_await user_here();
            co_return before + inner + after;
        };
        CHECK(weft::sync_wait(user.with("ada", middle())) == "adabobada");
    }

    TEST_CASE("keys of one type are told apart") {
        auto look = []() -> task<int> {
            int const* const a = co_await depth.find();
            int const* const b = co_await other_int.find();
            co_return (a != nullptr ? *a : 0) * 10 + (b != nullptr ? *b : 0);
        };
        CHECK(weft::sync_wait(depth.with(3, other_int.with(4, look()))) == 34);
        CHECK(weft::sync_wait(depth.with(3, look())) == 30);
    }

    TEST_CASE("values flow through joins, timeouts, shields and foreign stops") {
        weft::thread_pool pool({.workers = 2});
        auto leaf = []() -> task<std::string> {
            co_await weft::sleep_for(100us);
            std::string found = co_await user_here();
            co_return found;
        };
        auto through = [&]() -> task<bool> {
            auto const [a, b] = co_await weft::when_all(leaf(), leaf());
            std::string const c = co_await weft::timeout(1h, leaf());
            std::string const d = co_await weft::shielded(1h, leaf());
            std::string const e = co_await weft::with_stop_token(weft::stop_token(), leaf());
            co_return a == "ada" && b == "ada" && c == "ada" && d == "ada" && e == "ada";
        };
        CHECK(pool.block_on(user.with("ada", through())));
    }

    TEST_CASE("children of a scope inherit the values around it") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> sum = 0;
        auto child = [&]() -> task<> {
            co_await weft::yield();
            sum += co_await depth_here();
        };
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                for (int i = 0; i < 100; ++i) {
                    n.spawn(child());
                }
                sum += co_await depth_here();
            };
            co_await weft::scope(body);
        };
        pool.block_on(depth.with(2, work()));
        CHECK(sum == 202);
    }

    TEST_CASE("tasks under the root scope start without values") {
        std::atomic<int> seen = -1;
        {
            weft::thread_pool pool({.workers = 1});
            auto detached = [&]() -> task<> { seen = co_await depth_here(); };
            auto work = [&]() -> task<> {
                weft::spawn(detached());
                co_return;
            };
            pool.block_on(depth.with(9, work()));
            while (seen == -1) {
            }
        }
        CHECK(seen == 0);
    }

    TEST_CASE("a stop destroys the value after what was below it") {
        object_count count;
        static constinit weft::task_local<std::shared_ptr<counted>> held;
        {
            weft::thread_pool pool({.workers = 1});
            weft::stop_source source;
            source.request_stop();
            auto work = [&]() -> task<int> {
                auto value = std::make_shared<counted>(count);
                task<int> below = held.with(std::move(value), forever());
                int const v = co_await std::move(below);
                co_return v;
            };
            CHECK(pool.block_on(outcome_under(source.token(), work())) == "stopped");
        }
        CHECK(count.alive == 0);
        CHECK(weft::detail::frame_pool::live_frames() == 0);
    }
}
