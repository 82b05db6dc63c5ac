#include <weft/runtime/values/unique_fd.hpp>

#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/socket_pair.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <ostream>
#include <system_error>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace {

using weft::unique_fd;
using weft::test::fd_count;
using weft::test::socket_pair;

static_assert(!std::is_copy_constructible_v<unique_fd>);
static_assert(!std::is_copy_assignable_v<unique_fd>);
static_assert(!std::is_convertible_v<int, unique_fd>);
static_assert(std::is_nothrow_move_constructible_v<unique_fd>);
static_assert(sizeof(unique_fd) == sizeof(int));

unique_fd open_null() {
    unique_fd fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_SUITE("runtime/base/unique_fd") {
    TEST_CASE("a descriptor is closed when its owner goes") {
        auto const before = fd_count();
        int number = -1;
        {
            unique_fd const owner = open_null();
            number = owner.value();
            CHECK(is_open(number));
            CHECK(fd_count() == before + 1);
        }
        CHECK(!is_open(number));
        CHECK(fd_count() == before);
    }

    TEST_CASE("descriptor zero is owned like any other") {
        unique_fd const saved(::dup(0));
        unique_fd zero(0);
        CHECK(zero);
        zero.reset();
        bool const closed = !is_open(0);
        if (saved) {
            CHECK(::dup2(saved.value(), 0) == 0);
        }
        CHECK(closed);
    }

    TEST_CASE("an empty owner closes nothing") {
        auto const before = fd_count();
        {
            unique_fd empty;
            CHECK(!empty);
            CHECK(empty.value() == -1);
            empty.reset();
            CHECK(empty.release() == -1);
        }
        CHECK(fd_count() == before);
    }

    TEST_CASE("a move hands the descriptor over, and only the new owner closes it") {
        auto const before = fd_count();
        unique_fd first = open_null();
        int const number = first.value();
        {
            unique_fd const second = std::move(first);
            CHECK(!first);
            CHECK(second.value() == number);
            first = open_null();
            CHECK(first.value() != number);
        }
        CHECK(!is_open(number));
        CHECK(is_open(first.value()));
        first.reset();
        CHECK(fd_count() == before);
    }

    TEST_CASE("assignment closes what was owned before, and assignment to itself nothing") {
        auto const before = fd_count();
        unique_fd target = open_null();
        int const old = target.value();
        unique_fd source = open_null();
        int const number = source.value();
        target = std::move(source);
        CHECK(!is_open(old));
        CHECK(target.value() == number);
        unique_fd& itself = target;
        target = std::move(itself);
        CHECK(target.value() == number);
        CHECK(is_open(number));
        target.reset();
        CHECK(fd_count() == before);
    }

    TEST_CASE("a released descriptor stays open") {
        unique_fd owner = open_null();
        int const number = owner.release();
        CHECK(!owner);
        owner.reset();
        CHECK(is_open(number));
        CHECK(::close(number) == 0);
    }

    TEST_CASE("closing leaves errno as it was") {
        unique_fd nonsense(1 << 20);
        errno = EINTR;
        nonsense.reset();
        CHECK(errno == EINTR);
    }

    TEST_CASE("a duplicate reaches the same open file and is closed on its own") {
        socket_pair sockets;
        auto duplicate = sockets.near.duplicate();
        REQUIRE(duplicate);
        CHECK(duplicate->value() != sockets.near.value());
        CHECK((::fcntl(duplicate->value(), F_GETFD) & FD_CLOEXEC) != 0);
        sockets.near.reset();
        CHECK(::write(duplicate->value(), "x", 1) == 1);
        char byte = 0;
        CHECK(::read(sockets.far.value(), &byte, 1) == 1);
        CHECK(byte == 'x');
    }

    TEST_CASE("an empty owner has no duplicate") {
        CHECK(unique_fd().duplicate().error() == std::errc::bad_file_descriptor);
    }
}
