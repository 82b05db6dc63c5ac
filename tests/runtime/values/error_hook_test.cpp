#include <weft/runtime/values/error_hook.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/support/redirected_stderr.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using weft::error_hook;
using weft::task;

task<> fails(std::string text) {
    co_await weft::yield();
    throw std::runtime_error(text);
}

std::string text_of(std::exception_ptr const& error) {
    try {
        std::rethrow_exception(error);
    } catch (std::exception const& e) {
        return e.what();
    }
}

/// Keeps what it hears.
class listener {
public:
    [[nodiscard]] error_hook hook() {
        return [this](std::exception_ptr const& error) {
            std::scoped_lock const lock(mutex_);
            heard_.push_back(text_of(error));
        };
    }

    [[nodiscard]] std::vector<std::string> heard() {
        std::scoped_lock const lock(mutex_);
        return heard_;
    }

private:
    std::mutex mutex_;
    std::vector<std::string> heard_;
};

}  // namespace

TEST_SUITE("runtime/error_hook") {
    TEST_CASE("it hears of the error of every task that nobody joins, and of nothing else") {
        listener ears;
        {
            weft::thread_pool pool({.workers = 2, .on_unhandled_error = ears.hook()});
            auto joined = pool.spawn(fails("joined"));
            auto work = [&]() -> task<> {
                try {
                    co_await joined;
                } catch (std::runtime_error const&) {
                }
            };
            pool.block_on(work());
            for (int i = 0; i < 100; ++i) {
                pool.spawn(fails("nobody joins"));
            }
            pool.join();
        }
        CHECK(ears.heard() == std::vector<std::string>(100, "nobody joins"));
    }

    TEST_CASE("it hears of a handle that is dropped after the end of its runtime, and lives on") {
        auto heard = std::make_shared<std::vector<std::string>>();
        weft::join_handle<> handle;
        {
            weft::thread_pool pool(
                {.workers = 1, .on_unhandled_error = [heard](std::exception_ptr const& error) {
                     heard->push_back(text_of(error));
                 }});
            handle = pool.spawn(fails("late"));
            pool.join();
        }
        CHECK(heard->empty());
        CHECK(heard.use_count() == 2);
        handle = {};
        CHECK(*heard == std::vector<std::string>{"late"});
        CHECK(heard.use_count() == 1);
    }

    TEST_CASE("what it throws is written to stderr, with the error that it was called with") {
        weft::test::plain_pipe seen;
        {
            weft::test::redirected_stderr const to(seen.target());
            weft::thread_pool pool(
                {.workers = 1, .on_unhandled_error = [](std::exception_ptr const&) {
                     throw std::runtime_error("thrown by the hook");
                 }});
            pool.spawn(fails("thrown by the task"));
            pool.join();
        }
        std::string const text = seen.take_all();
        CHECK(text.find("thrown by the task") != std::string::npos);
        CHECK(text.find("thrown by the hook") != std::string::npos);
    }

    TEST_CASE("copies share the function, and an empty one leaves the errors to stderr") {
        std::atomic<int> calls = 0;
        error_hook const first([&calls](std::exception_ptr const&) { ++calls; });
        error_hook second;
        CHECK_FALSE(static_cast<bool>(second));
        second = first;
        {
            weft::test::runtime one({.on_unhandled_error = first});
            weft::test::runtime other({.on_unhandled_error = second});
            one.spawn(fails("here"));
            other.spawn(fails("there"));
            one.join();
            other.join();
        }
        CHECK(calls == 2);
        weft::test::plain_pipe seen;
        {
            weft::test::redirected_stderr const to(seen.target());
            weft::test::runtime plain({.on_unhandled_error = error_hook()});
            plain.spawn(fails("to stderr"));
            plain.join();
        }
        CHECK(seen.take_all() == "weft: a spawned task ended with an exception: to stderr\n");
    }
}
