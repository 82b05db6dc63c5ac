#pragma once

/// The ways in which the io_uring driver can be set up, and operations on it without the sockets of
/// the public API. Tests of the driver run each promise over every set-up.

#include <weft/io/driver/uring_driver.hpp>
#include <weft/io/net/detail/socket_ops.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/tests/support/skip.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <concepts>
#include <coroutine>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/socket.h>
#include <sys/uio.h>

namespace weft::test {

struct uring_setup {
    std::string name;
    detail::uring_options options;
};

inline detail::uring_options uring_sized(unsigned entries, unsigned completions) {
    detail::uring_options options;
    options.entries = entries;
    options.completion_entries = completions;
    return options;
}

inline detail::uring_options uring_masked(char const* list, detail::uring_options options = {}) {
    CHECK(options.disable(list).empty());
    return options;
}

/// About every `period`-th system call fails.
inline detail::uring_options uring_failing(unsigned period, int error, unsigned entries) {
    detail::uring_options options = uring_sized(entries, 0);
    options.enter_fault_period = period;
    options.enter_fault = error;
    return options;
}

inline detail::uring_options uring_bare() {
    detail::uring_options options = uring_sized(2, 4);
    options.allowed = detail::uring_features();
    return options;
}

inline std::vector<uring_setup> uring_setups() {
    std::vector<uring_setup> setups;
    auto const add = [&setups](char const* name, detail::uring_options const& options) {
        setups.push_back({name, options});
    };
    add("default", detail::uring_options());
    add("one entry", uring_sized(1, 1));
    add("two entries, completion queue of four", uring_sized(2, 4));
    add("no deferred task work", uring_masked("defer_taskrun"));
    add("deferred task work without its flag", uring_masked("taskrun_flag"));
    add("interrupting task work", uring_masked("defer_taskrun,coop_taskrun"));
    add("waits without deadline", uring_masked("ext_arg"));
    add("waits without deadline, one-shot watches", uring_masked("ext_arg,multishot_poll"));
    add("one-shot watches", uring_masked("multishot_poll"));
    add("no poll-first", uring_masked("poll_first"));
    add("nothing but the plain ring, small", uring_bare());
    add("half of the enters are interrupted", uring_failing(2, EINTR, 256));
    add("half of the enters are refused", uring_failing(2, EAGAIN, 2));
    add("a third of the enters finds the ring busy", uring_failing(3, EBUSY, 1));
    add("a third of the enters finds no memory, waits without deadline",
        uring_masked("ext_arg", uring_failing(3, ENOMEM, 2)));
    return setups;
}

inline detail::uring_driver* make_uring_driver(detail::uring_options const& options) {
    std::string report;
    auto made = detail::uring_driver::create(options, report);
    if (!made) {
        std::fprintf(stderr, "no driver: %s\n", report.c_str());
        std::abort();
    }
    return *made;
}

/// Why this machine has no such driver, or nothing.
inline std::string uring_refusal() {
    std::string report;
    auto made = detail::uring_driver::create(detail::uring_options(), report);
    if (!made) {
        return report;
    }
    delete *made;
    return {};
}

/// A pool whose workers wait in io_uring drivers.
class uring_pool : public runtime_base {
public:
    explicit uring_pool(detail::uring_options const& options, unsigned workers = 1)
        : runtime_base(
              workers,
              [&](unsigned) -> detail::driver* { return make_uring_driver(options); },
              error_hook()) {}
};

/// The driver of the worker that runs the caller.
inline detail::uring_driver& this_uring_driver() {
    return dynamic_cast<detail::uring_driver&>(detail::require_worker("test").waits_in());
}

using detail::receive_exact_kind;
using detail::receive_kind;
using detail::receive_vectors_kind;
using detail::send_kind;
using detail::send_vectors_kind;

/// Awaits one operation; being stopped is an outcome like others.
template <class Op>
class awaited {
public:
    template <class... Arguments>
    explicit awaited(Arguments&&... arguments) : op(std::forward<Arguments>(arguments)...) {
        op.resume_when_stopped();
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return op.start(waiter.promise());
    }

    [[nodiscard]] result<std::size_t> await_resume() noexcept { return op.outcome(); }

    Op op;
};

/// A transfer from or to one place, or over the caller's vectors.
class operation : public awaited<detail::vectored_transfer> {
public:
    operation(detail::io_kind const& kind,
              detail::descriptor_state& stream,
              std::span<unsigned char> data)
        : awaited(
              detail::transfer_request{
                  kind, stream, detail::io_object::descriptor(0), data.data(), data.size()},
              detail::vector_list(mutable_buffers(nullptr, 0))) {}

    operation(detail::io_kind const& kind,
              detail::descriptor_state& stream,
              std::span<::iovec> vectors)
        : operation(kind, stream, std::span<unsigned char>()) {
        op.vectors = vectors.data();
        op.vector_count = static_cast<unsigned>(vectors.size());
    }
};

/// Two connected stream sockets.
struct descriptor_states {
    descriptor_states() {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
        a = std::make_unique<detail::descriptor_state>(unique_fd(fds[0]));
        b = std::make_unique<detail::descriptor_state>(unique_fd(fds[1]));
    }

    std::unique_ptr<detail::descriptor_state> a;
    std::unique_ptr<detail::descriptor_state> b;
};

/// Bytes of which no two neighbouring blocks are alike.
inline std::vector<unsigned char> numbered_bytes(std::size_t count) {
    std::vector<unsigned char> data(count);
    for (std::size_t i = 0; i < count; ++i) {
        data[i] = static_cast<unsigned char>(i * 7 + i / 256);
    }
    return data;
}

}  // namespace weft::test

/// Leaves the running test case as skipped where the machine refuses io_uring.
#define WEFT_NEEDS_URING()                                              \
    if (auto const why = ::weft::test::uring_refusal(); !why.empty()) { \
        WEFT_SKIP(why.c_str());                                         \
    }                                                                   \
    static_assert(true)
