/// select over two channels, biased and not, and over what has to be waited for without effect.

#include <weft/runtime/time/sleep.hpp>
#include <weft/sync/channels/channel.hpp>
#include <weft/sync/locks/event.hpp>
#include <weft/sync/locks/mutex.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <optional>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

using channel = weft::channel<int>;

weft::task<> send(channel& to, int value) {
    co_await to.send(int{value});
}

weft::task<> receive(channel& from, int expected) {
    auto const value = co_await from.recv();
    model::expect(value == expected, "a value is lost");
}

/// Takes the one that comes first, and then the other.
weft::task<> receive_both(channel& a, channel& b) {
    auto won = co_await weft::select(weft::biased, a.recv(), b.recv());
    if (won.index() == 0) {
        model::expect(*won.get<0>() == 1, "a value is lost");
        co_await receive(b, 2);
    } else {
        model::expect(*won.get<1>() == 2, "a value is lost");
        co_await receive(a, 1);
    }
}

template <std::size_t Capacity>
void two_senders() {
    channel a(Capacity);
    channel b(Capacity);
    model::crew workers;
    model::job one(workers, receive_both(a, b));
    model::job two(workers, send(a, 1));
    model::job three(workers, send(b, 2));
    workers.run();
    model::expect(a.empty() && b.empty(), "a value is lost");
}

/// The same, wherever it begins to look.
weft::task<> receive_both_unbiased(channel& a, channel& b) {
    auto won = co_await weft::select(a.recv(), b.recv());
    if (won.index() == 0) {
        model::expect(*won.get<0>() == 1, "a value is lost");
        co_await receive(b, 2);
    } else {
        model::expect(*won.get<1>() == 2, "a value is lost");
        co_await receive(a, 1);
    }
}

void unbiased() {
    channel a(0);
    channel b(1);
    model::crew workers;
    model::job one(workers, receive_both_unbiased(a, b));
    model::job two(workers, send(a, 1));
    model::job three(workers, send(b, 2));
    workers.run();
    model::expect(a.empty() && b.empty(), "a value is lost");
}

/// Takes a token, as an operation that is waited for without effect: in steps.
class token_operation {
public:
    explicit token_operation(weft::auto_reset_event& token, weft::manual_reset_event& news) noexcept
        : token_(&token)
        , news_(&news) {}

    [[nodiscard]] bool await_ready() const noexcept { return token_->try_wait(); }

    void await_suspend(std::coroutine_handle<>) const noexcept {}

    [[nodiscard]] int await_resume() const noexcept { return 1; }

    [[nodiscard]] weft::task<weft::result<void>> until_ready() const {
        co_await news_->wait();
        co_return weft::result<void>();
    }

    [[nodiscard]] bool try_complete(std::error_code) const noexcept { return token_->try_wait(); }

    [[nodiscard]] int take() const noexcept { return 1; }

private:
    weft::auto_reset_event* token_;
    weft::manual_reset_event* news_;
};

weft::task<> select_token(channel& a,
                          weft::auto_reset_event& token,
                          weft::manual_reset_event& news,
                          int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), token_operation(token, news));
    outcome = static_cast<int>(won.index());
}

/// And then what a sender waits with.
weft::task<> select_token_first(channel& a,
                                weft::auto_reset_event& token,
                                weft::manual_reset_event& news,
                                int& outcome) {
    co_await select_token(a, token, news, outcome);
    if (a.capacity() == 0 && outcome == 1) {
        co_await receive(a, 1);
    }
}

weft::task<> give_token(weft::auto_reset_event& token, weft::manual_reset_event& news) {
    token.set();
    news.set();
    co_return;
}

/// The branch that is tried takes its token if, and only if, it wins. Whoever comes while it is
/// tried in vain is not lost.
template <std::size_t Capacity>
void in_steps() {
    channel a(Capacity);
    weft::auto_reset_event token;
    weft::manual_reset_event news;
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_token_first(a, token, news, outcome));
    model::job two(workers, send(a, 1));
    model::job three(workers, give_token(token, news));
    workers.run();
    model::expect(one.has_value(), "a select is lost");
    model::expect(a.empty() == (outcome == 0 || Capacity == 0), "a value is lost, or taken twice");
    model::expect(token.try_wait() == (outcome == 0), "a token is lost, or taken twice");
}

weft::task<> token_or_lock(weft::mutex& lock,
                           weft::auto_reset_event& token,
                           weft::manual_reset_event& news,
                           int& outcome) {
    auto won = co_await weft::select(weft::biased, lock.lock(), token_operation(token, news));
    outcome = static_cast<int>(won.index());
}

weft::task<> unlock(weft::mutex& lock) {
    lock.unlock();
    co_return;
}

void in_steps_beside_a_lock() {
    weft::mutex lock;
    weft::auto_reset_event token;
    weft::manual_reset_event news;
    int outcome = -1;
    (void)lock.try_lock();
    model::crew workers;
    model::job one(workers, token_or_lock(lock, token, news, outcome));
    model::job two(workers, unlock(lock));
    model::job three(workers, give_token(token, news));
    workers.run();
    model::expect(one.has_value(), "a select is lost");
    model::expect(lock.try_lock() == (outcome == 1), "a lock is lost, or taken twice");
    model::expect(token.try_wait() == (outcome == 0), "a token is lost, or taken twice");
    lock.unlock();
}

void in_steps_stopped() {
    channel a(0);
    weft::auto_reset_event token;
    weft::manual_reset_event news;
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_token(a, token, news, outcome));
    model::job two(workers, give_token(token, news));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() == (outcome == 1), "a stopped select has taken effect");
    model::expect(token.try_wait() == (outcome != 1), "a token is lost, or taken twice");
}

/// Sends to one or receives from the other, whichever comes.
weft::task<> exchange(channel& out, channel& in, int& outcome) {
    auto won = co_await weft::select(weft::biased, out.send(int{1}), in.recv());
    outcome = static_cast<int>(won.index());
}

/// Two selects that can only meet each other: one sends and the other receives.
void two_selects() {
    channel a(0);
    channel b(0);
    int one_outcome = -1;
    int other_outcome = -1;
    model::crew workers;
    model::job one(workers, exchange(a, b, one_outcome));
    model::job other(workers, exchange(b, a, other_outcome));
    workers.run();
    model::expect(one_outcome == 1 - other_outcome, "two selects did not meet");
}

weft::task<> select_once(channel& a, channel& b, int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), b.recv());
    outcome = static_cast<int>(won.index());
}

/// The stop meets a value on each side: one is taken, or none.
void stopped() {
    channel a(1);
    channel b(1);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_once(a, b, outcome));
    model::job two(workers, send(a, 1));
    model::job three(workers, send(b, 2));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.has_value() == (outcome != -1), "a stopped select has taken effect");
    model::expect(a.empty() == (outcome == 0) && b.empty() == (outcome == 1),
                  "a value is lost, or taken twice");
}

/// Nothing but the stop, which may come while the select is being enlisted.
void stopped_while_enlisting() {
    channel a(0);
    channel b(0);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_once(a, b, outcome));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(one.was_stopped() && outcome == -1, "a stop is lost");
    model::expect(!a.try_send(1).has_value(), "a stopped select is still there");
}

weft::task<> select_or_sleep(channel& a, int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), weft::sleep_for(1ms));
    outcome = static_cast<int>(won.index());
}

void with_a_timer() {
    channel a(1);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_or_sleep(a, outcome));
    model::job two(workers, send(a, 1));
    workers.run();
    model::expect(a.empty() == (outcome == 0), "a value is lost");
}

weft::task<> wait(weft::manual_reset_event& happened) {
    co_await happened.wait();
}

weft::task<> select_or_wait(channel& a,
                            weft::manual_reset_event& set,
                            weft::manual_reset_event& never_set,
                            int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), wait(set), wait(never_set));
    outcome = static_cast<int>(won.index());
}

weft::task<> set(weft::manual_reset_event& happened) {
    happened.set();
    co_return;
}

/// Whichever wins, there is a loser that only a stop can end.
void losers_are_stopped() {
    channel a(1);
    weft::manual_reset_event happened;
    weft::manual_reset_event never;
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_or_wait(a, happened, never, outcome));
    model::job two(workers, send(a, 1));
    model::job three(workers, set(happened));
    workers.run();
    model::expect(one.has_value() && a.empty() == (outcome == 0), "a value is lost");
}

weft::task<> send_and_destroy(std::optional<channel>& to) {
    co_await to->send(1);
    to.reset();
}

/// Whoever has handed over the last value destroys the channel, wherever the select is then.
void winner_is_gone() {
    std::optional<channel> a(std::in_place, 0U);
    channel b(0);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_once(*a, b, outcome));
    model::job two(workers, send_and_destroy(a));
    workers.run();
    model::expect(outcome == 0 && two.has_value(), "a value is lost");
}

weft::task<> close(channel& closed) {
    closed.close();
    co_return;
}

void closed() {
    channel a(1);
    channel b(1);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_once(a, b, outcome));
    model::job two(workers, close(a));
    model::job three(workers, send(b, 2));
    workers.run();
    model::expect(one.has_value() && b.empty() == (outcome == 1), "a value is lost");
}

// --- values that throw ----------------------------------------------------------------

struct failure {};

/// Throws when it is moved out of a sender that says so.
struct fragile {
    explicit fragile(int number) noexcept : value(number) {}

    fragile(fragile&& other) : value(other.value) {
        if (other.breaks) {
            throw failure{};
        }
    }

    fragile& operator=(fragile&&) = delete;
    ~fragile() = default;

    int value;
    bool breaks = false;
};

using fragile_channel = weft::channel<fragile>;

weft::task<> select_fragile(fragile_channel& a, fragile_channel& b, int& outcome) {
    auto won = co_await weft::select(weft::biased, a.recv(), b.recv());
    outcome = static_cast<int>(won.index());
}

weft::task<> send_broken(fragile_channel& to) {
    fragile value(1);
    value.breaks = true;
    bool thrown = false;
    try {
        (void)to.try_send(std::move(value));
    } catch (failure const&) {
        thrown = true;
    }
    (void)thrown;
    co_return;
}

weft::task<> send_whole(fragile_channel& to) {
    fragile value(2);
    co_await to.send(std::move(value));
}

/// The hand-over that throws gives the claim back to the one that comes meanwhile.
void thrown_value() {
    fragile_channel a(0);
    fragile_channel b(0);
    int outcome = -1;
    model::crew workers;
    model::job one(workers, select_fragile(a, b, outcome));
    model::job two(workers, send_broken(a));
    model::job three(workers, send_whole(b));
    workers.run();
    model::expect(one.has_value() && three.has_value() && outcome == 1,
                  "a value that was not handed over takes effect");
}

}  // namespace

TEST_SUITE("model/select") {
    TEST_CASE("exactly one branch takes effect, and no value is lost") {
        CHECK(model::explore("two_senders", &two_senders<1>, {.stale_reads = 1}));
        CHECK(model::explore("two_senders_rendezvous", &two_senders<0>, {.stale_reads = 1}));
        CHECK(model::explore("unbiased", &unbiased, {.stale_reads = 1}));
        CHECK(model::explore("two_selects", &two_selects, {.stale_reads = 1}));
        CHECK(model::explore("closed", &closed, {.stale_reads = 1}));
    }

    TEST_CASE("a select does not touch the channel that it has received from") {
        CHECK(model::explore("winner_is_gone", &winner_is_gone, {.stale_reads = 1}));
    }

    TEST_CASE("a branch that is tried takes effect only if it wins") {
        CHECK(model::explore("in_steps", &in_steps<1>, {.stale_reads = 1}));
        CHECK(model::explore("in_steps_rendezvous", &in_steps<0>, {.stale_reads = 0}));
        CHECK(
            model::explore("in_steps_beside_a_lock", &in_steps_beside_a_lock, {.stale_reads = 0}));
        CHECK(model::explore("in_steps_stopped", &in_steps_stopped, {.stale_reads = 0}));
    }

    TEST_CASE("the losers are stopped, and waited for") {
        CHECK(model::explore("losers_are_stopped", &losers_are_stopped, {.stale_reads = 0}));
    }

    TEST_CASE("a hand-over that throws leaves the select to others") {
        CHECK(model::explore("thrown_value", &thrown_value, {.stale_reads = 1}));
    }

    TEST_CASE("a select that meets a stop or a timer takes one value or none") {
        CHECK(model::explore("stopped", &stopped, {.stale_reads = 0}));
        CHECK(model::explore(
            "stopped_while_enlisting", &stopped_while_enlisting, {.stale_reads = 1}));
        CHECK(model::explore("with_a_timer", &with_a_timer, {.stale_reads = 1}));
    }
}
