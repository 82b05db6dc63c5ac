#include <weft/runtime/base/assert.hpp>

#include <weft/tests/support/death.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <string>

namespace {

using weft::test::death;
using weft::test::death_of;

std::string located(int line, std::string const& rest) {
    return "weft: " __FILE__ ":" + std::to_string(line) + ": " + rest + "\n";
}

}  // namespace

TEST_SUITE("runtime/base/assert") {
    TEST_CASE("a check that holds does nothing and evaluates its condition once") {
        int evaluations = 0;
        WEFT_CHECK(++evaluations == 1, "counted");
        CHECK(evaluations == 1);
    }

    TEST_CASE("a check that fails prints place, message and expression, and aborts") {
        int const two = 2;
        death const seen = death_of([&] { WEFT_CHECK(two + two == 5, "arithmetic holds"); });
        int const line = __LINE__ - 1;
        CHECK(seen.signal == SIGABRT);
        CHECK(seen.text == located(line, "arithmetic holds (two + two == 5)"));
    }

    TEST_CASE("a place that no execution reaches aborts when one does") {
        death const seen = death_of([] { WEFT_UNREACHABLE("not here"); });
        int const line = __LINE__ - 1;
        CHECK(seen.signal == SIGABRT);
        CHECK(seen.text == located(line, "not here (unreachable)"));
    }

#if WEFT_ASSERTS
    TEST_CASE("an assertion is a check where assertions are on") {
        bool const holds = false;
        death const seen = death_of([&] { WEFT_ASSERT(holds, "it holds"); });
        int const line = __LINE__ - 1;
        CHECK(seen.signal == SIGABRT);
        CHECK(seen.text == located(line, "it holds (holds)"));
    }
#else
    TEST_CASE("an assertion does not evaluate its condition where assertions are off") {
        int evaluations = 0;
        WEFT_ASSERT(++evaluations == 0, "not evaluated");
        CHECK(evaluations == 0);
    }
#endif

    TEST_CASE("a process that violates nothing ends by itself and says nothing") {
        death const seen = death_of([] { WEFT_CHECK(true, "holds"); });
        CHECK(seen.signal == 0);
        CHECK(seen.text.empty());
    }
}
