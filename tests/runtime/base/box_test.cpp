#include <weft/runtime/base/box.hpp>

#include <weft/tests/support/counted.hpp>

#include <doctest/doctest.h>

#include <type_traits>
#include <utility>

namespace {

using weft::detail::box;
using weft::test::counted;
using weft::test::object_count;

static_assert(!std::is_copy_constructible_v<box<int>>);
static_assert(std::is_nothrow_move_assignable_v<box<int>>);
static_assert(sizeof(box<counted>) == sizeof(counted*));

}  // namespace

TEST_SUITE("runtime/base/box") {
    TEST_CASE("an empty box holds no object and destroys none") {
        box<counted> const empty;
        CHECK(!empty);
        CHECK(empty.address() == nullptr);
    }

    TEST_CASE("a box makes its object in place and destroys it once") {
        object_count count;
        {
            auto const made = box<counted>::make(count, 7);
            CHECK(made);
            CHECK(made->value == 7);
            CHECK(&*made == made.address());
            CHECK(count.alive == 1);
            CHECK(count.copies + count.moves == 0);
        }
        CHECK(count.alive == 0);
    }

    TEST_CASE("a moved box leaves the object where it is, and assignment destroys the old one") {
        object_count count;
        {
            auto source = box<counted>::make(count, 1);
            counted const* const object = source.address();
            auto target = box<counted>::make(count, 2);
            target = std::move(source);
            CHECK(!source);
            CHECK(target.address() == object);
            CHECK(count.alive == 1);
            box<counted>& itself = target;
            target = std::move(itself);
            CHECK(target.address() == object);
            CHECK(count.alive == 1);
            box<counted> const moved = std::move(target);
            CHECK(!target);
            CHECK(moved.address() == object);
            CHECK(count.moves == 0);
        }
        CHECK(count.alive == 0);
    }

    TEST_CASE("a swap exchanges the objects, an empty box's nothing included") {
        object_count count;
        auto full = box<counted>::make(count, 3);
        box<counted> empty;
        full.swap(empty);
        CHECK(!full);
        CHECK(empty->value == 3);
    }
}
