#include <weft/runtime/values/error.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <system_error>

TEST_SUITE("runtime/base/error") {
    TEST_CASE("the library's errors belong to a category of their own, named weft") {
        std::error_code const code = weft::errc::closed;
        CHECK(&code.category() == &weft::error_category());
        CHECK(std::string_view(code.category().name()) == "weft");
        CHECK(code != std::error_code(code.value(), std::system_category()));
    }

    TEST_CASE("no error of the library counts as success") {
        CHECK(static_cast<bool>(make_error_code(weft::errc::closed)));
        CHECK(static_cast<bool>(make_error_code(weft::errc::unexpected_eof)));
    }

    TEST_CASE("each error says what happened, and an unknown one names its number") {
        CHECK(make_error_code(weft::errc::closed).message() == "closed");
        CHECK(make_error_code(weft::errc::unexpected_eof).message() == "unexpected end of stream");
        CHECK(make_error_code(weft::errc::circuit_open).message() == "circuit open");
        CHECK(make_error_code(weft::errc::bulkhead_full).message() == "bulkhead full");
        CHECK(make_error_code(weft::errc::rate_limited).message() == "rate limited");
        std::string const unknown = weft::error_category().message(4711);
        CHECK(unknown.find("4711") != std::string::npos);
    }

    TEST_CASE("a cancelled operation is a system error with operation_canceled") {
        try {
            throw weft::operation_cancelled();
        } catch (std::system_error const& thrown) {
            CHECK(thrown.code() == std::errc::operation_canceled);
        }
    }
}
