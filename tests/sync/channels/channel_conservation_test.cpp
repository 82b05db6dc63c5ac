// Every value that enters a channel leaves it exactly once, however often its senders and receivers
// are stopped on the way. WEFT_CHANNEL_ITEMS in the environment sets the number of values for each
// combination; WEFT_SEED repeats the choices of a run, though not how its threads interleave.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/tests/support/channel_traffic.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

using weft::full_policy;
using weft::nursery;
using weft::task;
using namespace weft::test;

std::vector<std::size_t> const every_capacity = {0, 1, 2, 1024};
std::vector<std::size_t> const every_buffer = {1, 2, 1024};

template <class Parcel = parcel>
auto make_bounded(full_policy policy) {
    return [policy](std::size_t capacity) {
        return std::make_unique<weft::channel<Parcel>>(capacity, policy);
    };
}

template <class Parcel = parcel>
auto make_unbounded() {
    return [](std::size_t) { return std::make_unique<weft::unbounded_channel<Parcel>>(); };
}

template <class Parcel = parcel>
auto make_priority(full_policy policy = full_policy::wait) {
    return [policy](std::size_t capacity) {
        return std::make_unique<weft::priority_channel<Parcel, all_equal>>(capacity, policy);
    };
}

constexpr auto in_bulk = [](auto& work) { work.use_bulk(); };

/// What was not taken was dropped, and the channel knows how much that was.
constexpr auto dropped_are_counted = [](auto& work, auto& way) {
    CHECK(work.ledger().kept() == 0);
    CHECK(work.ledger().destroyed() == static_cast<int>(way->dropped_count()));
};

/// Only a move that threw can have cost a value, and no more than one.
constexpr auto lost_by_throws_only = [](auto& work, auto&) {
    CHECK(work.ledger().kept() == 0);
    CHECK(work.ledger().destroyed() <= work.throws());
};

constexpr auto beside_threads = [](auto& work) { work.use_threads(2, 2); };

constexpr auto closes_early = [](auto& work) {
    work.close_after(items_per_combination() / 20);
    work.use_bulk();
};

/// Closing refuses values, which stay with their senders, and destroys none.
constexpr auto refused_are_kept = [](auto& work, auto& way) {
    CHECK(work.ledger().destroyed() == 0);
    CHECK(way->empty());
};

}  // namespace

TEST_SUITE("sync/channel_conservation") {
    TEST_CASE("a bounded channel delivers each value once, in order for each sender") {
        run_traffic(every_capacity, make_bounded(full_policy::wait), as_it_is{}, all_taken{});
        run_traffic(every_capacity, make_bounded(full_policy::wait), in_bulk, all_taken{});
    }

    TEST_CASE("an unbounded channel delivers each value once, in order for each sender") {
        run_traffic({0}, make_unbounded(), as_it_is{}, all_taken{});
        run_traffic({0}, make_unbounded(), in_bulk, all_taken{});
    }

    TEST_CASE("a priority channel delivers each value once, equal ones in order") {
        run_traffic(every_buffer, make_priority(), as_it_is{}, all_taken{});
        run_traffic(every_buffer, make_priority(), in_bulk, all_taken{});
    }

    TEST_CASE("where a full channel fails, each value is delivered once to whoever tries again") {
        constexpr int share = 10;
        run_traffic(
            every_capacity, make_bounded(full_policy::fail), as_it_is{}, all_taken{}, share);
        run_traffic(every_buffer, make_priority(full_policy::fail), as_it_is{}, all_taken{}, share);
    }

    TEST_CASE("what a full channel drops is destroyed once, and counted; the rest is delivered") {
        run_traffic(
            every_buffer, make_bounded(full_policy::drop_oldest), in_bulk, dropped_are_counted);
        run_traffic(
            every_capacity, make_bounded(full_policy::drop_newest), in_bulk, dropped_are_counted);
        run_traffic(
            every_buffer, make_priority(full_policy::drop_newest), in_bulk, dropped_are_counted);
    }

    TEST_CASE("closing early delivers what was accepted, and leaves the rest with its senders") {
        constexpr int share = 10;
        run_traffic(
            every_capacity, make_bounded(full_policy::wait), closes_early, refused_are_kept, share);
        run_traffic({0}, make_unbounded(), closes_early, refused_are_kept, share);
        run_traffic(every_buffer, make_priority(), closes_early, refused_are_kept, share);
    }

    TEST_CASE("closing early while threads block delivers what was accepted, and no more") {
        constexpr int share = 50;
        auto const blocked = [&](auto& work) {
            work.close_after(items_per_combination() / share / 4);
            work.use_threads(2, 2);
        };
        run_traffic(
            every_capacity, make_bounded(full_policy::wait), blocked, refused_are_kept, share);
        run_traffic({0}, make_unbounded(), blocked, refused_are_kept, share);
        run_traffic(every_buffer, make_priority(), blocked, refused_are_kept, share);
    }

    TEST_CASE("a full policy treats threads that block as it does tasks") {
        constexpr int share = 50;
        run_traffic(
            every_buffer, make_bounded(full_policy::fail), beside_threads, all_taken{}, share);
        run_traffic(every_buffer,
                    make_bounded(full_policy::drop_oldest),
                    beside_threads,
                    dropped_are_counted,
                    share);
        run_traffic(every_capacity,
                    make_bounded(full_policy::drop_newest),
                    beside_threads,
                    dropped_are_counted,
                    share);
    }

    TEST_CASE("moves that throw double nothing, and lose what they were moving at most") {
        constexpr int share = 10;
        auto const run = [](auto arrange) {
            run_traffic(every_capacity,
                        make_bounded<fragile_parcel>(full_policy::wait),
                        arrange,
                        lost_by_throws_only,
                        share);
            run_traffic({0}, make_unbounded<fragile_parcel>(), arrange, lost_by_throws_only, share);
            run_traffic(
                every_buffer, make_priority<fragile_parcel>(), arrange, lost_by_throws_only, share);
        };
        run(as_it_is{});
        run(in_bulk);
    }

    TEST_CASE("threads that block lose and double nothing, among themselves and with tasks") {
        constexpr int share = 50;
        for (int const senders : {0, 2, 4}) {
            for (int const receivers : {0, 2, 4}) {
                auto const some_threads = [&](auto& work) { work.use_threads(senders, receivers); };
                run_traffic(every_capacity,
                            make_bounded(full_policy::wait),
                            some_threads,
                            all_taken{},
                            share);
                run_traffic({0}, make_unbounded(), some_threads, all_taken{}, share);
                run_traffic(every_buffer, make_priority(), some_threads, all_taken{}, share);
            }
        }
    }

    TEST_CASE("what is still buffered when its channel dies is destroyed once") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        for (std::size_t const capacity : every_buffer) {
            for (int round = 0; round < 50; ++round) {
                int const count = static_cast<int>(random.below(capacity + 1));
                int const taken = static_cast<int>(random.below(capacity + 1));
                parcel_ledger ledger(3 * count);
                auto const fill = [&](auto way, int first) {
                    for (int i = first; i < first + count; ++i) {
                        CHECK(way->try_send(parcel(ledger, 0, i, i)).has_value());
                    }
                    for (int i = 0; i < taken; ++i) {
                        if (auto value = way->try_recv(); value.has_value()) {
                            value->take();
                        }
                    }
                };
                fill(make_bounded(full_policy::wait)(capacity), 0);
                fill(make_unbounded()(capacity), count);
                fill(make_priority()(capacity), 2 * count);
                CHECK(ledger.wrong() == 0);
                CHECK(ledger.destroyed() == 3 * std::max(count - taken, 0));
            }
        }
    }

    TEST_CASE("a copy that throws drops no older value to make room") {
        struct uncopyable {
            explicit uncopyable(int initial) : value(initial) {}

            uncopyable(uncopyable const&) : value(0) { throw std::runtime_error("not copied"); }

            uncopyable(uncopyable&&) noexcept = default;

            int value;
        };

        weft::channel<uncopyable> latest(1, full_policy::drop_oldest);
        CHECK(latest.try_send(uncopyable(1)));
        uncopyable const newer(2);
        CHECK_THROWS_AS((void)latest.try_send(newer), std::runtime_error);
        CHECK(latest.dropped_count() == 0);
        REQUIRE(latest.size() == 1);
        CHECK(latest.try_recv()->value == 1);
    }

    TEST_CASE("receivers that wait are served in turn, and senders too") {
        weft::thread_pool pool({.workers = 1});
        for (std::size_t const capacity : {0U, 1U, 4U}) {
            CAPTURE(capacity);
            weft::channel<int> numbers(capacity);
            std::vector<int> received(4, 0);
            std::vector<int> sent(4, 0);
            auto receive = [&](std::size_t self) -> task<> {
                while (co_await numbers.recv()) {
                    ++received[self];
                }
            };
            auto send = [&](std::size_t self) -> task<> {
                while (sent[0] + sent[1] + sent[2] + sent[3] < 4000) {
                    co_await numbers.send(1);
                    ++sent[self];
                }
                numbers.close();
            };
            auto send_quietly = [&](std::size_t self) -> task<> {
                (void)co_await weft::as_result(send(self));  // somebody else has closed it
            };
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    for (std::size_t i = 0; i < 4; ++i) {
                        n.spawn(receive(i));
                        n.spawn(send_quietly(i));
                    }
                    co_return;
                };
                co_await weft::scope(body);
            };
            pool.block_on(work());
            for (std::size_t i = 0; i < 4; ++i) {
                CHECK(received[i] >= 500);
                CHECK(sent[i] >= 500);
            }
        }
    }
}
