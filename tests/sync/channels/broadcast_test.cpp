#include <weft/sync/channels/broadcast.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using weft::broadcast;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::let_others_run;
using weft::test::object_count;

/// Its first copy throws.
struct copy_throws {
    explicit copy_throws(int* burns) noexcept : fuse(burns) {}

    copy_throws(copy_throws const& other) : fuse(other.fuse) {
        if (--*fuse == 0) {
            throw std::runtime_error("copy");
        }
    }

    copy_throws(copy_throws&&) noexcept = default;

    int* fuse;
};

}  // namespace

TEST_SUITE("sync/broadcast") {
    TEST_CASE("every receiver gets every value that is sent after it subscribed") {
        weft::thread_pool pool({.workers = 2});
        broadcast<int> news(64);
        std::atomic<int> good = 0;
        auto reader = [&](weft::broadcast_receiver<int> from, int first) -> task<> {
            int expected = first;
            while (auto value = co_await from.recv()) {
                CHECK(*value == expected);
                ++expected;
            }
            good += expected == 50 && from.missed() == 0 ? 1 : 0;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (int i = 0; i < 50; ++i) {
                    if (i % 10 == 0) {
                        n.spawn(reader(news.subscribe(), i));
                    }
                    CHECK(news.send(i).has_value());
                    co_await weft::yield();
                }
                news.close();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(good == 5);
        CHECK(news.receiver_count() == 0);
    }

    TEST_CASE(
        "a slow receiver goes on with the oldest value that is left and is told what it "
        "missed") {
        broadcast<int> news(4);
        auto slow = news.subscribe();
        for (int i = 0; i < 10; ++i) {
            CHECK(news.send(i).has_value());
        }
        CHECK(slow.try_recv().value() == 6);
        CHECK(slow.missed() == 6);
        CHECK(slow.try_recv().value() == 7);
        CHECK(slow.take_missed() == 6);
        CHECK(slow.missed() == 0);
        CHECK(slow.try_recv().value() == 8);
        CHECK(slow.try_recv().value() == 9);
        CHECK(slow.try_recv().error() == std::errc::resource_unavailable_try_again);
        news.close();
        CHECK(slow.try_recv().error() == weft::errc::closed);
    }

    TEST_CASE("a closed broadcast refuses values untouched; receivers read what is left") {
        object_count objects;
        {
            broadcast<counted> news(2);
            auto reader = news.subscribe();
            CHECK(news.send(counted(objects, 1)).has_value());
            CHECK(news.close());
            CHECK_FALSE(news.close());
            counted refused(objects, 2);
            CHECK(news.send(std::move(refused)).error() == weft::errc::closed);
            CHECK(refused.value == 2);
            CHECK(reader.try_recv()->value == 1);
            CHECK(reader.try_recv().error() == weft::errc::closed);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a fork reads on from where its original is, independently") {
        broadcast<int> news(8);
        auto first = news.subscribe();
        (void)news.send(1);
        (void)news.send(2);
        CHECK(first.try_recv().value() == 1);
        auto second = first.fork();
        CHECK(first.try_recv().value() == 2);
        CHECK(second.try_recv().value() == 2);
        CHECK(news.receiver_count() == 2);
    }

    TEST_CASE("what a receiver has missed goes with it, into a fork and where it is moved") {
        broadcast<int> news(1);
        auto first = news.subscribe();
        for (int const value : {1, 2, 3}) {
            (void)news.send(value);
        }
        CHECK(first.try_recv().value() == 3);
        auto second = first.fork();
        CHECK(second.missed() == 2);
        auto third = std::move(second);
        CHECK(third.missed() == 2);
        CHECK(news.receiver_count() == 2);
        CHECK(first.take_missed() == 2);
        CHECK(third.missed() == 2);
        first = std::move(third);
        CHECK(first.missed() == 2);
        CHECK(news.receiver_count() == 1);
        (void)news.send(4);
        CHECK(first.try_recv().value() == 4);
    }

    TEST_CASE("a receiver that waits is woken even when the ring goes round before it runs") {
        weft::thread_pool pool({.workers = 1});
        broadcast<int> news(1);
        int got = 0;
        std::uint64_t missed = 0;
        auto reader = [&](weft::broadcast_receiver<int> from) -> task<> {
            auto const value = co_await from.recv();
            got = *value;
            missed = from.missed();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(reader(news.subscribe()));
                co_await let_others_run();
                (void)news.send(1);
                (void)news.send(2);
                (void)news.send(3);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(got == 3);
        CHECK(missed == 2);
    }

    TEST_CASE("a copy that throws has received nothing; the value is there for the next recv") {
        weft::thread_pool pool({.workers = 1});
        broadcast<copy_throws> news(2);
        int fuse = 1;
        auto work = [&]() -> task<> {
            auto reader = news.subscribe();
            (void)news.send(copy_throws(&fuse));
            bool thrown = false;
            try {
                (void)co_await reader.recv();
            } catch (std::runtime_error const&) {
                thrown = true;
            }
            CHECK(thrown);
            auto const again = co_await reader.recv();
            CHECK(again.has_value());
        };
        pool.block_on(work());
    }

    TEST_CASE("receivers take part in a select and lose nothing when they lose") {
        weft::thread_pool pool({.workers = 1});
        broadcast<int> news(4);
        weft::channel<int> other(1);
        auto work = [&]() -> task<> {
            auto reader = news.subscribe();
            (void)other.try_send(7);
            auto first = co_await weft::select(weft::biased, other.recv(), reader.recv());
            CHECK(first.index() == 0);
            (void)news.send(1);
            (void)other.try_send(8);
            auto second = co_await weft::select(weft::biased, other.recv(), reader.recv());
            CHECK(second.index() == 0);
            auto third = co_await weft::select(weft::biased, other.recv(), reader.recv());
            CHECK(third.index() == 1);
            CHECK(*third.get<1>() == 1);
            auto late = [&]() -> task<> {
                co_await weft::yield();
                (void)news.send(2);
            };
            auto body = [&](nursery& n) -> task<> {
                n.spawn(late());
                auto fourth = co_await weft::select(other.recv(), reader.recv());
                CHECK(fourth.index() == 1);
                CHECK(*fourth.get<1>() == 2);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
    }

    TEST_CASE(
        "receivers on several threads see the values in order, none twice, and account for "
        "every one") {
        weft::thread_pool pool({.workers = 2});
        broadcast<int> news(16);
        constexpr int count = 20'000;
        std::atomic<int> complete = 0;
        auto reader = [&](weft::broadcast_receiver<int> from) -> task<> {
            int last = -1;
            std::uint64_t seen = 0;
            while (auto value = co_await from.recv()) {
                CHECK(*value > last);
                last = *value;
                ++seen;
            }
            complete += seen + from.missed() == count && last == count - 1 ? 1 : 0;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (int i = 0; i < 4; ++i) {
                    n.spawn(reader(news.subscribe()));
                }
                for (int i = 0; i < count; ++i) {
                    (void)news.send(i);
                    if (i % 8 == 0) {
                        co_await weft::yield();
                    }
                }
                news.close();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(complete == 4);
    }

    TEST_CASE("misuse of a broadcast aborts with the reason") {
        using weft::test::aborted_saying;
        using weft::test::death_of;
        CHECK(aborted_saying(death_of([] {
                                 auto* const doomed = new broadcast<int>(1);
                                 auto const reader = doomed->subscribe();
                                 delete doomed;
                             }),
                             "a broadcast is destroyed while somebody is subscribed"));
        CHECK(aborted_saying(death_of([] {
                                 auto* const doomed = new weft::watch<int>(1);
                                 (void)new weft::broadcast_receiver<int>(doomed->subscribe());
                                 delete doomed;
                             }),
                             "a watch is destroyed while somebody is subscribed"));
    }
}
