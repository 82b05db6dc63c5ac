#include <weft/runtime/stop/stop_reason.hpp>

#include <weft/runtime/stop/stop_token.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <source_location>
#include <string_view>
#include <thread>

using weft::stop_kind;
using weft::stop_reason;
using weft::stop_source;
using weft::stop_token;

TEST_SUITE("runtime/core/stop_reason") {
    TEST_CASE("a token without a request, and one without a source, give no reason") {
        stop_source source;
        CHECK(source.token().reason().kind() == stop_kind::none);
        CHECK_FALSE(stop_token().reason());
    }

    TEST_CASE("a plain request names the line that asked") {
        stop_source source;
        auto const here = std::source_location::current();
        source.request_stop();
        stop_reason const reason = source.token().reason();
        CHECK(reason.kind() == stop_kind::requested);
        CHECK(reason.asked_at().line() == here.line() + 1);
        CHECK(std::string_view(reason.asked_at().file_name()) == here.file_name());
        CHECK(std::string_view(reason.text()).empty());
    }

    TEST_CASE("a reason carries a kind, the user's words and the line") {
        stop_source source;
        auto const line = std::source_location::current().line() + 1;
        source.request_stop(stop_reason(stop_kind::shutdown, "the disk is full"));
        stop_reason const reason = source.token().reason();
        CHECK(reason.kind() == stop_kind::shutdown);
        CHECK(std::string_view(reason.text()) == "the disk is full");
        CHECK(reason.asked_at().line() == line);
    }

    TEST_CASE("words alone are a reason") {
        stop_source source;
        auto const line = std::source_location::current().line() + 1;
        source.request_stop("closing for the night");
        CHECK(source.token().reason().kind() == stop_kind::requested);
        CHECK(std::string_view(source.token().reason().text()) == "closing for the night");
        CHECK(source.token().reason().asked_at().line() == line);
    }

    TEST_CASE("the first reason stays") {
        stop_source source;
        CHECK(source.request_stop(stop_kind::deadline));
        CHECK_FALSE(source.request_stop(stop_kind::shutdown));
        CHECK(source.token().reason().kind() == stop_kind::deadline);
    }

    TEST_CASE("a request of the kind none counts as requested") {
        stop_source source;
        source.request_stop(stop_reason());
        CHECK(source.token().reason().kind() == stop_kind::requested);
    }

    TEST_CASE("descendants give the reason of the ancestor that was stopped") {
        stop_source root;
        stop_source middle(root.token());
        stop_source linked(middle.token());
        stop_source late(middle.token());
        CHECK_FALSE(linked.stop_requested());  // links it before the request
        root.request_stop(stop_reason(stop_kind::shutdown, "evening"));
        CHECK(linked.token().reason().kind() == stop_kind::shutdown);
        CHECK(late.token().reason().kind() == stop_kind::shutdown);
        CHECK(std::string_view(late.token().reason().text()) == "evening");
        CHECK(late.token().reason().asked_at().line() == root.token().reason().asked_at().line());
    }

    TEST_CASE("a descendant that was stopped before its ancestor keeps its own reason") {
        stop_source root;
        stop_source child(root.token());
        child.request_stop(stop_kind::deadline);
        root.request_stop(stop_kind::shutdown);
        CHECK(child.token().reason().kind() == stop_kind::deadline);
    }

    TEST_CASE("of two requesters the reason is the winner's, whole") {
        for (int round = 0; round < 2000; ++round) {
            stop_source source;
            std::atomic<bool> go = false;
            std::atomic<bool> other_won = false;
            std::thread other([&] {
                while (!go) {
                }
                other_won = source.request_stop(stop_reason(stop_kind::deadline, "late"));
            });
            go = true;
            bool const won = source.request_stop(stop_reason(stop_kind::shutdown, "closing"));
            stop_reason const seen = source.token().reason();
            other.join();
            CHECK(won != other_won);
            CHECK(seen.kind() == (won ? stop_kind::shutdown : stop_kind::deadline));
            CHECK(std::string_view(seen.text()) == (won ? "closing" : "late"));
        }
    }

    TEST_CASE("every kind has a name of its own") {
        CHECK(std::string_view(name_of(stop_kind::none)) == "none");
        CHECK(std::string_view(name_of(stop_kind::requested)) == "requested");
        CHECK(std::string_view(name_of(stop_kind::deadline)) == "deadline");
        CHECK(std::string_view(name_of(stop_kind::shutdown)) == "shutdown");
        CHECK(std::string_view(name_of(stop_kind::sibling_failed)) == "sibling failed");
        CHECK(std::string_view(name_of(stop_kind::sibling_finished)) == "sibling finished");
    }
}
