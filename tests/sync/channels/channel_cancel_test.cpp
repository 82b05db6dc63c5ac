// Every wait in a channel, and in a select, through the same mill: stopped before, while waiting,
// while it completes, and by the end of its runtime.

#include <weft/sync/channels/channel.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/sync/channels/broadcast.hpp>
#include <weft/sync/channels/oneshot.hpp>
#include <weft/sync/channels/priority_channel.hpp>
#include <weft/sync/channels/watch.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::object_count;

/// Each site has one wait that nothing completes until complete() is called. is_conserved() says
/// whether what became of the value agrees with whether the wait took effect.
struct site_base {
    object_count objects;
    bool took = false;
    bool untouched = true;  // the sender's value, after a send that did not take effect
};

class recv_site : public site_base {
public:
    task<> wait() {
        auto const value = co_await numbers_.recv();
        took = value.has_value();
    }

    void complete() { sent_ = numbers_.try_send(1).has_value(); }

    [[nodiscard]] bool is_conserved() { return sent_ && numbers_.try_recv().has_value() != took; }

private:
    weft::channel<int> numbers_{1};
    bool sent_ = false;
};

class unbounded_site : public site_base {
public:
    task<> wait() {
        auto const value = co_await numbers_.recv();
        took = value.has_value();
    }

    void complete() { (void)numbers_.try_send(1); }

    [[nodiscard]] bool is_conserved() { return numbers_.try_recv().has_value() != took; }

private:
    weft::unbounded_channel<int> numbers_;
};

/// In bulk, by iterators and a container that outlive the task.
class recv_many_site : public site_base {
public:
    task<> wait() {
        std::size_t const count = co_await numbers_.recv_many(got_, 4);
        took = count == 1;
    }

    void complete() { (void)numbers_.try_send(1); }

    [[nodiscard]] bool is_conserved() {
        return got_.size() == (took ? 1 : 0) && numbers_.try_recv().has_value() != took;
    }

private:
    weft::channel<int> numbers_{1};
    std::vector<int> got_;
};

class send_many_site : public site_base {
public:
    send_many_site() { (void)numbers_.try_send(1); }

    task<> wait() {
        co_await numbers_.send_many(next_, values_ + 1);
        took = true;
    }

    void complete() { received_ += numbers_.try_recv().has_value() ? 1 : 0; }

    [[nodiscard]] bool is_conserved() {
        while (numbers_.try_recv().has_value()) {
            ++received_;
        }
        return (next_ == values_ + 1) == took && received_ == (took ? 2 : 1);
    }

private:
    weft::channel<int> numbers_{1};
    int values_[1] = {2};
    int* next_ = values_;
    int received_ = 0;
};

class rendezvous_recv_site : public site_base {
public:
    task<> wait() {
        auto const value = co_await numbers_.recv();
        took = value.has_value();
    }

    void complete() { sent_ = numbers_.try_send(1).has_value(); }

    [[nodiscard]] bool is_conserved() const { return sent_ == took; }

private:
    weft::channel<int> numbers_{0};
    bool sent_ = false;
};

/// The sender's value lives outside of the task that is stopped.
template <std::size_t Capacity>
class send_site : public site_base {
public:
    send_site() {
        for (std::size_t i = 0; i < Capacity; ++i) {
            (void)values_.try_send(counted(objects, 1));
        }
    }

    task<> wait() {
        co_await values_.send(std::move(mine_));
        took = true;
    }

    void complete() { received_ += values_.try_recv().has_value() ? 1 : 0; }

    [[nodiscard]] bool is_conserved() {
        bool const kept = mine_.value == 2;
        while (values_.try_recv().has_value()) {
            ++received_;
        }
        return kept != took && received_ == static_cast<int>(Capacity) + (took ? 1 : 0);
    }

private:
    counted mine_{objects, 2};
    weft::channel<counted> values_{Capacity};
    int received_ = 0;
};

class priority_site : public site_base {
public:
    task<> wait() {
        auto const value = co_await numbers_.recv();
        took = value.has_value();
    }

    void complete() { (void)numbers_.try_send(1); }

    [[nodiscard]] bool is_conserved() { return numbers_.try_recv().has_value() != took; }

private:
    weft::priority_channel<int> numbers_{2};
};

class priority_send_site : public site_base {
public:
    priority_send_site() { (void)numbers_.try_send(1); }

    task<> wait() {
        co_await numbers_.send(2);
        took = true;
    }

    void complete() { received_ += numbers_.try_recv().has_value() ? 1 : 0; }

    [[nodiscard]] bool is_conserved() {
        while (numbers_.try_recv().has_value()) {
            ++received_;
        }
        return received_ == (took ? 2 : 1);
    }

private:
    weft::priority_channel<int> numbers_{1};
    int received_ = 0;
};

class oneshot_site : public site_base {
public:
    task<> wait() {
        auto const value = co_await ends_.second.recv();
        took = value.has_value();
    }

    void complete() { (void)ends_.first.send(1); }

    [[nodiscard]] bool is_conserved() { return ends_.second.try_recv().has_value() != took; }

private:
    std::pair<weft::oneshot_sender<int>, weft::oneshot_receiver<int>> ends_ =
        weft::make_oneshot<int>();
};

class broadcast_site : public site_base {
public:
    task<> wait() {
        auto const value = co_await reader_.recv();
        took = value.has_value();
    }

    void complete() { (void)news_.send(1); }

    [[nodiscard]] bool is_conserved() { return reader_.try_recv().has_value() != took; }

private:
    weft::broadcast<int> news_{2};
    weft::broadcast_receiver<int> reader_ = news_.subscribe();
};

class watch_site : public site_base {
public:
    watch_site() { (void)reader_.try_recv(); }

    task<> wait() {
        auto const value = co_await reader_.recv();
        took = value.has_value();
    }

    void complete() { (void)number_.send(1); }

    [[nodiscard]] bool is_conserved() { return reader_.try_recv().has_value() != took; }

private:
    weft::watch<int> number_{0};
    weft::broadcast_receiver<int> reader_ = number_.subscribe();
};

/// Receives, sends, or sleeps for days.
class select_site : public site_base {
public:
    task<> wait() {
        auto won =
            co_await weft::select(in_.recv(), out_.send(std::move(mine_)), weft::sleep_for(48h));
        took = won.index() < 2;
        received_ += won.index() == 0 ? 1 : 0;
    }

    void complete() {
        if (turn_) {
            given_ += in_.try_send(1).has_value() ? 1 : 0;
        } else {
            taken_ += out_.try_recv().has_value() ? 1 : 0;
        }
    }

    [[nodiscard]] bool is_conserved() const {
        bool const kept = mine_.value == 2;
        return given_ == received_ && (taken_ == 1) != kept && took == (given_ + taken_ == 1);
    }

    void choose(bool turn) noexcept { turn_ = turn; }

private:
    counted mine_{objects, 2};
    weft::channel<int> in_{0};
    weft::channel<counted> out_{0};
    bool turn_ = false;
    int given_ = 0;
    int taken_ = 0;
    int received_ = 0;
};

/// Selects among channels only, which takes another way through the library.
class bare_select_site : public site_base {
public:
    task<> wait() {
        auto won = co_await weft::select(a_.recv(), b_.recv());
        took = won.index() < 2;
    }

    void complete() { sent_ = b_.try_send(1).has_value(); }

    [[nodiscard]] bool is_conserved() const { return sent_ == took; }

private:
    weft::channel<int> a_{0};
    weft::channel<int> b_{0};
    bool sent_ = false;
};

/// Could send at once.
class send_with_room_site : public site_base {
public:
    task<> wait() {
        co_await values_.send(std::move(mine_));
        took = true;
    }

    void complete() {}

    [[nodiscard]] bool is_conserved() {
        return (mine_.value == 2) != took && values_.try_recv().has_value() == took;
    }

private:
    counted mine_{objects, 2};
    weft::channel<counted> values_{1};
};

/// Could receive at once.
class select_ready_site : public site_base {
public:
    task<> wait() {
        auto won = co_await weft::select(a_.recv(), b_.recv());
        took = won.index() == 1;
    }

    void complete() { (void)b_.try_send(1); }

    [[nodiscard]] bool is_conserved() { return b_.try_recv().has_value() != took; }

private:
    weft::channel<int> a_{0};
    weft::channel<int> b_{1};
};

task<> stop_soon(nursery& n, std::uint64_t turns) {
    for (std::uint64_t i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    n.request_stop();
}

template <class Site>
task<> wait_holding(Site& site) {
    counted const held(site.objects);
    co_await site.wait();
}

template <class Site>
task<> complete_soon(Site& site, std::uint64_t turns) {
    for (std::uint64_t i = 0; i < turns; ++i) {
        co_await weft::yield();
    }
    site.complete();
}

using every_site = std::tuple<recv_site,
                              unbounded_site,
                              recv_many_site,
                              send_many_site,
                              priority_send_site,
                              rendezvous_recv_site,
                              send_site<0>,
                              send_site<1>,
                              priority_site,
                              oneshot_site,
                              broadcast_site,
                              watch_site,
                              select_site,
                              bare_select_site>;

}  // namespace

TEST_SUITE("sync/channel_cancel") {
    TEST_CASE_TEMPLATE("a wait that was stopped before takes nothing, even what is there",
                       Site,
                       recv_site,
                       unbounded_site,
                       recv_many_site,
                       send_with_room_site,
                       select_ready_site,
                       priority_site,
                       oneshot_site,
                       broadcast_site,
                       watch_site) {
        weft::thread_pool pool({.workers = 1});
        Site site;
        auto work = [&]() -> task<> {
            site.complete();
            auto body = [&](nursery& n) -> task<> {
                n.request_stop();
                co_await wait_holding(site);
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK_FALSE(site.took);
        CHECK(site.is_conserved());
    }

    TEST_CASE_TEMPLATE_DEFINE(
        "a stop ends a wait and leaves nothing behind", Site, stop_ends_wait) {
        weft::thread_pool pool({.workers = 1});
        Site site;
        int before = site.objects.alive;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(stop_soon(n, 8));
                co_await wait_holding(site);
            };
            co_await weft::scope(body);
            CHECK(site.objects.alive == before);
            site.complete();
        };
        pool.block_on(work());
        CHECK_FALSE(site.took);
        CHECK(site.is_conserved());
    }

    TEST_CASE_TEMPLATE_APPLY(stop_ends_wait, every_site);

    TEST_CASE_TEMPLATE_DEFINE("a wait keeps to the deadline around it", Site, deadline_ends) {
        weft::thread_pool pool({.workers = 1});
        Site site;
        int const before = site.objects.alive;
        auto work = [&]() -> task<std::error_code> {
            auto const ended = co_await (weft::timeout(1ms, wait_holding(site)) | weft::as_result);
            CHECK(site.objects.alive == before);
            site.complete();
            co_return ended.error();
        };
        CHECK(pool.block_on(work()) == std::errc::timed_out);
        CHECK_FALSE(site.took);
        CHECK(site.is_conserved());
    }

    TEST_CASE_TEMPLATE_APPLY(deadline_ends, every_site);

    TEST_CASE_TEMPLATE_DEFINE(
        "a stop that races completion ends the wait or comes too late", Site, stop_races) {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        int broken = 0;
        int taken = 0;
        auto work = [&]() -> task<> {
            for (int round = 0; round < 10'000; ++round) {
                Site site;
                if constexpr (requires { site.choose(true); }) {
                    site.choose(random.one_in(2));
                }
                auto race = [&](nursery& outer) -> task<> {
                    outer.spawn(complete_soon(site, random.below(6)));
                    auto body = [&](nursery& n) -> task<> {
                        n.spawn(stop_soon(n, random.below(6)));
                        co_await wait_holding(site);
                    };
                    co_await weft::scope(body);
                };
                co_await weft::scope(race);
                broken += site.is_conserved() ? 0 : 1;
                taken += site.took ? 1 : 0;
            }
        };
        pool.block_on(work());
        CHECK(broken == 0);
        CHECK(taken > 0);
        CHECK(taken < 10'000);
    }

    TEST_CASE_TEMPLATE_APPLY(stop_races, every_site);

    TEST_CASE_TEMPLATE_DEFINE("the end of a runtime ends its waits", Site, runtime_ends) {
        Site site;
        int before = site.objects.alive;
        {
            weft::thread_pool pool({.workers = 2});
            (void)pool.spawn(wait_holding(site));
            auto work = []() -> task<> {
                for (int i = 0; i < 8; ++i) {
                    co_await weft::yield();
                }
            };
            pool.block_on(work());
        }
        CHECK_FALSE(site.took);
        CHECK(site.objects.alive == before);
        site.complete();
        CHECK(site.is_conserved());
    }

    TEST_CASE_TEMPLATE_APPLY(runtime_ends, every_site);

    TEST_CASE("in the result form a stop is an error and the task goes on") {
        weft::thread_pool pool({.workers = 1});
        weft::channel<int> empty(0);
        weft::channel<int> full(0);
        std::error_code received;
        std::error_code sent;
        std::error_code before;
        auto receives = [&](std::error_code& told) -> task<> {
            auto const value = co_await weft::as_result(empty.recv());
            told = value.error();
        };
        auto sends = [&](std::error_code& told) -> task<> {
            auto const done = co_await weft::as_result(full.send(1));
            told = done.error();
        };
        weft::stop_source source;
        auto receives_stopped = [&]() -> task<> {
            source.request_stop();
            co_await receives(before);
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(stop_soon(n, 8));
                n.spawn(receives(received));
                n.spawn(sends(sent));
                co_return;
            };
            co_await weft::scope(body);
            co_await weft::with_stop_token(source.token(), receives_stopped());
        };
        pool.block_on(work());
        CHECK(received == std::errc::operation_canceled);
        CHECK(sent == std::errc::operation_canceled);
        CHECK(before == std::errc::operation_canceled);
    }

    TEST_CASE("selects that meet each other while they are stopped lose and double nothing") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::thread_pool pool({.workers = 2});
        weft::channel<int> ways[3] = {
            weft::channel<int>(0), weft::channel<int>(0), weft::channel<int>(1)};
        std::atomic<std::int64_t> sent = 0;
        std::atomic<std::int64_t> received = 0;
        auto trade = [&](std::uint64_t own_seed) -> task<> {
            weft::test::random_numbers random(own_seed);
            for (int i = 0; i < 3000; ++i) {
                auto& a = ways[random.below(3)];
                auto& b = ways[random.below(3)];
                int const amount = static_cast<int>(random.below(1000)) + 1;
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(stop_soon(n, random.below(8)));
                    auto won = co_await weft::select(a.recv(), b.send(amount), ways[0].recv());
                    if (won.index() == 1) {
                        sent += amount;
                    } else {
                        received += won.index() == 0 ? *won.get<0>() : *won.get<2>();
                    }
                };
                co_await weft::scope(body);
            }
        };
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                for (std::uint64_t i = 0; i < 4; ++i) {
                    n.spawn(trade(seed + i));
                }
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        if (auto left = ways[2].try_recv(); left.has_value()) {
            received += *left;
        }
        CHECK(sent == received);
        CHECK(sent > 0);
    }
}
