/// Kinds of operations that the library does not have. This file is all that knows of them.

#include <weft/io/net/detail/socket_ops.hpp>
#include <weft/io/ring/ring_entry.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace weft::test;
using weft::task;
using weft::detail::descriptor_state;
using weft::detail::for_kind;
using weft::detail::io_answer;
using weft::detail::io_attempt;
using weft::detail::io_kind;
using weft::detail::io_op;
using weft::detail::io_wait;
using weft::detail::ring_entry;

namespace {

// --- statx: no descriptor, and nothing to wait for ------------------------------------------

extern io_kind const statx_kind;

struct statx_op : io_op {
    statx_op(char const* name, struct ::statx& result)
        : io_op(statx_kind)
        , path(name)
        , into(&result) {}

    char const* path;
    struct ::statx* into;
};

void prepare_statx(statx_op& op, ring_entry const& entry) noexcept {
    ::io_uring_prep_statx(entry.sqe, AT_FDCWD, op.path, 0, STATX_SIZE, op.into);
}

io_attempt attempt_statx(statx_op& op) noexcept {
    return {::statx(AT_FDCWD, op.path, 0, STATX_SIZE, op.into) == 0 ? 0 : -errno};
}

bool take_statx(statx_op& op, io_answer answer) noexcept {
    return op.end(answer.value);
}

constinit io_kind const statx_kind{
    .name = "look at",
    .waits = io_wait::never,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_statx>,
    .attempt = for_kind<&attempt_statx>,
    .take = for_kind<&take_statx>,
};

// --- edges: many answers to one request -----------------------------------------------------

extern io_kind const edges_kind;

/// Counts how often an event counter became readable, until there were enough, or the ring ended.
struct edges_op : io_op {
    edges_op(descriptor_state& counter, int count) : io_op(edges_kind, counter), wanted(count) {}

    int wanted;
    int answers = 0;
    int requests = 0;
};

void prepare_edges(edges_op& op, ring_entry const& entry) noexcept {
    ++op.requests;
    ::io_uring_prep_poll_multishot(entry.sqe, op.descriptor->fd(), POLLIN);
}

io_attempt attempt_edges(edges_op& op) noexcept {
    std::uint64_t count = 0;
    ::ssize_t const read = ::read(op.descriptor->fd(), &count, sizeof count);
    return {read < 0 ? -errno : static_cast<int>(count), true};
}

/// The operation ends with the last answer of a request only; else it is asked for again.
bool take_edges(edges_op& op, io_answer answer) noexcept {
    if (answer.value < 0) {
        return op.end(answer.value);
    }
    ++op.answers;
    return !answer.has(io_answer::more) && op.answers >= op.wanted && op.end(0);
}

constinit io_kind const edges_kind{
    .name = "count the edges of",
    .waits = io_wait::for_input,
    .repeats_interrupted = true,
    .prepare = for_kind<&prepare_edges>,
    .attempt = for_kind<&attempt_edges>,
    .take = for_kind<&take_edges>,
};

[[nodiscard]] weft::runtime_options on(weft::driver_kind driver) {
    weft::runtime_options options;
    options.workers = 1;
    options.driver = driver;
    return options;
}

std::vector<weft::driver_kind> drivers() {
    std::vector<weft::driver_kind> all{weft::driver_kind::epoll};
    if (uring_refusal().empty()) {
        all.push_back(weft::driver_kind::uring);
    }
    return all;
}

}  // namespace

TEST_SUITE("io/op/new_kind") {
    TEST_CASE("a kind that uses no descriptor runs on both drivers, which do not know it") {
        for (weft::driver_kind const driver : drivers()) {
            CAPTURE(static_cast<int>(driver));
            weft::runtime runtime(on(driver));
            struct ::statx found{};
            struct ::statx missing{};
            std::error_code told;
            auto work = [&]() -> task<> {
                awaited<statx_op> looks("/proc/self/exe", found);
                auto const first = co_await looks;
                CHECK(first.has_value());
                awaited<statx_op> looks_in_vain("/no such file", missing);
                auto const second = co_await looks_in_vain;
                told = second.error();
            };
            runtime.block_on(work());
            CHECK(found.stx_size > 0);
            CHECK(told == std::errc::no_such_file_or_directory);
            CHECK(runtime.operations_in_flight() == 0);
        }
    }

    TEST_CASE(
        "a request with many answers goes on until its last one, and is stopped like others") {
        WEFT_NEEDS_URING();
        weft::runtime runtime(on(weft::driver_kind::uring));
        descriptor_state counter(weft::unique_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
        int answers = 0;
        bool stopped = false;
        auto count = [&](awaited<edges_op>& edges) -> task<> {
            auto const ended = co_await edges;
            stopped = ended.error() == std::errc::operation_canceled;
        };
        auto work = [&]() -> task<> {
            awaited<edges_op> edges(counter, 100);
            auto body = [&](weft::nursery& children) -> task<> {
                auto counting = children.spawn(count(edges));
                std::uint64_t const one = 1;
                while (edges.op.answers < 5) {
                    int const before = edges.op.answers;
                    CHECK(::write(counter.fd(), &one, sizeof one) == sizeof one);
                    while (edges.op.answers == before) {
                        co_await weft::yield();
                    }
                }
                children.request_stop();
            };
            co_await weft::scope(body);
            answers = edges.op.answers;
            CHECK(edges.op.requests == 1);
        };
        runtime.block_on(work());
        CHECK(stopped);
        CHECK(answers >= 5);
        CHECK(counter.in_flight() == 0);
        CHECK(runtime.operations_in_flight() == 0);
    }
}
