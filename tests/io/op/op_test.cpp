#include <weft/io/op/op.hpp>

#include <weft/io/net/detail/transfer.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

namespace {

using namespace weft::test;
using weft::task;
using weft::detail::io_op;

/// A driver whose kernel answers every operation with one error.
class failing_driver final : public weft::detail::driver, public weft::detail::io_backend {
public:
    explicit failing_driver(int error) noexcept : error_(error) { io_ = this; }

    void poll() noexcept override {
        is_polling_ = true;
        while (io_op* const op = started_.pop_front()) {
            CHECK(op->absorb({-error_}));
            op->finish();
        }
        is_polling_ = false;
    }

    /// The worker's thread.
    [[nodiscard]] bool is_polling() const noexcept { return is_polling_; }

    void park(weft::detail::nanoseconds_u64) noexcept override {
        poll();
        std::this_thread::yield();
    }

    void wake() noexcept override {}

    [[nodiscard]] weft::detail::nanoseconds_u64 now() const noexcept override {
        ::timespec time{};
        CHECK(::clock_gettime(CLOCK_MONOTONIC, &time) == 0);
        return static_cast<weft::detail::nanoseconds_u64>(time.tv_sec) * 1'000'000'000U +
               static_cast<weft::detail::nanoseconds_u64>(time.tv_nsec);
    }

    [[nodiscard]] bool has_pending() const noexcept override { return !started_.empty(); }

    [[nodiscard]] bool try_now(io_op&) noexcept override { return false; }

    void start(io_op& op) noexcept override { started_.push_back(op); }

    void cancel(io_op&) noexcept override {}

    [[nodiscard]] std::size_t in_flight() const noexcept override { return 0; }

    [[nodiscard]] char const* name() const noexcept override { return "failing"; }

private:
    int const error_;
    bool is_polling_ = false;
    weft::detail::intrusive_list<io_op> started_;
};

class failing_pool : public weft::runtime_base {
public:
    explicit failing_pool(int error)
        : runtime_base(
              1,
              [error](unsigned) -> weft::detail::driver* { return new failing_driver(error); },
              weft::error_hook()) {}
};

/// Awaits one receive as the plain form does: a stop unwinds the task.
class plain_receive {
public:
    plain_receive(weft::detail::descriptor_state& socket, std::span<unsigned char> into)
        : op_({receive_kind,
               socket,
               weft::detail::io_object::descriptor(socket.fd()),
               into.data(),
               into.size()}) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return op_.start(waiter.promise());
    }

    [[nodiscard]] weft::result<std::size_t> await_resume() noexcept { return op_.outcome(); }

private:
    weft::detail::transfer op_;
};

}  // namespace

TEST_SUITE("io/op") {
    TEST_CASE(
        "a cancellation by the kernel that nobody asked for is an error, and unwinds nobody") {
        failing_pool pool(ECANCELED);
        descriptor_states sockets;
        std::error_code told;
        auto work = [&]() -> task<> {
            std::array<unsigned char, 1> into{};
            auto const ended = co_await plain_receive(*sockets.a, into);
            told = ended.error();
        };
        pool.block_on(work());
        CHECK(told == std::error_code(ECANCELED, std::system_category()));
    }

    TEST_CASE("no coroutine is resumed from inside the driver that ends its operation") {
        failing_pool pool(EIO);
        descriptor_states sockets;
        bool resumed_inside = true;
        auto work = [&]() -> task<> {
            auto const& driver =
                dynamic_cast<failing_driver&>(weft::detail::require_worker("this").waits_in());
            std::array<unsigned char, 1> into{};
            auto const ended = co_await plain_receive(*sockets.a, into);
            CHECK(ended.error() == std::error_code(EIO, std::system_category()));
            resumed_inside = driver.is_polling();
        };
        pool.block_on(work());
        CHECK_FALSE(resumed_inside);
    }

    TEST_CASE("a failed operation names itself and its object") {
        failing_pool pool(EIO);
        descriptor_states sockets;
        std::string told;
        auto work = [&]() -> task<> {
            try {
                co_await weft::readiness_operation(
                    *sockets.a, weft::detail::io_object::descriptor(7), "wait for a signal on");
            } catch (std::system_error const& error) {
                told = error.what();
            }
        };
        pool.block_on(work());
        CHECK(told.find("wait for a signal on descriptor 7: ") == 0);
    }

    TEST_CASE("an operation that the kernel interrupts for ever ends with that error") {
        descriptor_states const sockets;
        weft::detail::readiness op(*sockets.a, weft::detail::io_object::descriptor(0));
        int asked = 1;
        while (!op.absorb({-EINTR})) {
            ++asked;
        }
        CHECK(asked < 1000);
        CHECK(op.outcome().error() == std::errc::interrupted);
    }

    TEST_CASE("a descriptor that an operation has received is closed, unless somebody takes it") {
        descriptor_states const sockets;
        auto const is_open = [](int fd) { return ::fcntl(fd, F_GETFD) != -1; };
        for (bool const taken : {false, true}) {
            CAPTURE(taken);
            int const received = ::fcntl(sockets.b->fd(), F_DUPFD_CLOEXEC, 0);
            REQUIRE(received != -1);
            weft::unique_fd owner;
            {
                weft::detail::accept_op op(*sockets.a);
                CHECK(op.absorb({received}));
                if (taken) {
                    owner = std::move(*op.take_descriptor());
                }
                CHECK(is_open(received));
            }
            CHECK(is_open(received) == taken);
        }
    }
}
