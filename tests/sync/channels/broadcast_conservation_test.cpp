// What a broadcast, a watch and a oneshot promise of each value, while those who wait for it are
// stopped at random. WEFT_CHANNEL_ITEMS and WEFT_SEED: see channel_conservation_test.cpp.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/channel_traffic.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using weft::nursery;
using weft::task;
using namespace weft::test;

/// Every 16th copy of one for which that is wanted throws.
class bulletin {
public:
    bulletin(object_count& objects, int from, int own_place, bool fragile) noexcept
        : sender(from)
        , fragile_(fragile)
        , content_(objects, own_place) {}

    bulletin(bulletin const& other)
        : sender(other.sender)
        , fragile_(other.fragile_)
        , content_((other.may_throw(), other.content_)) {}

    bulletin(bulletin&&) noexcept = default;
    bulletin& operator=(bulletin&&) noexcept = default;

    [[nodiscard]] int place() const noexcept { return content_.value; }

    int sender;

private:
    void may_throw() const {
        if (fragile_ && random_numbers(copies_++).one_in(16)) {
            throw std::runtime_error("fragile");
        }
    }

    static inline std::atomic<std::uint64_t> copies_ = 0;

    bool fragile_;
    counted content_;
};

/// What one reader has read.
struct reading {
    explicit reading(int senders) : last(static_cast<std::size_t>(senders), -1) {}

    void add(bulletin const& value) {
        int& before = last[static_cast<std::size_t>(value.sender)];
        out_of_order += value.place() > before ? 0 : 1;
        before = value.place();
        latest = std::pair(value.sender, value.place());
        ++count;
    }

    std::vector<int> last;
    std::pair<int, int> latest{-1, -1};
    std::uint64_t count = 0;
    int out_of_order = 0;
};

using reader = weft::broadcast_receiver<bulletin>;

/// False when nothing can come any more.
task<bool> read_somehow(reader& from, reading& into, random_numbers& random) {
    bool open = true;
    switch (random.below(4)) {
        case 0: {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(stop_after(n, random.below(4)));
                auto const value = co_await from.recv();
                open = value.has_value();
                if (open) {
                    into.add(*value);
                }
            };
            co_await weft::scope(body);
            break;
        }
        case 1: {
            auto const value = from.try_recv();
            if (value.has_value()) {
                into.add(*value);
            } else {
                co_await weft::yield();
            }
            break;
        }
        case 2: {
            auto const won = co_await weft::select(from.recv(), weft::sleep_for({}));
            if (won.index() == 0) {
                open = won.get<0>().has_value();
                if (open) {
                    into.add(*won.get<0>());
                }
            }
            break;
        }
        default: {
            auto const value = co_await from.recv();
            open = value.has_value();
            if (open) {
                into.add(*value);
            }
        }
    }
    co_return open;
}

task<> read_all(reader& from, reading& into, std::uint64_t seed) {
    random_numbers random(seed);
    bool open = true;
    while (open) {
        try {
            open = co_await read_somehow(from, into, random);
        } catch (std::runtime_error const&) {
            open = true;  // the next one reads it
        }
    }
}

/// Sends through a broadcast or a watch.
template <class Way>
task<> send_all(
    Way& to, object_count& objects, int sender, int count, bool fragile, std::uint64_t seed) {
    random_numbers random(seed);
    for (int place = 0; place < count; ++place) {
        CHECK(to.send(bulletin(objects, sender, place, fragile)).has_value());
        if (random.one_in(3)) {
            co_await weft::yield();
        }
    }
}

template <class Way>
task<> send_from_all(
    Way& to, object_count& objects, int senders, int each, bool fragile, std::uint64_t seed) {
    auto body = [&](nursery& n) -> task<> {
        for (int i = 0; i < senders; ++i) {
            n.spawn(send_all(to, objects, i, each, fragile, seed + static_cast<std::uint64_t>(i)));
        }
        co_return;
    };
    co_await weft::scope(body);
    to.close();
}

/// All values that `senders` send through `way`, to every one of `readers`; the first of these is a
/// thread.
template <class Way>
void publish(weft::thread_pool& pool,
             Way& way,
             object_count& objects,
             std::vector<reader>& readers,
             std::vector<reading>& readings,
             int senders,
             bool fragile,
             std::uint64_t seed) {
    int const each = items_per_combination() / senders;
    auto read_in_thread = [&] {
        while (auto const value = readers[0].recv_blocking()) {
            readings[0].add(*value);
        }
    };
    std::optional<std::thread> foreign;
    if (!fragile) {
        foreign.emplace(read_in_thread);
    }
    auto work = [&]() -> task<> {
        auto body = [&](nursery& n) -> task<> {
            for (std::size_t i = fragile ? 0 : 1; i < readers.size(); ++i) {
                n.spawn(read_all(readers[i], readings[i], seed + 1000 + i));
            }
            n.spawn(send_from_all(way, objects, senders, each, fragile, seed));
            co_return;
        };
        co_await weft::scope(body);
    };
    pool.block_on(work());
    if (foreign.has_value()) {
        foreign->join();
    }
}

/// One pair: who gives, who takes, and the account of the value.
task<> give(weft::oneshot_sender<parcel> answer,
            parcel_ledger& ledger,
            int number,
            std::uint64_t seed,
            std::atomic<int>& inconsistent) {
    random_numbers random(seed);
    for (auto turns = random.below(4); turns != 0; --turns) {
        co_await weft::yield();
    }
    parcel value(ledger, 0, number, number);
    if (random.one_in(4)) {
        value.keep();  // goes without sending
        co_return;
    }
    bool const sent = answer.send(std::move(value)).has_value();
    inconsistent += sent == value.is_gone() ? 0 : 1;
    if (!sent) {
        value.keep();
    } else {
        parcel second(ledger, 0, number, number);
        inconsistent += answer.send(std::move(second)).has_value() || second.is_gone() ? 1 : 0;
        second.forget();
    }
}

void take(std::optional<parcel>& value, std::atomic<int>& inconsistent, int number) {
    if (value.has_value()) {
        inconsistent += value->number == number ? 0 : 1;
        value->take();
    }
}

task<> take_unless_stopped(weft::oneshot_receiver<parcel>& wanted,
                           std::optional<parcel>& value,
                           bool& over,
                           std::uint64_t turns) {
    auto body = [&](nursery& n) -> task<> {
        n.spawn(stop_after(n, turns));
        auto got = co_await wanted.recv();
        over = true;
        if (got.has_value()) {
            value.emplace(std::move(*got));
        }
    };
    co_await weft::scope(body);
}

task<> take_somehow(weft::oneshot_receiver<parcel> wanted,
                    int number,
                    std::uint64_t seed,
                    std::atomic<int>& inconsistent) {
    random_numbers random(seed);
    bool over = false;
    while (!over) {
        std::optional<parcel> value;
        switch (random.below(6)) {
            case 0:
                co_await take_unless_stopped(wanted, value, over, random.below(4));
                break;
            case 1:
                if (auto taken = wanted.try_recv(); taken.has_value()) {
                    over = true;
                    value.emplace(std::move(*taken));
                } else {
                    over = taken.error() == weft::errc::closed;
                    co_await weft::yield();
                }
                break;
            case 2: {
                auto won = co_await weft::select(wanted.recv(), weft::sleep_for({}));
                if (won.index() == 0) {
                    over = true;
                    if (won.get<0>().has_value()) {
                        value.emplace(std::move(*won.get<0>()));
                    }
                }
                break;
            }
            case 3:
                co_return;  // goes without receiving
            case 4:
                (void)wanted.close();
                break;
            default: {
                auto got = co_await wanted.recv();
                over = true;
                if (got.has_value()) {
                    value.emplace(std::move(*got));
                }
            }
        }
        take(value, inconsistent, number);
    }
    auto again = co_await wanted.recv();
    inconsistent += again.has_value() ? 1 : 0;
}

}  // namespace

TEST_SUITE("sync/broadcast_conservation") {
    TEST_CASE("every receiver of a broadcast reads in order, and is told of all that it missed") {
        auto const seed = fresh_seed();
        MESSAGE("WEFT_SEED=", seed);
        weft::thread_pool pool({.workers = 2});
        for (bool const fragile : {false, true}) {
            for (std::size_t const capacity : {1U, 2U, 1024U}) {
                for (int senders = 1; senders <= 4; ++senders) {
                    for (int receivers = 1; receivers <= 4; ++receivers) {
                        CAPTURE(fragile);
                        CAPTURE(capacity);
                        CAPTURE(senders);
                        CAPTURE(receivers);
                        object_count objects;
                        std::vector<reading> readings(static_cast<std::size_t>(receivers),
                                                      reading(senders));
                        {
                            weft::broadcast<bulletin> news(capacity);
                            std::vector<reader> readers;
                            for (int i = 0; i < receivers; ++i) {
                                readers.push_back(i % 2 == 0 ? news.subscribe()
                                                             : readers[0].fork());
                            }
                            publish(pool, news, objects, readers, readings, senders, fragile, seed);
                            auto const sent = static_cast<std::uint64_t>(items_per_combination() /
                                                                         senders * senders);
                            for (std::size_t i = 0; i < readers.size(); ++i) {
                                CHECK(readings[i].out_of_order == 0);
                                CHECK(readings[i].count + readers[i].missed() == sent);
                                CHECK(readings[i].count >= std::min<std::size_t>(capacity, sent));
                            }
                        }
                        CHECK(objects.alive == 0);
                    }
                }
            }
        }
    }

    TEST_CASE("every receiver of a watch sees values in order and ends with the latest") {
        auto const seed = fresh_seed();
        MESSAGE("WEFT_SEED=", seed);
        weft::thread_pool pool({.workers = 2});
        for (bool const fragile : {false, true}) {
            for (int senders = 1; senders <= 4; ++senders) {
                for (int receivers = 1; receivers <= 4; ++receivers) {
                    CAPTURE(fragile);
                    CAPTURE(senders);
                    CAPTURE(receivers);
                    object_count objects;
                    std::vector<reading> readings(static_cast<std::size_t>(receivers),
                                                  reading(senders + 1));
                    {
                        weft::watch<bulletin> state(bulletin(objects, senders, 0, false));
                        std::vector<reader> readers;
                        for (int i = 0; i < receivers; ++i) {
                            readers.push_back(state.subscribe());
                        }
                        publish(pool, state, objects, readers, readings, senders, fragile, seed);
                        std::optional<bulletin> latest;
                        while (!latest.has_value()) {
                            try {
                                latest.emplace(state.get());
                            } catch (std::runtime_error const&) {
                                continue;  // of a copy
                            }
                        }
                        auto const sent =
                            static_cast<std::uint64_t>(items_per_combination() / senders * senders);
                        for (std::size_t i = 0; i < readers.size(); ++i) {
                            CHECK(readings[i].out_of_order == 0);
                            CHECK(readings[i].count + readers[i].missed() == sent + 1);
                            CHECK(readings[i].latest == std::pair(latest->sender, latest->place()));
                        }
                    }
                    CHECK(objects.alive == 0);
                }
            }
        }
    }

    TEST_CASE("the value of a oneshot is taken, kept or destroyed, once, whoever goes first") {
        auto const seed = fresh_seed();
        MESSAGE("WEFT_SEED=", seed);
        weft::thread_pool pool({.workers = 2});
        int const count = 16 * items_per_combination();
        constexpr int lanes = 4;
        parcel_ledger ledger(count);
        std::atomic<int> inconsistent = 0;
        auto lane = [&](int first) -> task<> {
            for (int number = first; number < count; number += lanes) {
                auto const own = seed + 2 * static_cast<std::uint64_t>(number);
                auto [answer, wanted] = weft::make_oneshot<parcel>();
                auto body = [&, &giver = answer, &taker = wanted](nursery& n) -> task<> {
                    n.spawn(give(std::move(giver), ledger, number, own, inconsistent));
                    n.spawn(take_somehow(std::move(taker), number, own + 1, inconsistent));
                    co_return;
                };
                co_await weft::scope(body);
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (int i = 0; i < lanes; ++i) {
                    n.spawn(lane(i));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(inconsistent == 0);
        CHECK(ledger.wrong() == 0);
        CHECK(ledger.taken() > count / 16);
        CHECK(ledger.kept() > count / 16);
    }
}
