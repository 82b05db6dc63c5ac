#include <weft/runtime/task/exception_group.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using weft::exception_group;
using errors = std::vector<std::exception_ptr>;

std::exception_ptr error(std::string const& text) {
    return std::make_exception_ptr(std::runtime_error(text));
}

std::string text_of(std::exception_ptr const& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (std::exception const& e) {
        return e.what();
    } catch (int number) {
        return std::to_string(number);
    }
}

exception_group group(errors const& all) {
    return exception_group(all);
}

}  // namespace

TEST_SUITE("runtime/exception_group") {
    TEST_CASE("no error makes no exception, and one stays itself") {
        CHECK(weft::group_errors({}) == nullptr);
        errors const nothing(3);
        CHECK(weft::group_errors(nothing) == nullptr);
        errors const one{nullptr, error("alone"), nullptr};
        CHECK(weft::group_errors(one) == one[1]);
    }

    TEST_CASE("several errors are thrown as a group that has all of them in order") {
        errors const three{error("a"), std::make_exception_ptr(7), error("c")};
        try {
            std::rethrow_exception(weft::group_errors(three));
            FAIL("nothing was thrown");
        } catch (exception_group const& thrown) {
            REQUIRE(thrown.size() == 3);
            CHECK(errors(thrown.errors().begin(), thrown.errors().end()) == three);
            CHECK(thrown.name(0).empty());
            CHECK(thrown.name(99).empty());
        }
    }

    TEST_CASE("an error that comes by two ways is listed once") {
        auto const a = error("a");
        auto const b = error("b");
        CHECK(group(errors{a, b, a, b, a}).size() == 2);
        errors const same{a, a};
        CHECK(weft::group_errors(same) == a);
    }

    TEST_CASE("the text has a line for each error, with its name, and indents what is below") {
        weft::detail::error_list inner;
        inner.add(error("bad frame"));
        inner.add(std::make_exception_ptr(7));
        weft::detail::error_list outer;
        outer.add(error("Address already in use"), "accept");
        outer.add(inner.take(), "session");
        outer.add(error("two\nlines"));
        CHECK(text_of(outer.take()) ==
              "3 errors\n"
              "  - accept: Address already in use\n"
              "  - session: 2 errors\n"
              "      - bad frame\n"
              "      - an exception that is no std::exception\n"
              "  - two\n"
              "    lines");
    }

    TEST_CASE("the text of a large group lists the first errors and counts the others") {
        errors many;
        for (std::size_t i = 0; i < exception_group::listed_errors_max + 5; ++i) {
            many.push_back(error(std::to_string(i)));
        }
        std::string const text = group(many).what();
        CHECK(text.starts_with("105 errors\n  - 0\n"));
        CHECK(text.find("\n  - 99\n") != std::string::npos);
        CHECK(text.find("- 100") == std::string::npos);
        CHECK(text.ends_with("\n  … and 5 more"));
    }

    TEST_CASE("the text of groups in groups ends at a depth") {
        auto nested = error("innermost");
        for (std::size_t i = 0; i < exception_group::listed_depth_max; ++i) {
            nested = std::make_exception_ptr(group(errors{nested, error("beside")}));
        }
        CHECK(text_of(nested).find("innermost") != std::string::npos);
        nested = std::make_exception_ptr(group(errors{nested, error("beside")}));
        CHECK(text_of(nested).find("innermost") == std::string::npos);
    }

    TEST_CASE("flattening gives every error below, depth first, with its name") {
        weft::detail::error_list inner;
        inner.add(error("b"), "second");
        inner.add(error("c"));
        weft::detail::error_list outer;
        outer.add(error("a"));
        outer.add(inner.take(), "session");
        outer.add(error("d"), "fourth");
        exception_group const flat = outer.take_group().flatten();
        std::string seen;
        for (std::size_t i = 0; i < flat.size(); ++i) {
            seen += text_of(flat.errors()[i]) + std::string(flat.name(i)) + " ";
        }
        CHECK(seen == "a bsecond c dfourth ");
        seen.clear();
        flat.for_each([&](std::exception_ptr const& each) { seen += text_of(each); });
        CHECK(seen == "abcd");
    }

    TEST_CASE("copies share the errors, and outlive the original") {
        exception_group copy = group(errors{error("x"), error("y")});
        char const* text = nullptr;
        {
            exception_group const original = group(errors{error("a"), error("b")});
            copy = original;
            text = original.what();
            CHECK(copy.errors().data() == original.errors().data());
        }
        CHECK(copy.what() == text);
        CHECK(std::string(copy.what()) == "2 errors\n  - a\n  - b");
        exception_group const& self = copy;
        copy = self;
        CHECK(copy.size() == 2);
    }

    TEST_CASE("any thread may ask for the text at any time") {
        for (int round = 0; round < 200; ++round) {
            exception_group const shared = group(errors{error("a"), error("b")});
            std::string seen[2];
            std::thread other([&] { seen[0] = exception_group(shared).what(); });
            seen[1] = exception_group(shared).what();
            other.join();
            CHECK(seen[0] == seen[1]);
        }
    }
}
