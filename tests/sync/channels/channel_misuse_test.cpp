#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <ostream>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

// What a channel refuses, whatever its kind.

namespace {

using weft::channel;
using weft::full_policy;
using weft::nursery;
using weft::task;
using weft::test::aborted_saying;
using weft::test::let_others_run;

struct bounded_kind : channel<std::string> {
    static constexpr char const* name = "a channel";

    bounded_kind() : channel(1) {}
};

struct rendezvous_kind : channel<std::string> {
    static constexpr char const* name = "a channel";

    rendezvous_kind() : channel(0) {}
};

struct unbounded_kind : weft::unbounded_channel<std::string> {
    static constexpr char const* name = "an unbounded_channel";
};

struct priority_kind : weft::priority_channel<std::string> {
    static constexpr char const* name = "a priority_channel";

    priority_kind() : priority_channel(1) {}
};

/// What a send of `value` throws, in each form.
template <class Channel>
task<std::error_code> code_of_send(Channel& to, std::string& value) {
    std::error_code thrown;
    try {
        co_await to.send(std::move(value));
    } catch (std::system_error const& error) {
        thrown = error.code();
    }
    co_return thrown;
}

template <class Channel>
task<std::error_code> code_of_send_many(Channel& to, std::string& value) {
    std::error_code thrown;
    std::string* next = &value;
    try {
        co_await to.send_many(next, &value + 1);
    } catch (std::system_error const& error) {
        thrown = error.code();
    }
    CHECK(next == &value);
    co_return thrown;
}

template <class Channel>
task<std::error_code> code_of_select(Channel& to, std::string& value) {
    std::error_code thrown;
    channel<int> quiet(0);
    try {
        (void)co_await weft::select(quiet.recv(), to.send(std::move(value)));
    } catch (std::system_error const& error) {
        thrown = error.code();
    }
    co_return thrown;
}

template <class Channel>
std::error_code code_of_blocking_send(Channel& to, std::string& value) {
    try {
        to.send_blocking(std::move(value));
    } catch (std::system_error const& error) {
        return error.code();
    }
    return {};
}

/// A channel is destroyed while a task waits in it.
template <class Channel, class Wait>
weft::test::death death_under_waiter(Wait wait) {
    return weft::test::death_of([&wait] {
        weft::thread_pool pool({.workers = 1});
        auto* const doomed = new Channel();
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(wait(*doomed));
                co_await let_others_run();
                delete doomed;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
    });
}

}  // namespace

TEST_SUITE("sync/channel_misuse") {
    TEST_CASE_TEMPLATE("a channel that is destroyed while a task waits aborts and names itself",
                       Channel,
                       bounded_kind,
                       rendezvous_kind,
                       unbounded_kind,
                       priority_kind) {
        auto const receives = [](Channel& from) -> task<> { (void)co_await from.recv(); };
        auto const seen = death_under_waiter<Channel>(receives);
        CHECK(aborted_saying(seen,
                             std::string(Channel::name) + " is destroyed while somebody waits"));
    }

    TEST_CASE_TEMPLATE("a channel that is destroyed while a sender waits aborts likewise",
                       Channel,
                       bounded_kind,
                       rendezvous_kind,
                       priority_kind) {
        auto const sends = [](Channel& to) -> task<> {
            (void)to.try_send("first");
            co_await to.send("second");
        };
        auto const seen = death_under_waiter<Channel>(sends);
        CHECK(aborted_saying(seen,
                             std::string(Channel::name) + " is destroyed while somebody waits"));
    }

    TEST_CASE("the last half of a side that is destroyed while it waits aborts with the reason") {
        for (bool const sends : {false, true}) {
            auto const seen = weft::test::death_of([sends] {
                weft::thread_pool pool({.workers = 1});
                auto [tx, rx] = weft::make_channel<int>(0);
                auto receives = [&from = rx]() -> task<> { (void)co_await from.recv(); };
                auto gives = [&to = tx]() -> task<> { co_await to.send(1); };
                auto work = [&, &from = rx, &to = tx]() -> task<> {
                    auto body = [&](nursery& n) -> task<> {
                        n.spawn(sends ? gives() : receives());
                        co_await let_others_run();
                        if (sends) {
                            to = weft::sender<int>();
                        } else {
                            from = weft::receiver<int>();
                        }
                    };
                    co_await weft::scope(body);
                };
                pool.block_on(work());
            });
            CHECK(aborted_saying(seen, "a channel is destroyed while somebody waits"));
        }
    }

    TEST_CASE_TEMPLATE("a channel that is closed gives a value back, whatever its kind",
                       Channel,
                       bounded_kind,
                       rendezvous_kind,
                       unbounded_kind,
                       priority_kind) {
        weft::thread_pool pool({.workers = 1});
        Channel closed;
        channel<int> quiet(0);
        closed.close();
        auto work = [&]() -> task<> {
            std::string value = "mine";
            CHECK(co_await code_of_send(closed, value) == weft::errc::closed);
            CHECK(co_await code_of_send_many(closed, value) == weft::errc::closed);
            CHECK(co_await code_of_select(closed, value) == weft::errc::closed);
            auto const told = co_await weft::as_result(closed.send(std::move(value)));
            CHECK(told.error() == weft::errc::closed);
            auto const won =
                co_await weft::select(weft::as_result(closed.send(std::move(value))), quiet.recv());
            CHECK(won.template get<0>().error() == weft::errc::closed);
            CHECK(closed.try_send(std::move(value)).error() == weft::errc::closed);
            CHECK(value == "mine");
        };
        pool.block_on(work());
        std::string value = "mine";
        CHECK(code_of_blocking_send(closed, value) == weft::errc::closed);
        CHECK(value == "mine");
    }

    TEST_CASE_TEMPLATE("a channel that is closed gives those who wait their values back",
                       Channel,
                       bounded_kind,
                       rendezvous_kind,
                       priority_kind) {
        weft::thread_pool pool({.workers = 1});
        Channel full;
        (void)full.try_send("first");
        std::string values[4] = {"0", "1", "2", "3"};
        std::error_code codes[4];
        std::thread foreign([&] { codes[3] = code_of_blocking_send(full, values[3]); });
        auto sends = [&]() -> task<> { codes[0] = co_await code_of_send(full, values[0]); };
        auto sends_many = [&]() -> task<> {
            codes[1] = co_await code_of_send_many(full, values[1]);
        };
        auto selects = [&]() -> task<> { codes[2] = co_await code_of_select(full, values[2]); };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(sends());
                n.spawn(sends_many());
                n.spawn(selects());
                co_await let_others_run();
                full.close();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        foreign.join();
        for (std::size_t i = 0; i < 4; ++i) {
            CAPTURE(i);
            CHECK(codes[i] == weft::errc::closed);
            CHECK(values[i] == std::to_string(i));
        }
    }

    TEST_CASE("misuse aborts with the reason") {
        using weft::test::death_of;
        CHECK(aborted_saying(death_of([] {
                                 weft::thread_pool pool({.workers = 1});
                                 channel<int> numbers(1);
                                 auto work = [&]() -> task<> {
                                     (void)numbers.recv_blocking();
                                     co_return;
                                 };
                                 pool.block_on(work());
                             }),
                             "a worker would block"));
        CHECK(
            aborted_saying(death_of([] { (void)weft::receiver<int>().try_recv(); }), "empty half"));
        CHECK(
            aborted_saying(death_of([] { (void)weft::sender<int>().try_send(1); }), "empty half"));
        CHECK(aborted_saying(death_of([] { (void)weft::oneshot_sender<int>().send(1); }),
                             "empty half"));
        CHECK(aborted_saying(death_of([] { (void)weft::oneshot_receiver<int>().try_recv(); }),
                             "empty half"));
        CHECK(aborted_saying(death_of([] { (void)weft::broadcast_receiver<int>().try_recv(); }),
                             "an empty receiver of a broadcast is used"));
        CHECK(aborted_saying(death_of([] { (void)weft::broadcast_receiver<int>().recv(); }),
                             "an empty receiver of a broadcast is used"));
    }

    TEST_CASE("a capacity that no memory can hold is refused, also where its size in bytes is 0") {
        constexpr std::size_t capacity = ~std::size_t{0} / sizeof(std::uint64_t) + 1;
        using number = std::uint64_t;
        CHECK_THROWS_AS(channel<number>{capacity}, std::bad_alloc);
        CHECK_THROWS_AS(weft::priority_channel<number>{capacity}, std::bad_alloc);
        CHECK_THROWS_AS((void)weft::make_channel<number>(capacity), std::bad_alloc);
    }

    TEST_CASE("a task without a runtime that would have to wait in a channel aborts and says so") {
        using weft::test::death_of;
        CHECK(aborted_saying(death_of([] {
                                 channel<int> empty(1);
                                 auto work = [&]() -> task<> { (void)co_await empty.recv(); };
                                 weft::sync_wait(work());
                             }),
                             "waiting in a channel needs a runtime"));
        CHECK(aborted_saying(death_of([] {
                                 channel<int> meeting(0);
                                 auto work = [&]() -> task<> { co_await meeting.send(1); };
                                 weft::sync_wait(work());
                             }),
                             "waiting in a channel needs a runtime"));
        CHECK(aborted_saying(death_of([] {
                                 channel<int> empty(1);
                                 auto work = [&]() -> task<> {
                                     (void)co_await weft::select(empty.recv(), empty.recv());
                                 };
                                 weft::sync_wait(work());
                             }),
                             "a select that waits needs a runtime"));
    }
}
