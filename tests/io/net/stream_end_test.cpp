#include <weft/io/net/detail/stream_end.hpp>

#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

TEST_SUITE("io/net/stream_end") {
    TEST_CASE("a socket that is no TCP connection does not say how its stream has ended") {
        weft::test::descriptor_states const sockets;
        CHECK(weft::detail::end_of_stream(sockets.a->fd()) == weft::detail::stream_end::unknown);
        CHECK(weft::detail::end_of_stream(-1) == weft::detail::stream_end::unknown);
    }
}
