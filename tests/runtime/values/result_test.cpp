#include <weft/runtime/values/result.hpp>

#include <weft/runtime/values/error.hpp>
#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <new>
#include <ostream>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace {

using weft::failure;
using weft::result;
using weft::test::counted;
using weft::test::object_count;

static_assert(std::is_nothrow_move_constructible_v<result<std::unique_ptr<int>>>);
static_assert(!std::is_copy_constructible_v<result<std::unique_ptr<int>>>);
static_assert(std::is_copy_constructible_v<result<std::string>>);
static_assert(!std::is_nothrow_copy_constructible_v<result<std::string>>);
static_assert(!std::is_convertible_v<std::error_code, result<int>>);

// What the value type converts from by request only is no result without a request: a failed result
// must not turn into a successful result<bool>.
static_assert(std::is_convertible_v<char const*, result<std::string>>);
static_assert(!std::is_convertible_v<result<int>, result<bool>>);
static_assert(!std::is_convertible_v<std::unique_ptr<int>, result<bool>>);
static_assert(!std::is_convertible_v<int*, result<std::unique_ptr<int>>>);
static_assert(std::is_constructible_v<result<std::unique_ptr<int>>, int*>);

/// Copies throw when told to.
struct throws_on_copy {
    throws_on_copy() = default;

    throws_on_copy(throws_on_copy const& other) : armed(other.armed) {
        if (armed) {
            throw std::bad_alloc();
        }
    }

    throws_on_copy& operator=(throws_on_copy const&) = default;
    ~throws_on_copy() = default;

    bool armed = false;
};

/// Moves throw when told to, after they have written over the place of the value.
struct throws_on_move {
    explicit throws_on_move(bool is_armed) noexcept : armed(is_armed) {}

    throws_on_move(throws_on_move const&) = default;

    throws_on_move(throws_on_move&& other) : armed(other.armed) {
        written[0] = written[1] = 0x4141414141414141;
        if (armed) {
            throw std::bad_alloc();
        }
    }

    throws_on_move& operator=(throws_on_move const&) = delete;
    ~throws_on_move() = default;

    long written[2] = {};
    bool armed;
};

std::error_code const broken_pipe = std::make_error_code(std::errc::broken_pipe);

}  // namespace

TEST_SUITE("runtime/base/result") {
    TEST_CASE("a result with a value gives the value and no error") {
        result<int> made = 42;
        CHECK(made.has_value());
        CHECK(static_cast<bool>(made));
        CHECK(*made == 42);
        CHECK(made.value() == 42);
        CHECK(made.error() == std::error_code());
        *made = 43;
        CHECK(std::as_const(made).value() == 43);
    }

    TEST_CASE("a failed result gives the error, and value() throws it") {
        result<int> const failed = failure(std::errc::broken_pipe);
        CHECK(!failed.has_value());
        CHECK(!static_cast<bool>(failed));
        CHECK(failed.error() == broken_pipe);
        try {
            static_cast<void>(failed.value());
            FAIL("value() gave a value that does not exist");
        } catch (std::system_error const& thrown) {
            CHECK(thrown.code() == broken_pipe);
        }
    }

    TEST_CASE("a failure is made from any error enumeration") {
        CHECK(failure(weft::errc::closed).error() == weft::errc::closed);
        CHECK(failure(std::errc::timed_out).error() == std::errc::timed_out);
        CHECK(failure(broken_pipe).error() == broken_pipe);
    }

    TEST_CASE("a value that cannot be copied moves in and out") {
        result<std::unique_ptr<int>> made = std::make_unique<int>(7);
        CHECK(**made == 7);
        result<std::unique_ptr<int>> other = std::move(made);
        std::unique_ptr<int> const out = std::move(other).value();
        CHECK(*out == 7);
        CHECK(*other == nullptr);
    }

    TEST_CASE("members of the value are reached with the arrow") {
        result<std::string> text = std::string("weft");
        CHECK(text->size() == 4);
        CHECK(std::as_const(text)->front() == 'w');
    }

    TEST_CASE("a reference is held, not copied") {
        object_count count;
        counted target(count, 1);
        result<counted&> made = target;
        CHECK(&*made == &target);
        CHECK(&made.value() == &target);
        made->value = 2;
        CHECK(target.value == 2);
        result<counted&> const copy = made;
        CHECK(&copy.value() == &target);
        CHECK(count.alive == 1);
        CHECK(count.copies == 0);
        CHECK(count.moves == 0);
    }

    TEST_CASE("every value that is made is destroyed once, whatever is assigned to what") {
        object_count count;
        {
            result<counted> value(counted(count, 1));
            result<counted> other(counted(count, 2));
            result<counted> error = failure(std::errc::broken_pipe);
            CHECK(count.alive == 2);

            result<counted> copy = value;
            CHECK(count.alive == 3);
            copy = error;
            CHECK(count.alive == 2);
            CHECK(copy.error() == broken_pipe);
            copy = other;
            CHECK(count.alive == 3);
            CHECK(copy->value == 2);
            copy = std::move(value);
            CHECK(copy->value == 1);
            CHECK(value->value == counted::moved_from);
            error = copy;
            CHECK(error->value == 1);
            result<counted>& itself = error;
            error = itself;
            CHECK(error->value == 1);
            error = failure(std::errc::timed_out);
            CHECK(error.error() == std::errc::timed_out);
        }
        CHECK(count.alive == 0);
    }

    TEST_CASE("an assignment whose value throws leaves the target as it was or failed") {
        result<throws_on_copy> target = throws_on_copy();
        result<throws_on_copy> source = throws_on_copy();
        source->armed = true;
        CHECK_THROWS_AS(target = source, std::bad_alloc);
        CHECK((!target.has_value() || !target->armed));
        target = failure(std::errc::broken_pipe);
        CHECK(target.error() == broken_pipe);
    }

    TEST_CASE("an assignment whose value throws while it is moved leaves a whole error") {
        throws_on_move const armed(true);
        throws_on_move const harmless(false);
        result<throws_on_move> const source(armed);
        for (bool had_value : {false, true}) {
            CAPTURE(had_value);
            result<throws_on_move> target = failure(broken_pipe);
            if (had_value) {
                target = result<throws_on_move>(harmless);
            }
            CHECK(target.has_value() == had_value);
            CHECK_THROWS_AS(target = source, std::bad_alloc);
            CHECK(!target.has_value());
            CHECK(target.error() == std::errc::not_enough_memory);
            CHECK(target.error().message() ==
                  std::make_error_code(std::errc::not_enough_memory).message());
            target = result<throws_on_move>(harmless);
            CHECK(target.has_value());
        }
    }

    TEST_CASE("value_or gives the value if there is one, and the substitute otherwise") {
        result<std::string> const made = std::string("made");
        result<std::string> const failed = failure(std::errc::broken_pipe);
        CHECK(made.value_or("substitute") == "made");
        CHECK(failed.value_or("substitute") == "substitute");
        CHECK(result<std::unique_ptr<int>>(std::make_unique<int>(1)).value_or(nullptr) != nullptr);
    }

    TEST_CASE("and_then goes on with a value and passes an error through") {
        auto const half = [](int number) -> result<int> {
            if (number % 2 != 0) {
                return failure(std::errc::invalid_argument);
            }
            return number / 2;
        };
        CHECK(result<int>(8).and_then(half).and_then(half).value() == 2);
        CHECK(result<int>(6).and_then(half).and_then(half).error() == std::errc::invalid_argument);
        CHECK(result<int>(failure(broken_pipe)).and_then(half).error() == broken_pipe);
    }

    TEST_CASE("transform changes the value, to nothing as well, and passes an error through") {
        auto const length = [](std::string text) { return text.size(); };
        CHECK(result<std::string>(std::string("weft")).transform(length).value() == 4);
        CHECK(result<std::string>(failure(broken_pipe)).transform(length).error() == broken_pipe);
        int calls = 0;
        auto const count_call = [&calls](int) { ++calls; };
        result<void> const done = result<int>(1).transform(count_call);
        CHECK(done.has_value());
        result<void> const failed = result<int>(failure(broken_pipe)).transform(count_call);
        CHECK(failed.error() == broken_pipe);
        CHECK(calls == 1);
    }

    TEST_CASE("or_else replaces an error and passes a value through") {
        auto const recover = [](std::error_code error) -> result<std::unique_ptr<int>> {
            if (error == broken_pipe) {
                return std::make_unique<int>(0);
            }
            return failure(error);
        };
        using owned = result<std::unique_ptr<int>>;
        CHECK(**owned(failure(broken_pipe)).or_else(recover) == 0);
        CHECK(**owned(std::make_unique<int>(5)).or_else(recover) == 5);
        CHECK(owned(failure(std::errc::timed_out)).or_else(recover).error() ==
              std::errc::timed_out);
    }

    TEST_CASE("a result without value is success by itself") {
        result<void> const done;
        CHECK(done.has_value());
        CHECK(done.error() == std::error_code());
        CHECK_NOTHROW(done.value());
        *done;
    }

    TEST_CASE("a failed result without value throws its error") {
        result<void> const failed = failure(std::errc::broken_pipe);
        CHECK(!failed);
        CHECK(failed.error() == broken_pipe);
        CHECK_THROWS_AS(failed.value(), std::system_error);
    }

    TEST_CASE("results without value chain in both directions") {
        int calls = 0;
        auto const next = [&calls]() -> result<int> { return ++calls; };
        auto const forgive = [](std::error_code) -> result<void> { return {}; };
        CHECK(result<void>().and_then(next).value() == 1);
        CHECK(result<void>(failure(broken_pipe)).and_then(next).error() == broken_pipe);
        CHECK(calls == 1);
        CHECK(result<void>(failure(broken_pipe)).or_else(forgive).has_value());
        CHECK(result<void>().or_else(forgive).has_value());
    }
}
