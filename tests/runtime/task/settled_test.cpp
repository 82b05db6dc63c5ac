#include <weft/runtime/task/settled.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <ostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

namespace {

using weft::settled;
using weft::detail::settled_access;
using weft::test::counted;
using weft::test::object_count;

template <class T, class... Arguments>
settled<T> with_value(Arguments&&... arguments) {
    settled<T> made;
    settled_access::put(made, std::forward<Arguments>(arguments)...);
    return made;
}

template <class T>
settled<T> with_error(char const* text) {
    settled<T> made;
    settled_access::fail(made, std::make_exception_ptr(std::runtime_error(text)));
    return made;
}

}  // namespace

TEST_SUITE("runtime/settled") {
    TEST_CASE("a new one is stopped, and its value is an operation_cancelled") {
        settled<int> const stopped;
        CHECK(stopped.was_stopped());
        CHECK_FALSE(stopped.has_value());
        CHECK_FALSE(stopped.has_error());
        CHECK(stopped.error() == nullptr);
        CHECK_THROWS_AS((void)stopped.value(), weft::operation_cancelled);
    }

    TEST_CASE("it tells its value, in every form of access") {
        auto text = with_value<std::string>("text");
        CHECK(static_cast<bool>(text));
        CHECK(*text == "text");
        CHECK(text->size() == 4);
        text.value() += "!";
        CHECK(std::as_const(text).value() == "text!");
        CHECK(std::move(text).value() == "text!");
    }

    TEST_CASE("an error is kept and rethrown") {
        auto const bad = with_error<int>("bad");
        CHECK(bad.has_error());
        CHECK(bad.error() != nullptr);
        CHECK_THROWS_WITH((void)bad.value(), "bad");
    }

    TEST_CASE("a reference stays the same object, and void has an outcome too") {
        int target = 1;
        auto const referred = with_value<int&>(&target);
        referred.value() = 2;
        CHECK(target == 2);
        CHECK(&*referred == &target);
        settled<void> nothing = with_value<void>();
        CHECK(nothing.has_value());
        nothing.value();
        nothing = with_error<void>("bad");
        CHECK_THROWS_WITH(nothing.value(), "bad");
    }

    TEST_CASE("assignment and destruction account for every value") {
        object_count objects;
        {
            auto first = with_value<counted>(objects, 1);
            auto second = with_value<counted>(objects, 2);
            CHECK(objects.alive == 2);
            first = std::move(second);
            CHECK(first->value == 2);
            first = with_error<counted>("bad");
            CHECK(first.has_error());
            first = settled<counted>();
            CHECK(first.was_stopped());
            auto const copy = with_value<counted>(objects, 3);
            auto const other = copy;
            CHECK(other->value == 3);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("its result has the value, the error's code, or operation_canceled") {
        auto const value = weft::detail::result_of(with_value<int>(4));
        CHECK(*value == 4);
        settled<int> failed;
        settled_access::fail(
            failed,
            std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::io_error))));
        CHECK(weft::detail::result_of(std::move(failed)).error() == std::errc::io_error);
        CHECK(weft::detail::result_of(settled<int>()).error() == std::errc::operation_canceled);
        CHECK_THROWS_WITH((void)weft::detail::result_of(with_error<int>("no code")), "no code");
    }
}
