#include <weft/io/op/descriptor_state.hpp>

#include <weft/io/op/descriptor_ops.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/socket_pair.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <concepts>
#include <coroutine>
#include <memory>
#include <thread>

#include <sys/socket.h>

namespace {

using namespace weft::test;
using weft::task;
using weft::thread_pool;
using weft::unique_fd;
using weft::detail::descriptor_state;
using weft::detail::promise_base;

/// Waits until the socket has drained, or somebody else has closed it.
class drain {
public:
    /// `begun` counts the closes that have begun.
    explicit drain(descriptor_state& socket, std::atomic<int>* begun = nullptr) noexcept
        : socket_(&socket)
        , begun_(begun) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> caller) noexcept {
        wait_ = weft::detail::close_wait(caller.promise());
        std::atomic<int>* const begun = begun_;
        bool const waits = socket_->begin_close(wait_);
        if (begun != nullptr) {
            ++*begun;
        }
        return waits;
    }

    /// True when the caller has to close.
    bool await_resume() const noexcept { return wait_.is_closer(); }

private:
    descriptor_state* socket_;
    std::atomic<int>* begun_;
    weft::detail::close_wait wait_;
};

/// Suspends a coroutine until the test resumes it. Anybody else's wake-up is told apart.
class gate {
public:
    class passage {
    public:
        explicit passage(gate& owner) noexcept : gate_(&owner) {}

        [[nodiscard]] bool await_ready() const noexcept { return false; }

        template <std::derived_from<promise_base> Promise>
        void await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
            gate_->waiter_ = &waiter.promise();
        }

        /// False when somebody else woke the coroutine.
        [[nodiscard]] bool await_resume() const noexcept { return gate_->opened_; }

    private:
        gate* gate_;
    };

    [[nodiscard]] passage pass() noexcept { return passage(*this); }

    [[nodiscard]] bool is_waited_for() const noexcept { return waiter_ != nullptr; }

    void open() {
        opened_ = true;
        promise_base& waiter = *waiter_;
        waiter.context_->sched->schedule(waiter);
    }

private:
    std::atomic<promise_base*> waiter_ = nullptr;
    std::atomic<bool> opened_ = false;
};

struct two_sockets {
    two_sockets() {
        socket_pair pair;
        near = std::make_unique<descriptor_state>(std::move(pair.near));
        far = std::move(pair.far);
    }

    std::unique_ptr<descriptor_state> near;
    unique_fd far;
};

/// What the other end reads now: bytes, 0 at the end, -1 when there is nothing yet.
::ssize_t seen_by(unique_fd const& end) {
    std::array<char, 8> into{};
    return ::recv(end.value(), into.data(), into.size(), MSG_DONTWAIT);
}

task<> close_now(descriptor_state& socket, std::atomic<bool>& drained) {
    co_await drain(socket);
    drained = true;
    socket.finish_close();
}

}  // namespace

TEST_SUITE("io/descriptor_state") {
    TEST_CASE("every socket has an identity of its own, even with the number of an earlier one") {
        two_sockets first;
        int const number = first.near->fd();
        auto const serial = first.near->serial();
        first.near.reset();
        two_sockets second;
        CHECK(second.near->fd() == number);
        CHECK(second.near->serial() != serial);
    }

    TEST_CASE("the destructor closes a descriptor that was not closed, and only then") {
        std::size_t const before = fd_count();
        {
            two_sockets const pair;
            CHECK(fd_count() == before + 2);
        }
        CHECK(fd_count() == before);
        {
            two_sockets const pair;
            pair.near->finish_close();
            CHECK(pair.near->fd() == -1);
            CHECK(fd_count() == before + 1);
        }
        CHECK(fd_count() == before);
    }

    TEST_CASE("a descriptor that somebody else has closed is not closed again") {
        two_sockets const pair;
        int const number = pair.near->fd();
        CHECK(::close(number) == 0);
        pair.near->note_closed();
        unique_fd const reused(::dup(pair.far.value()));
        CHECK(reused.value() == number);
        std::size_t const before = fd_count();
        pair.near->finish_close();
        CHECK(fd_count() == before);
    }

    TEST_CASE("a close that reports an error is not repeated: the descriptor is gone") {
        two_sockets const pair;
        for (int const error : {EINTR, EIO}) {
            CAPTURE(error);
            weft::detail::close_op closing(pair.near->fd());
            CHECK(closing.absorb({-error}));
            CHECK(closing.outcome().has_value());
        }
        weft::detail::close_op stopped(pair.near->fd());
        CHECK(stopped.absorb({-ECANCELED}));
        CHECK_FALSE(stopped.outcome().has_value());
    }

    TEST_CASE("operations are counted in and out until the close") {
        two_sockets const pair;
        CHECK_FALSE(pair.near->is_closing());
        CHECK(pair.near->enter());
        CHECK(pair.near->enter());
        CHECK(pair.near->in_flight() == 2);
        pair.near->leave();
        pair.near->leave();
        CHECK(pair.near->in_flight() == 0);
    }

    TEST_CASE("closing an idle socket waits for nothing and does not shut it down") {
        thread_pool pool({.workers = 1});
        two_sockets const pair;
        auto work = [&]() -> task<> {
            co_await drain(*pair.near);
            CHECK(pair.near->is_closing());
            CHECK(seen_by(pair.far) == -1);
            pair.near->finish_close();
            CHECK(seen_by(pair.far) == 0);
        };
        pool.block_on(work());
        CHECK(pair.near->in_flight() == 0);
    }

    TEST_CASE("closing a socket in use shuts it down and waits for the last operation") {
        thread_pool pool({.workers = 1});
        two_sockets const pair;
        std::atomic<bool> drained = false;
        auto work = [&]() -> task<> {
            CHECK(pair.near->enter());
            CHECK(pair.near->enter());
            auto leave_later = [&]() -> task<> {
                while (!pair.near->is_closing()) {
                    co_await weft::yield();
                }
                CHECK(seen_by(pair.far) == 0);
                pair.near->leave();
                for (int i = 0; i < 10; ++i) {
                    co_await weft::yield();
                    CHECK_FALSE(drained);
                }
                CHECK(pair.near->fd() != -1);
                pair.near->leave();
            };
            co_await weft::when_all(close_now(*pair.near, drained), leave_later());
        };
        pool.block_on(work());
        CHECK(drained);
        CHECK(pair.near->fd() == -1);
    }

    TEST_CASE("of many closes one closes, the others wait for it, and the first out may destroy") {
        constexpr int count = 3;
        for (unsigned const workers : {1U, 2U}) {
            thread_pool pool({.workers = workers});
            for (int round = 0; round < 200; ++round) {
                two_sockets pair;
                std::atomic<int> begun = 0;
                std::atomic<int> closers = 0;
                std::atomic<int> ended = 0;
                auto close = [&]() -> task<> {
                    bool const is_closer = co_await drain(*pair.near, &begun);
                    if (is_closer) {
                        ++closers;
                        pair.near->finish_close();
                    }
                    if (ended++ == 0) {
                        pair.near.reset();
                    }
                };
                auto use = [&]() -> task<> {
                    while (begun < count) {
                        co_await weft::yield();
                    }
                    for (int i = 0; i < 10; ++i) {
                        co_await weft::yield();
                        CHECK(ended == 0);
                    }
                    pair.near->leave();
                };
                CHECK(pair.near->enter());
                auto work = [&]() -> task<> {
                    co_await weft::when_all(close(), close(), close(), use());
                };
                pool.block_on(work());
                CHECK(closers == 1);
                CHECK(ended == count);
            }
        }
    }

    TEST_CASE("nothing enters a socket that is closing") {
        thread_pool pool({.workers = 1});
        two_sockets const pair;
        std::atomic<bool> drained = false;
        pool.block_on(close_now(*pair.near, drained));
        CHECK_FALSE(pair.near->enter());
        CHECK(pair.near->in_flight() == 0);
        CHECK(pair.near->is_closing());
    }

    TEST_CASE(
        "an operation that comes after the close has drained does not wake the closer again") {
        thread_pool pool({.workers = 1});
        two_sockets const pair;
        gate held;
        std::atomic<bool> woken_by_test = false;
        auto closer = [&]() -> task<> {
            co_await drain(*pair.near);
            woken_by_test = co_await held.pass();
        };
        pool.spawn(closer());
        while (!held.is_waited_for()) {
            std::this_thread::yield();
        }
        CHECK_FALSE(pair.near->enter());
        // If that woke the closer, the wake-up stands before this task in the only worker's queue.
        auto nothing = []() -> task<> { co_return; };
        pool.block_on(nothing());
        CHECK(pool.task_count() == 1);
        if (pool.task_count() == 1) {
            held.open();
        }
        while (pool.task_count() != 0) {
            std::this_thread::yield();
        }
        CHECK(woken_by_test);
        pair.near->finish_close();
    }

    TEST_CASE("a socket that is destroyed while it is being closed ends the process") {
        auto destroy_early = [] {
            thread_pool pool({.workers = 1});
            two_sockets pair;
            auto work = [&]() -> task<> {
                co_await drain(*pair.near);
                pair.near.reset();
            };
            pool.block_on(work());
        };
        CHECK(aborted_saying(death_of(destroy_early), "while a task closes it"));
    }

    TEST_CASE("the closer is woken once, when the last of many threads is out") {
        constexpr int rounds = 200;
        thread_pool pool({.workers = 1});
        for (int round = 0; round < rounds; ++round) {
            two_sockets const pair;
            std::atomic<int> inside = 0;
            std::atomic<int> passes = 0;
            std::atomic<bool> drained = false;
            std::array<std::thread, 2> users;
            for (std::thread& each : users) {
                each = std::thread([&] {
                    while (pair.near->enter()) {
                        ++inside;
                        ++passes;
                        CHECK_FALSE(drained);
                        --inside;
                        pair.near->leave();
                    }
                });
            }
            auto closer = [&]() -> task<> {
                co_await drain(*pair.near);
                CHECK(inside == 0);
                CHECK(pair.near->in_flight() == 0);
                CHECK_FALSE(drained);
                drained = true;
                pair.near->finish_close();
            };
            while (passes < round % 10) {
                std::this_thread::yield();
            }
            pool.block_on(closer());
            for (std::thread& each : users) {
                each.join();
            }
        }
    }
}
