#pragma once

/// Parcels on their way through a channel, and whether each came to its end.

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/parcel.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace weft::test {

inline task<> stop_after(nursery& n, std::uint64_t turns) {
    for (std::uint64_t i = 0; i < turns; ++i) {
        co_await yield();
    }
    n.request_stop();
}

/// Some senders and receivers at one channel, which stop each other's operations, change their
/// minds, and sometimes close.
template <class Channel>
class traffic {
    using parcel_type = typename Channel::value_type;

public:
    traffic(Channel& way, int senders, int receivers, int items, std::uint64_t seed)
        : way_(way)
        , senders_(senders)
        , receivers_(receivers)
        , each_(items / senders)
        , seed_(seed)
        , ledger_(senders * each_) {}

    /// Closes the channel after so many values were taken, instead of after the last was sent.
    void close_after(int values) noexcept { closes_after_ = values; }

    /// So many of the senders and receivers are threads.
    void use_threads(int senders, int receivers) noexcept {
        thread_senders_ = senders;
        thread_receivers_ = receivers;
    }

    /// Sends and receives in bulk, too.
    void use_bulk() noexcept { bulk_ = true; }

    task<> run() {
        std::vector<std::thread> threads;
        senders_left_ = senders_;
        auto body = [&](nursery& n) -> task<> {
            for (int i = 0; i < senders_; ++i) {
                if (i < thread_senders_) {
                    threads.emplace_back([this, i] { send_from_thread(i); });
                } else {
                    n.spawn(send(i));
                }
            }
            for (int i = 0; i < receivers_; ++i) {
                if (i < thread_receivers_) {
                    threads.emplace_back([this] { receive_in_thread(); });
                } else {
                    n.spawn(receive(seed_ + 1000 + static_cast<std::uint64_t>(i)));
                }
            }
            co_return;
        };
        co_await scope(body);
        joining_.swap(threads);
    }

    /// After run(), on a thread that is no worker.
    void join() {
        for (std::thread& each : joining_) {
            each.join();
        }
        joining_.clear();
    }

    [[nodiscard]] parcel_ledger& ledger() noexcept { return ledger_; }

    [[nodiscard]] int throws() const noexcept { return throws_; }

    [[nodiscard]] int out_of_order() const noexcept { return out_of_order_; }

    /// How often a sender was told something else than what became of its value.
    [[nodiscard]] int inconsistent() const noexcept { return inconsistent_; }

private:
    // --- senders -------------------------------------------------------------------

    task<> send(int sender) {
        random_numbers random(seed_ + static_cast<std::uint64_t>(sender));
        int place = 0;
        while (place < each_) {
            if (bulk_ && random.one_in(4)) {
                place = co_await send_several(sender, place, random);
                continue;
            }
            parcel_type value(ledger_, sender, place, sender * each_ + place);
            ++place;
            while (!value.is_gone()) {
                try {
                    co_await send_somehow(value, random);
                } catch (std::system_error const& error) {
                    check_told(false, value);
                    give_up(value, error.code());
                } catch (std::runtime_error const&) {
                    ++throws_;  // of a move
                }
            }
        }
        leave();
    }

    task<> send_somehow(parcel_type& value, random_numbers& random) {
        switch (random.below(5)) {
            case 0:
                co_await send_unless_stopped(value, random.below(4));
                break;
            case 1: {
                auto const sent = way_.try_send(std::move(value));
                check_told(sent.has_value(), value);
                give_up(value, sent.error());
                co_await yield();
                break;
            }
            case 2: {
                auto won = co_await select(way_.send(std::move(value)), weft::sleep_for({}));
                check_told(won.index() == 0, value);
                break;
            }
            case 3: {
                auto const sent = co_await as_result(way_.send(std::move(value)));
                check_told(sent.has_value(), value);
                give_up(value, sent.error());
                break;
            }
            default:
                co_await way_.send(std::move(value));
        }
    }

    task<> send_unless_stopped(parcel_type& value, std::uint64_t turns) {
        bool sent = false;
        auto body = [&](nursery& n) -> task<> {
            n.spawn(stop_after(n, turns));
            co_await way_.send(std::move(value));
            sent = true;
        };
        co_await scope(body);
        check_told(sent, value);
    }

    /// Gives the place behind the last that was sent or given up.
    task<int> send_several(int sender, int place, random_numbers& random) {
        auto const count = static_cast<std::size_t>(random.below(100)) + 1;
        std::vector<parcel_type> batch;
        batch.reserve(count);
        for (; batch.size() != count && place != each_; ++place) {
            batch.emplace_back(ledger_, sender, place, sender * each_ + place);
        }
        auto next = batch.begin();
        while (next != batch.end()) {
            auto body = [&](nursery& n) -> task<> {
                if (random.one_in(2)) {
                    n.spawn(stop_after(n, random.below(6)));
                }
                co_await way_.send_many(next, batch.end());
            };
            try {
                co_await scope(body);
            } catch (std::system_error const& error) {
                for (auto each = next; each != batch.end(); ++each) {
                    check_told(false, *each);
                }
                give_up(*next, error.code());
                ++next;
            } catch (std::runtime_error const&) {
                ++throws_;  // of a move: `next` is where that was
            }
            for (auto each = batch.begin(); each != next; ++each) {
                inconsistent_ += each->is_gone() ? 0 : 1;
            }
        }
        co_return place;
    }

    void send_from_thread(int sender) {
        for (int place = 0; place < each_; ++place) {
            parcel_type value(ledger_, sender, place, sender * each_ + place);
            while (!value.is_gone()) {
                try {
                    way_.send_blocking(std::move(value));
                } catch (std::system_error const& error) {
                    check_told(false, value);
                    give_up(value, error.code());
                    std::this_thread::yield();
                }
            }
        }
        leave();
    }

    /// A closed channel takes nothing any more; one that is full or was stopped may, later.
    void give_up(parcel_type& value, std::error_code why) {
        if (why == errc::closed) {
            value.keep();
        }
    }

    void check_told(bool sent, parcel_type const& value) {
        inconsistent_ += sent == value.is_gone() ? 0 : 1;
    }

    void leave() {
        if (--senders_left_ == 0) {
            way_.close();
        }
    }

    // --- receivers -----------------------------------------------------------------

    task<> receive(std::uint64_t seed) {
        random_numbers random(seed);
        std::vector<int> last(static_cast<std::size_t>(senders_), -1);
        bool open = true;
        while (open) {
            try {
                open = co_await receive_somehow(last, random);
            } catch (std::runtime_error const&) {
                ++throws_;  // of a move
            }
        }
    }

    /// False when nothing can come any more.
    task<bool> receive_somehow(std::vector<int>& last, random_numbers& random) {
        switch (random.below(bulk_ ? 7 : 5)) {
            case 0:
                co_return co_await receive_unless_stopped(last, random.below(4));
            case 1:
                if (auto taken = way_.try_recv(); taken.has_value()) {
                    account(*taken, last);
                } else {
                    co_await yield();
                }
                co_return true;
            case 2: {
                auto won = co_await select(way_.recv(), weft::sleep_for({}));
                co_return won.index() != 0 || account(won.template get<0>(), last);
            }
            case 5:
            case 6:
                co_return co_await receive_several(last, random);
            default: {
                auto value = co_await way_.recv();
                co_return account(value, last);
            }
        }
    }

    task<bool> receive_unless_stopped(std::vector<int>& last, std::uint64_t turns) {
        bool open = true;
        auto body = [&](nursery& n) -> task<> {
            n.spawn(stop_after(n, turns));
            auto value = co_await way_.recv();
            open = account(value, last);
        };
        co_await scope(body);
        co_return open;
    }

    task<bool> receive_several(std::vector<int>& last, random_numbers& random) {
        std::vector<parcel_type> batch;
        bool open = true;
        std::size_t const limit = static_cast<std::size_t>(random.below(100)) + 1;
        auto body = [&](nursery& n) -> task<> {
            if (random.one_in(2)) {
                n.spawn(stop_after(n, random.below(6)));
            }
            std::size_t const count = co_await way_.recv_many(batch, limit);
            inconsistent_ += count == batch.size() && count <= limit ? 0 : 1;
            open = count != 0;
        };
        try {
            co_await scope(body);
        } catch (std::runtime_error const&) {
            ++throws_;  // of a move: what came before it is in the batch
        }
        for (parcel_type& each : batch) {
            account(each, last);
        }
        co_return open;
    }

    void receive_in_thread() {
        std::vector<int> last(static_cast<std::size_t>(senders_), -1);
        bool open = true;
        while (open) {
            auto value = way_.recv_blocking();
            open = account(value, last);
        }
    }

    bool account(std::optional<parcel_type>& value, std::vector<int>& last) {
        if (value.has_value()) {
            account(*value, last);
        }
        return value.has_value();
    }

    void account(parcel_type& value, std::vector<int>& last) {
        int& before = last[static_cast<std::size_t>(value.sender)];
        out_of_order_ += value.place > before ? 0 : 1;
        before = value.place;
        value.take();
        if (ledger_.taken() == closes_after_) {
            way_.close();
        }
    }

    Channel& way_;
    int senders_;
    int receivers_;
    int each_;
    std::uint64_t seed_;
    int closes_after_ = -1;
    int thread_senders_ = 0;
    int thread_receivers_ = 0;
    bool bulk_ = false;
    std::vector<std::thread> joining_;
    parcel_ledger ledger_;
    std::atomic<int> senders_left_ = 0;
    std::atomic<int> out_of_order_ = 0;
    std::atomic<int> inconsistent_ = 0;
    std::atomic<int> throws_ = 0;
};

/// Calls `check(work, way)` after each run: what `make(capacity)` gives has carried the values of 1
/// to 4 senders to 1 to 4 receivers. `arrange(work)` comes before. Where a value takes long, one of
/// `share` is sent.
template <class Make, class Arrange, class Check>
void run_traffic(std::vector<std::size_t> const& capacities,
                 Make make,
                 Arrange arrange,
                 Check check,
                 int share = 1) {
    auto const seed = fresh_seed();
    CAPTURE(seed);
    MESSAGE("WEFT_SEED=", seed);
    thread_pool pool({.workers = 2});
    for (std::size_t const capacity : capacities) {
        for (int senders = 1; senders <= 4; ++senders) {
            for (int receivers = 1; receivers <= 4; ++receivers) {
                CAPTURE(capacity);
                CAPTURE(senders);
                CAPTURE(receivers);
                auto way = make(capacity);
                traffic work(*way, senders, receivers, items_per_combination() / share, seed);
                arrange(work);
                pool.block_on(work.run());
                work.join();
                CHECK(work.out_of_order() == 0);
                CHECK(work.inconsistent() == 0);
                check(work, way);
                CHECK(work.ledger().wrong() == 0);
            }
        }
    }
}

/// Every value was taken.
struct all_taken {
    template <class Work, class Way>
    void operator()(Work& work, Way const&) const {
        CHECK(work.ledger().kept() == 0);
        CHECK(work.ledger().destroyed() == 0);
    }
};

struct as_it_is {
    template <class Work>
    void operator()(Work&) const noexcept {}
};

}  // namespace weft::test
