#include <weft/sync/channels/channel.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/let_others_run.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using weft::channel;
using weft::full_policy;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::let_others_run;
using weft::test::object_count;

/// Moves throw while `fuse` counts down to 0.
struct fragile {
    explicit fragile(int initial, int* burns = nullptr) : value(initial), fuse(burns) {}

    fragile(fragile&& other) : value(other.value), fuse(other.fuse) {
        if (fuse != nullptr && --*fuse == 0) {
            throw std::runtime_error("fragile");
        }
        other.value = -1;
    }

    int value;
    int* fuse;
};

task<> send_range(channel<int>& to, int first, int last) {
    for (int i = first; i < last; ++i) {
        co_await to.send(i);
    }
}

task<std::vector<int>> receive_all(channel<int>& from) {
    std::vector<int> all;
    while (auto value = co_await from.recv()) {
        all.push_back(*value);
    }
    co_return all;
}

bool would_block(weft::result<void> const& result) {
    return result.error() == std::errc::resource_unavailable_try_again;
}

}  // namespace

TEST_SUITE("sync/channel") {
    TEST_CASE("values leave in the order in which they were sent, whatever the capacity") {
        for (std::size_t const capacity : {0U, 1U, 2U, 1024U}) {
            CAPTURE(capacity);
            weft::thread_pool pool({.workers = 2});
            channel<int> numbers(capacity);
            auto work = [&]() -> task<std::vector<int>> {
                std::vector<int> all;
                auto body = [&](nursery& n) -> task<> {
                    auto produce = [&]() -> task<> {
                        co_await send_range(numbers, 0, 500);
                        numbers.close();
                    };
                    n.spawn(produce());
                    all = co_await receive_all(numbers);
                };
                co_await weft::scope(body);
                co_return all;
            };
            auto const all = pool.block_on(work());
            REQUIRE(all.size() == 500);
            for (int i = 0; i < 500; ++i) {
                CHECK(all[static_cast<std::size_t>(i)] == i);
            }
        }
    }

    TEST_CASE("try_send fails on a full channel and leaves its argument alone") {
        object_count objects;
        {
            channel<counted> values(2);
            counted a(objects, 1);
            counted b(objects, 2);
            counted c(objects, 3);
            CHECK(values.try_send(std::move(a)).has_value());
            CHECK(values.try_send(std::move(b)).has_value());
            CHECK(would_block(values.try_send(std::move(c))));
            CHECK(a.value == counted::moved_from);
            CHECK(c.value == 3);
            CHECK(values.size() == 2);
            CHECK(values.capacity() == 2);
            CHECK(values.try_recv()->value == 1);
            CHECK(values.try_recv()->value == 2);
            CHECK(values.try_recv().error() == std::errc::resource_unavailable_try_again);
            CHECK(values.high_water() == 2);
        }
        CHECK(objects.alive == 0);
        CHECK(objects.copies == 0);
    }

    TEST_CASE("after close, sending fails untouched and receiving drains what is buffered") {
        object_count objects;
        weft::thread_pool pool({.workers = 1});
        channel<counted> values(4);
        counted kept(objects, 7);
        auto work = [&]() -> task<> {
            co_await values.send(counted(objects, 1));
            co_await values.send(counted(objects, 2));
            CHECK(values.close());
            CHECK_FALSE(values.close());
            CHECK(values.is_closed());
            auto const refused = co_await weft::as_result(values.send(std::move(kept)));
            CHECK(refused.error() == weft::errc::closed);
            CHECK(values.try_send(std::move(kept)).error() == weft::errc::closed);
            bool thrown = false;
            try {
                co_await values.send(std::move(kept));
            } catch (std::system_error const& error) {
                thrown = error.code() == weft::errc::closed;
            }
            CHECK(thrown);
            auto first = co_await values.recv();
            CHECK(first->value == 1);
            CHECK(values.try_recv()->value == 2);
            auto const none = co_await values.recv();
            CHECK_FALSE(none.has_value());
            CHECK(values.try_recv().error() == weft::errc::closed);
        };
        pool.block_on(work());
        CHECK(kept.value == 7);
    }

    TEST_CASE(
        "closing wakes waiting senders with an error and their values, and receivers with "
        "nothing") {
        weft::thread_pool pool({.workers = 1});
        object_count objects;
        channel<counted> full(1);
        channel<int> bare(0);
        int closed_sends = 0;
        int empty_receives = 0;
        auto sender = [&](int value) -> task<> {
            counted mine(objects, value);
            auto const sent = co_await weft::as_result(full.send(std::move(mine)));
            if (sent.error() == weft::errc::closed && mine.value == value) {
                ++closed_sends;
            }
        };
        auto receiver = [&]() -> task<> {
            auto const value = co_await bare.recv();
            empty_receives += value.has_value() ? 0 : 1;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                (void)full.try_send(counted(objects, 0));
                for (int i = 1; i <= 3; ++i) {
                    n.spawn(sender(i));
                    n.spawn(receiver());
                }
                co_await let_others_run();
                full.close();
                bare.close();
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(closed_sends == 3);
        CHECK(empty_receives == 3);
        CHECK(full.try_recv()->value == 0);
    }

    TEST_CASE("a rendezvous holds no value: try_send succeeds only when somebody receives") {
        weft::thread_pool pool({.workers = 1});
        channel<int> meeting(0);
        std::optional<int> got;
        auto receiver = [&]() -> task<> { got = co_await meeting.recv(); };
        auto work = [&]() -> task<> {
            CHECK(would_block(meeting.try_send(1)));
            CHECK(meeting.try_recv().error() == std::errc::resource_unavailable_try_again);
            auto body = [&](nursery& n) -> task<> {
                n.spawn(receiver());
                co_await let_others_run();
                CHECK(meeting.try_send(2).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(got == 2);
        CHECK(meeting.high_water() == 0);
    }

    TEST_CASE("waiting senders enter the buffer in the order in which they came") {
        weft::thread_pool pool({.workers = 1});
        channel<int> numbers(1);
        std::vector<int> seen;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (int i = 0; i < 6; ++i) {
                    n.spawn(send_range(numbers, i, i + 1));
                    co_await let_others_run();
                }
                for (int i = 0; i < 6; ++i) {
                    seen.push_back(numbers.try_recv().value());
                }
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(seen == std::vector<int>{0, 1, 2, 3, 4, 5});
    }

    TEST_CASE("a full policy drops the oldest value, the newest, or fails") {
        object_count objects;
        {
            channel<counted> oldest(2, full_policy::drop_oldest);
            channel<counted> newest(2, full_policy::drop_newest);
            channel<counted> strict(2, full_policy::fail);
            weft::thread_pool pool({.workers = 1});
            auto work = [&]() -> task<> {
                for (int i = 1; i <= 4; ++i) {
                    co_await oldest.send(counted(objects, i));
                    counted value(objects, i);
                    co_await newest.send(std::move(value));
                    CHECK(value.value == counted::moved_from);
                    counted strictly(objects, i);
                    auto const sent = co_await weft::as_result(strict.send(std::move(strictly)));
                    CHECK(sent.has_value() == (i <= 2));
                    CHECK(strictly.value == (i <= 2 ? counted::moved_from : i));
                }
            };
            pool.block_on(work());
            CHECK(objects.alive == 6);
            CHECK(oldest.try_recv()->value == 3);
            CHECK(oldest.try_recv()->value == 4);
            CHECK(newest.try_recv()->value == 1);
            CHECK(newest.try_recv()->value == 2);
            CHECK(oldest.dropped_count() == 2);
            CHECK(newest.dropped_count() == 2);
            CHECK(strict.dropped_count() == 0);
            CHECK(strict.size() == 2);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("an lvalue is copied when it is sent, and only then") {
        object_count objects;
        weft::thread_pool pool({.workers = 1});
        channel<counted> values(1);
        auto work = [&]() -> task<> {
            counted const original(objects, 5);
            co_await values.send(original);
            CHECK(objects.copies == 1);
            CHECK(would_block(values.try_send(original)));
            CHECK(objects.copies == 1);
            CHECK(original.value == 5);
            auto const got = co_await values.recv();
            CHECK(got->value == 5);
        };
        pool.block_on(work());
        CHECK(objects.alive == 0);
    }

    TEST_CASE("the last sender closes the channel; values that were sent can still be received") {
        auto [first, rx] = weft::make_channel<std::string>(4);
        {
            auto const second = first;
            CHECK(first.try_send("one").has_value());
            first = weft::sender<std::string>();
            CHECK_FALSE(second.is_closed());
            CHECK(second.try_send("two").has_value());
        }
        CHECK(rx.is_closed());
        CHECK(rx.try_recv().value() == "one");
        CHECK(rx.try_recv().value() == "two");
        CHECK(rx.try_recv().error() == weft::errc::closed);
    }

    TEST_CASE("when the last receiver goes, what is buffered is destroyed and sending fails") {
        object_count objects;
        auto [tx, rx] = weft::make_channel<counted>(4);
        CHECK(tx.try_send(counted(objects, 1)).has_value());
        {
            auto const other = std::move(rx);
            CHECK(objects.alive == 1);
        }
        CHECK(objects.alive == 0);
        CHECK(tx.try_send(counted(objects, 2)).error() == weft::errc::closed);
    }

    TEST_CASE("an unbounded channel takes everything at once, and gives its memory back") {
        object_count objects;
        {
            weft::unbounded_channel<counted> values;
            for (int round = 0; round < 3; ++round) {
                for (int i = 0; i < 5000; ++i) {
                    CHECK(values.try_send(counted(objects, i)).has_value());
                }
                for (int i = 0; i < (round == 2 ? 100 : 5000); ++i) {
                    CHECK(values.try_recv()->value == i);
                }
            }
            CHECK(values.high_water() == 5000);
            CHECK(objects.alive == 4900);
        }
        CHECK(objects.alive == 0);
    }

    TEST_CASE("a move that throws surfaces in the operation that moved and loses nothing else") {
        weft::thread_pool pool({.workers = 1});
        channel<fragile> values(1);
        int waiting_fuse = 1;
        bool waiter_failed = false;
        int got = 0;
        auto failing_sender = [&]() -> task<> {
            try {
                co_await values.send(fragile(2, &waiting_fuse));
            } catch (std::runtime_error const&) {
                waiter_failed = true;
            }
        };
        auto good_sender = [&]() -> task<> { co_await values.send(fragile(3)); };
        auto work = [&]() -> task<> {
            int fuse = 1;
            bool failed = false;
            try {
                co_await values.send(fragile(1, &fuse));
            } catch (std::runtime_error const&) {
                failed = true;
            }
            CHECK(failed);
            CHECK(values.empty());
            co_await values.send(fragile(1));
            auto body = [&](nursery& n) -> task<> {
                n.spawn(failing_sender());
                n.spawn(good_sender());
                co_await let_others_run();
                auto const first = co_await values.recv();  // makes room; the next in line fails
                CHECK(first->value == 1);
                auto const second = co_await values.recv();
                got = second->value;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(waiter_failed);
        CHECK(got == 3);
    }

    TEST_CASE("a throwing move leaves a waiting receiver waiting for the next value") {
        weft::thread_pool pool({.workers = 1});
        channel<fragile> values(0);
        int got = 0;
        auto receiver = [&]() -> task<> {
            auto const value = co_await values.recv();
            got = value->value;
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(receiver());
                co_await let_others_run();
                int fuse = 1;
                fragile bad(1, &fuse);
                CHECK_THROWS_AS((void)values.try_send(std::move(bad)), std::runtime_error);
                CHECK(bad.value == 1);
                CHECK(values.try_send(fragile(2)).has_value());
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(got == 2);
    }

    TEST_CASE("send_many and recv_many move everything in order, in as few turns as fit") {
        for (std::size_t const capacity : {0U, 1U, 7U, 1024U}) {
            CAPTURE(capacity);
            weft::thread_pool pool({.workers = 2});
            channel<std::size_t> numbers(capacity);
            std::vector<std::size_t> source(1000);
            for (std::size_t i = 0; i < source.size(); ++i) {
                source[i] = i;
            }
            auto next = source.begin();
            std::vector<std::size_t> target;
            auto produce = [&]() -> task<> {
                co_await numbers.send_many(next, source.end());
                numbers.close();
            };
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(produce());
                    std::size_t count = 1;
                    while (count != 0) {
                        count = co_await numbers.recv_many(target, 100);
                        CHECK(count <= 100);
                    }
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            CHECK(next == source.end());
            CHECK(target == source);
        }
    }

    TEST_CASE("send_many into a closed channel tells how far it came") {
        weft::thread_pool pool({.workers = 1});
        channel<int> numbers(3);
        std::vector<int> source{1, 2, 3, 4, 5};
        auto next = source.begin();
        auto close_it = [&]() -> task<> {
            co_await let_others_run();
            numbers.close();
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(close_it());
                auto const sent = co_await weft::as_result(numbers.send_many(next, source.end()));
                CHECK(sent.error() == weft::errc::closed);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(next - source.begin() == 3);
    }

    TEST_CASE("foreign threads send and receive by blocking") {
        weft::thread_pool pool({.workers = 2});
        channel<int> to(2);
        channel<int> back(0);
        auto work = [&]() -> task<> {
            while (auto value = co_await to.recv()) {
                co_await back.send(*value * 2);
            }
            back.close();
        };
        std::thread worker([&] { pool.block_on(work()); });
        std::thread feeder([&] {
            for (int i = 0; i < 200; ++i) {
                to.send_blocking(i);
            }
            to.close();
        });
        int sum = 0;
        while (auto value = back.recv_blocking()) {
            sum += *value;
        }
        feeder.join();
        worker.join();
        CHECK(sum == 199 * 200);
        CHECK_THROWS_AS(to.send_blocking(1), std::system_error);
    }

    TEST_CASE("a receiver that never waits still lets others run") {
        weft::thread_pool pool({.workers = 1});
        channel<int> numbers(1024);
        std::atomic<bool> ran = false;
        int received_before = 0;
        auto other = [&]() -> task<> {
            ran = true;
            co_return;
        };
        auto work = [&]() -> task<> {
            for (int i = 0; i < 1000; ++i) {
                (void)numbers.try_send(i);
            }
            auto body = [&](nursery& n) -> task<> {
                n.spawn(other());
                while (!ran && received_before < 1000) {
                    (void)co_await numbers.recv();
                    ++received_before;
                }
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(received_before < 200);
    }
}
