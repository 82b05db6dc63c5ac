#include <weft/runtime/stop/linked_stop_source.hpp>

#include <doctest/doctest.h>

TEST_SUITE("runtime/core/linked_stop_source") {
    TEST_CASE("any of the tokens stops it, with its reason, and the others stay") {
        weft::stop_source first;
        weft::stop_source second;
        weft::linked_stop_source linked(first.token(), second.token());
        CHECK_FALSE(linked.stop_requested());
        second.request_stop(weft::stop_kind::deadline);
        CHECK(linked.stop_requested());
        CHECK(linked.token().reason().kind() == weft::stop_kind::deadline);
        CHECK_FALSE(first.stop_requested());
        first.request_stop(weft::stop_kind::shutdown);
        CHECK(linked.token().reason().kind() == weft::stop_kind::deadline);
    }

    TEST_CASE("its own request stops it and none of the tokens") {
        weft::stop_source first;
        weft::linked_stop_source linked(first.token(), weft::stop_token());
        CHECK(linked.request_stop());
        CHECK_FALSE(linked.request_stop());
        CHECK(linked.stop_requested());
        CHECK_FALSE(first.stop_requested());
    }

    TEST_CASE("a token that was stopped before stops it at once") {
        weft::stop_source first;
        first.request_stop();
        weft::stop_source second;
        weft::linked_stop_source linked(second.token(), first.token());
        CHECK(linked.stop_requested());
    }
}
