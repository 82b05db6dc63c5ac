#include <weft/runtime/resilience/policy.hpp>

#include <weft/runtime/testing/test_runtime.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <type_traits>

namespace {

using namespace std::chrono_literals;
using weft::task;

template <class Error>
std::exception_ptr error_of(Error code) {
    return std::make_exception_ptr(std::system_error(make_error_code(code)));
}

std::exception_ptr const plain = std::make_exception_ptr(std::runtime_error("plain"));

struct gives_no_task {
    int operator()() const;
};

struct gives_task {
    task<int&> operator()() const;
};

}  // namespace

TEST_SUITE("runtime/resilience/policy") {
    TEST_CASE("the code of an error is found, and none where there is none") {
        CHECK(weft::error_code_in(error_of(std::errc::timed_out)) == std::errc::timed_out);
        CHECK(weft::error_code_in(error_of(weft::errc::closed)) == weft::errc::closed);
        CHECK_FALSE(weft::error_code_in(plain));
        CHECK_FALSE(weft::error_code_in(nullptr));
    }

    TEST_CASE("any error counts but that somebody was stopped") {
        CHECK(weft::any_error(plain));
        CHECK(weft::any_error(error_of(weft::errc::rate_limited)));
        CHECK_FALSE(weft::any_error(error_of(std::errc::operation_canceled)));
        CHECK_FALSE(weft::any_error(std::make_exception_ptr(weft::operation_cancelled())));
    }

    TEST_CASE("transient errors are those of the network and of exhausted resources") {
        for (std::errc const each : {std::errc::timed_out,
                                     std::errc::connection_refused,
                                     std::errc::connection_reset,
                                     std::errc::broken_pipe,
                                     std::errc::host_unreachable,
                                     std::errc::too_many_files_open,
                                     std::errc::resource_unavailable_try_again}) {
            CHECK(weft::transient_error(error_of(each)));
        }
        CHECK(weft::transient_error(error_of(weft::errc::unexpected_eof)));
        CHECK_FALSE(weft::transient_error(plain));
        CHECK_FALSE(weft::transient_error(error_of(std::errc::permission_denied)));
        CHECK_FALSE(weft::transient_error(error_of(weft::errc::circuit_open)));
        CHECK_FALSE(weft::transient_error(error_of(std::errc::operation_canceled)));
    }

    TEST_CASE("a refusal says why, for how long, and what led to it") {
        weft::rejected const refusal(weft::errc::circuit_open, 3s, plain);
        CHECK(refusal.code() == weft::errc::circuit_open);
        CHECK(refusal.retry_after() == 3s);
        CHECK(refusal.cause() == plain);
        static_assert(std::is_nothrow_copy_constructible_v<weft::rejected>);
    }

    TEST_CASE("policies read the virtual time of the worker") {
        weft::test::runtime rt;
        auto read = []() -> task<weft::clock::time_point> {
            co_return weft::detail::policy_now("test");
        };
        rt.advance(1h);
        CHECK(rt.block_on(read()) == rt.now());
    }

    TEST_CASE("a factory is what gives tasks") {
        static_assert(weft::task_factory<gives_task>);
        static_assert(std::is_same_v<weft::factory_value_t<gives_task>, int&>);
        static_assert(!weft::task_factory<gives_no_task>);
        static_assert(!weft::task_factory<int>);
        static_assert(std::is_same_v<weft::skippable_t<void>, bool>);
        static_assert(std::is_same_v<weft::skippable_t<int>, std::optional<int>>);
    }
}
