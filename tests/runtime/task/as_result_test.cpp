#include <weft/runtime/task/as_result.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace {

using namespace std::chrono_literals;
using weft::task;

task<std::unique_ptr<int>> boxed() {
    co_return std::make_unique<int>(4);
}

task<int> refused() {
    throw std::system_error(std::make_error_code(std::errc::connection_refused), "connect");
    co_return 0;
}

task<> broken() {
    throw std::logic_error("a bug");
    co_return;
}

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

}  // namespace

TEST_SUITE("runtime/as_result") {
    TEST_CASE("a value arrives as a value") {
        auto work = []() -> task<int> {
            auto const got = co_await weft::as_result(boxed());
            co_return got.has_value() ? **got : 0;
        };
        CHECK(weft::sync_wait(work()) == 4);
    }

    TEST_CASE("a system_error arrives as its code") {
        auto work = []() -> task<std::error_code> {
            auto const got = co_await (refused() | weft::as_result);
            co_return got.error();
        };
        CHECK(weft::sync_wait(work()) == std::errc::connection_refused);
    }

    TEST_CASE("an exception without a code is rethrown") {
        auto work = []() -> task<> {
            auto const got = co_await weft::as_result(broken());
            CHECK(!got.has_value());
        };
        CHECK_THROWS_AS(weft::sync_wait(work()), std::logic_error);
    }

    TEST_CASE("a stop arrives as operation_canceled, and the next await stops") {
        weft::thread_pool pool({.workers = 1});
        std::error_code seen;
        bool went_on = false;
        auto work = [&]() -> task<> {
            auto body = [&](weft::nursery& n) -> task<> {
                n.request_stop();
                auto const got = co_await weft::as_result(sleeps());
                seen = got.error();
                co_await weft::sleep_for(1ms);
                went_on = true;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(seen == std::errc::operation_canceled);
        CHECK(!went_on);
    }
}
