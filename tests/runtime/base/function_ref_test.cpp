#include <weft/runtime/base/function_ref.hpp>

#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace {

using weft::detail::function_ref;
using weft::test::counted;
using weft::test::object_count;

static_assert(std::is_trivially_copyable_v<function_ref<void()>>);
static_assert(!std::is_constructible_v<function_ref<int(int)>, int (*)(char*)>);

int twice(int number) {
    return 2 * number;
}

}  // namespace

TEST_SUITE("runtime/base/function_ref") {
    TEST_CASE("it calls the very object that it was made from") {
        int calls = 0;
        auto count_calls = [calls]() mutable { return ++calls; };
        function_ref<int()> const reference = count_calls;
        CHECK(reference() == 1);
        CHECK(reference() == 2);
        CHECK(count_calls() == 3);
    }

    TEST_CASE("a copy calls what the original calls") {
        int calls = 0;
        auto count_calls = [&calls] { ++calls; };
        function_ref<void()> original = count_calls;
        function_ref<void()> const copy = original;
        auto other = [] {};
        original = other;
        copy();
        CHECK(calls == 1);
    }

    TEST_CASE("functions, pointers to them and constant objects can be called") {
        CHECK(function_ref<int(int)>(twice)(21) == 42);
        int (*const pointer)(int) = twice;
        CHECK(function_ref<int(int)>(pointer)(4) == 8);
        auto const lambda = [](int number) { return number + 1; };
        CHECK(function_ref<int(int)>(lambda)(1) == 2);
    }

    TEST_CASE("arguments are passed on without copies") {
        object_count count;
        counted argument(count, 3);
        auto read = [](counted const& value) { return value.value; };
        CHECK(function_ref<int(counted const&)>(read)(argument) == 3);
        CHECK(count.copies == 0);
        CHECK(count.moves == 0);
        auto take = [](std::unique_ptr<int> owned) { return *owned; };
        CHECK(function_ref<int(std::unique_ptr<int>)>(take)(std::make_unique<int>(5)) == 5);
    }

    TEST_CASE("results are converted or dropped, and a reference stays one") {
        int target = 0;
        auto reach = [&target]() -> int& { return target; };
        function_ref<int&()> const reference = reach;
        reference() = 9;
        CHECK(target == 9);
        function_ref<long()> const widened = reach;
        CHECK(widened() == 9L);
        auto count_up = [&target] { return ++target; };
        function_ref<void()> const dropped = count_up;
        dropped();
        CHECK(target == 10);
    }
}
