// Every value that enters a channel leaves it exactly once, however often its senders and receivers
// are stopped on the way. WEFT_CHANNEL_ITEMS in the environment sets the number of values for each
// combination; WEFT_SEED repeats the choices of a run, though not how its threads interleave.

#include <weft/runtime/as_result.hpp>
#include <weft/runtime/scope.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/sync/channel.hpp>
#include <weft/sync/priority_channel.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace {

using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::object_count;
using weft::test::random_numbers;

/// Move-only; a moved-from parcel has no number.
class parcel {
public:
    parcel(object_count& objects, int from, int number) noexcept
        : sender(from)
        , content_(objects, number) {}

    parcel(parcel const&) = delete;
    parcel& operator=(parcel const&) = delete;
    parcel(parcel&&) noexcept = default;
    parcel& operator=(parcel&&) noexcept = default;

    [[nodiscard]] int number() const noexcept { return content_.value; }

    [[nodiscard]] bool is_gone() const noexcept { return content_.value == counted::moved_from; }

    int sender;

private:
    counted content_;
};

/// All parcels are equal, so that a priority channel keeps their order too.
struct all_equal {
    bool operator()(parcel const&, parcel const&) const noexcept { return false; }
};

int items_per_combination() {
    char const* const text = std::getenv("WEFT_CHANNEL_ITEMS");
    return text != nullptr ? std::atoi(text) : 240;
}

task<> stop_soon(nursery& n, std::uint64_t turns) {
    for (std::uint64_t i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    n.request_stop();
}

template <class Channel>
class traffic {
public:
    traffic(Channel& way, int senders, int receivers, int items, std::uint64_t seed)
        : way_(way)
        , senders_(senders)
        , receivers_(receivers)
        , each_(items / senders)
        , seed_(seed)
        , arrivals_(static_cast<std::size_t>(senders * each_)) {}

    task<> run() {
        auto body = [&](nursery& n) -> task<> {
            n.spawn(send_all());
            for (int i = 0; i < receivers_; ++i) {
                n.spawn(receive(seed_ + 1000 + static_cast<std::uint64_t>(i)));
            }
            co_return;
        };
        co_await weft::scope(body);
    }

    /// After run().
    void check() const {
        int wrong = 0;
        for (auto const& each : arrivals_) {
            wrong += each.load() == 1 ? 0 : 1;
        }
        CHECK(wrong == 0);
        CHECK(out_of_order_ == 0);
        CHECK(inconsistent_ == 0);
        CHECK(objects_.alive == 0);
        CHECK(objects_.copies == 0);
    }

private:
    task<> send_all() {
        auto body = [&](nursery& n) -> task<> {
            for (int i = 0; i < senders_; ++i) {
                n.spawn(send(i));
            }
            co_return;
        };
        co_await weft::scope(body);
        way_.close();
    }

    task<> send(int sender) {
        random_numbers random(seed_ + static_cast<std::uint64_t>(sender));
        for (int number = 0; number < each_; ++number) {
            parcel value(objects_, sender, number);
            while (!value.is_gone()) {
                switch (random.below(5)) {
                    case 0:
                        co_await send_unless_stopped(value, random.below(4));
                        break;
                    case 1:
                        check_told(way_.try_send(std::move(value)).has_value(), value);
                        co_await weft::yield();
                        break;
                    case 2:
                        co_await send_in_select(value);
                        break;
                    case 3: {
                        auto const sent = co_await weft::as_result(way_.send(std::move(value)));
                        check_told(sent.has_value(), value);
                        break;
                    }
                    default:
                        co_await way_.send(std::move(value));
                }
            }
        }
    }

    task<> send_unless_stopped(parcel& value, std::uint64_t turns) {
        bool sent = false;
        auto body = [&](nursery& n) -> task<> {
            n.spawn(stop_soon(n, turns));
            co_await way_.send(std::move(value));
            sent = true;
        };
        co_await weft::scope(body);
        check_told(sent, value);
    }

    task<> send_in_select(parcel& value) {
        auto won = co_await weft::select(way_.send(std::move(value)), weft::sleep_for({}));
        check_told(won.index() == 0, value);
    }

    task<> receive(std::uint64_t seed) {
        random_numbers random(seed);
        std::vector<int> last(static_cast<std::size_t>(senders_), -1);
        bool open = true;
        while (open) {
            std::optional<parcel> value;
            switch (random.below(5)) {
                case 0:
                    co_await receive_unless_stopped(value, open, random.below(4));
                    break;
                case 1:
                    if (auto taken = way_.try_recv(); taken.has_value()) {
                        value.emplace(std::move(*taken));
                    } else {
                        co_await weft::yield();
                    }
                    break;
                case 2: {
                    auto won = co_await weft::select(way_.recv(), weft::sleep_for({}));
                    if (won.index() == 0) {
                        value = std::move(won).template get<0>();
                        open = value.has_value();
                    }
                    break;
                }
                default:
                    value = co_await way_.recv();
                    open = value.has_value();
            }
            if (value.has_value()) {
                account(*value, last);
            }
        }
    }

    task<> receive_unless_stopped(std::optional<parcel>& value, bool& open, std::uint64_t turns) {
        auto body = [&](nursery& n) -> task<> {
            n.spawn(stop_soon(n, turns));
            value = co_await way_.recv();
            open = value.has_value();
        };
        co_await weft::scope(body);
    }

    void account(parcel const& value, std::vector<int>& last) {
        auto const sender = static_cast<std::size_t>(value.sender);
        ++arrivals_[sender * static_cast<std::size_t>(each_) +
                    static_cast<std::size_t>(value.number())];
        out_of_order_ += value.number() > last[sender] ? 0 : 1;
        last[sender] = value.number();
    }

    void check_told(bool sent, parcel const& value) {
        inconsistent_ += sent == value.is_gone() ? 0 : 1;
    }

    Channel& way_;
    int senders_;
    int receivers_;
    int each_;
    std::uint64_t seed_;
    object_count objects_;
    std::vector<std::atomic<int>> arrivals_;
    std::atomic<int> out_of_order_ = 0;
    std::atomic<int> inconsistent_ = 0;
};

/// `make(capacity)` gives the channel.
template <class Make>
void conserve(std::vector<std::size_t> const& capacities, Make make) {
    auto const seed = weft::test::fresh_seed();
    CAPTURE(seed);
    weft::thread_pool pool(2);
    for (std::size_t const capacity : capacities) {
        for (int senders = 1; senders <= 4; ++senders) {
            for (int receivers = 1; receivers <= 4; ++receivers) {
                CAPTURE(capacity);
                CAPTURE(senders);
                CAPTURE(receivers);
                auto way = make(capacity);
                traffic work(*way, senders, receivers, items_per_combination(), seed);
                pool.block_on(work.run());
                work.check();
            }
        }
    }
}

}  // namespace

TEST_SUITE("sync/channel_conservation") {
    TEST_CASE("a bounded channel delivers each value once, in order for each sender") {
        conserve({0, 1, 2, 1024}, [](std::size_t capacity) {
            return std::make_unique<weft::channel<parcel>>(capacity);
        });
    }

    TEST_CASE("an unbounded channel delivers each value once, in order for each sender") {
        conserve({0},
                 [](std::size_t) { return std::make_unique<weft::unbounded_channel<parcel>>(); });
    }

    TEST_CASE("a priority channel delivers each value once, equal ones in order") {
        conserve({1, 2, 1024}, [](std::size_t capacity) {
            return std::make_unique<weft::priority_channel<parcel, all_equal>>(capacity);
        });
    }

    TEST_CASE("receivers that wait are served in turn, and senders too") {
        weft::thread_pool pool(1);
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
