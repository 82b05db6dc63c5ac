#include <weft/runtime/stop/std_stop.hpp>

#include <weft/runtime/stop/linked_stop_source.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <stop_token>
#include <thread>

TEST_SUITE("runtime/std_stop") {
    TEST_CASE("a standard stop reaches the library's token, earlier or later") {
        std::stop_source standard;
        weft::stop_from_std bridge(standard.get_token());
        CHECK_FALSE(bridge.token().stop_requested());
        standard.request_stop();
        CHECK(bridge.token().stop_requested());
        CHECK(bridge.token().reason().kind() == weft::stop_kind::requested);
        weft::stop_from_std late(standard.get_token());
        CHECK(late.token().stop_requested());
    }

    TEST_CASE("a stop of the library reaches the standard's token, which may outlive the bridge") {
        weft::stop_source source;
        std::stop_token token;
        {
            weft::std_from_stop bridge(source.token());
            token = bridge.token();
            CHECK_FALSE(token.stop_requested());
            source.request_stop();
            CHECK(token.stop_requested());
        }
        CHECK(token.stop_requested());
    }

    TEST_CASE("destroying a bridge while the stop comes is safe on both sides") {
        for (int round = 0; round < 500; ++round) {
            std::stop_source standard;
            weft::stop_source source;
            std::optional<weft::stop_from_std> from(standard.get_token());
            std::optional<weft::std_from_stop> to(source.token());
            std::atomic<bool> go = false;
            std::thread requester([&] {
                while (!go) {
                }
                standard.request_stop();
                source.request_stop();
            });
            go = true;
            from.reset();
            to.reset();
            requester.join();
            CHECK(standard.stop_requested());
        }
    }
}
