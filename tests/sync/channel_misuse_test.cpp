#include <weft/runtime/as_result.hpp>
#include <weft/runtime/scope.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/sync/channel.hpp>
#include <weft/sync/priority_channel.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <ostream>
#include <string>
#include <system_error>
#include <utility>

// What a channel refuses, whatever its kind.

namespace {

using weft::channel;
using weft::full_policy;
using weft::nursery;
using weft::task;
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

}  // namespace

TEST_SUITE("sync/channel_misuse") {
    TEST_CASE_TEMPLATE("a channel that is destroyed while a task waits aborts and names itself",
                       Channel,
                       bounded_kind,
                       rendezvous_kind,
                       unbounded_kind,
                       priority_kind) {
        auto const seen = weft::test::death_of([] {
            weft::thread_pool pool(1);
            auto* const doomed = new Channel();
            auto waits = [&]() -> task<> { (void)co_await doomed->recv(); };
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(waits());
                    co_await let_others_run();
                    delete doomed;
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
        });
        CHECK(seen.signal == SIGABRT);
        auto const expected = std::string(Channel::name) + " is destroyed while somebody waits";
        CHECK(seen.text.find(expected) != std::string::npos);
    }

    TEST_CASE("the last half of a side that is destroyed while it waits aborts with the reason") {
        for (bool const sends : {false, true}) {
            auto const seen = weft::test::death_of([sends] {
                weft::thread_pool pool(1);
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
            CHECK(seen.signal == SIGABRT);
            CHECK(seen.text.find("a channel is destroyed while somebody waits") !=
                  std::string::npos);
        }
    }

    TEST_CASE_TEMPLATE("a channel that is closed gives a value back, whatever its kind",
                       Channel,
                       bounded_kind,
                       rendezvous_kind,
                       unbounded_kind,
                       priority_kind) {
        weft::thread_pool pool(1);
        Channel closed;
        closed.close();
        auto work = [&]() -> task<> {
            std::string value = "mine";
            std::error_code thrown;
            try {
                co_await closed.send(std::move(value));
            } catch (std::system_error const& error) {
                thrown = error.code();
            }
            CHECK(thrown == weft::errc::closed);
            auto const told = co_await weft::as_result(closed.send(std::move(value)));
            CHECK(told.error() == weft::errc::closed);
            CHECK(closed.try_send(std::move(value)).error() == weft::errc::closed);
            CHECK(value == "mine");
        };
        pool.block_on(work());
    }

    TEST_CASE("misuse aborts with the reason") {
        using weft::test::death_of;
        auto const has = [](weft::test::death const& seen, char const* text) {
            return seen.signal == SIGABRT && seen.text.find(text) != std::string::npos;
        };
        CHECK(has(death_of([] { channel<int> none(0, full_policy::drop_oldest); }),
                  "cannot drop its oldest"));
        CHECK(has(death_of([] {
                      weft::thread_pool pool(1);
                      channel<int> numbers(1);
                      auto work = [&]() -> task<> {
                          (void)numbers.recv_blocking();
                          co_return;
                      };
                      pool.block_on(work());
                  }),
                  "a worker would block"));
        CHECK(has(death_of([] { (void)weft::receiver<int>().try_recv(); }), "empty half"));
    }
}
