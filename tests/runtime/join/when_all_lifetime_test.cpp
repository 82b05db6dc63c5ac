// What becomes of a join's children, their parameters and their values, when each of them ends.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::task;
using weft::when_all;

task<int> value(int v) {
    co_return v;
}

task<> nothing() {
    co_return;
}

task<int> after_yields(int v, int count) {
    for (int i = 0; i < count; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

/// Sleeps until it is stopped; tells whether it ended otherwise.
task<int> sleeps_for_ever(std::atomic<int>& finished) {
    co_await weft::sleep_for(24h);
    ++finished;
    co_return 0;
}

/// Counts the objects of its kind that are alive.
template <std::size_t Bytes>
struct tracked {
    inline static std::atomic<int> alive = 0;

    explicit tracked(int v) : value(v) { ++alive; }

    tracked(tracked&& other) noexcept(Bytes % 2 == 0) : value(other.value) { ++alive; }

    tracked& operator=(tracked&&) = default;

    ~tracked() { --alive; }

    int value;
    std::array<char, Bytes> filling{};
};

/// A parameter that says when it ends.
class sentinel {
public:
    explicit sentinel(std::atomic<bool>& gone) noexcept : gone_(&gone) {}

    sentinel(sentinel&& other) noexcept : gone_(std::exchange(other.gone_, nullptr)) {}

    sentinel& operator=(sentinel&&) = delete;

    ~sentinel() {
        if (gone_ != nullptr) {
            *gone_ = true;
        }
    }

private:
    std::atomic<bool>* gone_;
};

template <class T>
T made(int v) {
    if constexpr (std::is_same_v<T, std::string>) {
        return std::string(40, static_cast<char>('a' + v));
    } else {
        return T(v);
    }
}

enum class ending { value, error, stopped };

/// Waits `yields` times and then ends, holding its parameter until its frame goes.
template <class T>
task<T> holds(sentinel, ending how, int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    if (how == ending::stopped) {
        co_await weft::sleep_for(24h);
    }
    if (how == ending::error) {
        throw std::system_error(make_error_code(std::errc::io_error));
    }
    if constexpr (!std::is_void_v<T>) {
        co_return made<T>(1);
    }
}

task<> spins_until(std::atomic<bool>& gone) {
    while (!gone) {
        co_await weft::yield();
    }
}

/// Cannot be stopped; ends when the parameter of its sibling is gone.
template <class T>
task<T> waits_for(std::atomic<bool>& gone, int& seen) {
    co_await weft::shielded(1h, spins_until(gone));
    ++seen;
    if constexpr (!std::is_void_v<T>) {
        co_return made<T>(2);
    }
}

/// A child that ends as told, and a sibling that outlasts its parameters; in every form of join.
template <class T>
task<> outlasts_in_tuple(ending how, int yields, int& seen) {
    std::atomic<bool> gone = false;
    (void)co_await when_all(holds<T>(sentinel(gone), how, yields), waits_for<T>(gone, seen));
}

template <class T>
task<> outlasts_in_vector(ending how, int yields, int& seen) {
    std::atomic<bool> gone = false;
    std::vector<task<T>> children;
    children.push_back(waits_for<T>(gone, seen));
    children.push_back(holds<T>(sentinel(gone), how, yields));
    (void)co_await when_all(std::move(children));
}

template <class T>
task<> outlasts_in_span(ending how, int yields, int& seen) {
    std::atomic<bool> gone = false;
    std::array<task<T>, 2> children = {waits_for<T>(gone, seen),
                                       holds<T>(sentinel(gone), how, yields)};
    std::vector<T> results;
    results.push_back(made<T>(0));
    results.push_back(made<T>(0));
    co_await when_all(std::span(children), std::span(results));
}

/// Ends its join as `how` says; a stop comes from a sibling of the join's parent.
task<int> ends(task<> join, ending how) {
    if (how != ending::stopped) {
        auto const ended = co_await (std::move(join) | weft::as_result);
        bool const as_told = how == ending::error ? !ended && ended.error() == std::errc::io_error
                                                  : ended.has_value();
        co_return as_told ? 1 : 0;
    }
    auto const ended = co_await (weft::timeout(1ms, std::move(join)) | weft::as_result);
    co_return !ended && ended.error() == std::errc::timed_out ? 1 : 0;
}

/// Its moves throw, if it was told to.
struct delicate {
    explicit delicate(int v) : value(v) {}

    delicate(delicate&& other) : value(other.value) {
        if (value < 0) {
            throw std::runtime_error("delicate");
        }
    }

    delicate& operator=(delicate&& other) {
        value = other.value;
        if (value < 0) {
            throw std::runtime_error("delicate");
        }
        return *this;
    }

    int value;
};

task<delicate> makes_delicate(int v, int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    co_return v;
}

task<bool> is_positive(int v, int yields) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    co_return v > 0;
}

[[gnu::noinline]] std::atomic<int>*& canary() noexcept {
    static thread_local std::atomic<int>* of_this_thread = nullptr;
    return of_this_thread;
}

/// Joins, changes workers and joins again, at every node; counts what stands in the tree. Each node
/// leaves its mark on the thread that it is on and takes it away before it may move.
task<long> moves_and_joins(int depth, std::atomic<int>& clashes) {
    std::atomic<int> own = 0;
    canary() = &own;
    if (canary() != &own) {
        ++clashes;
    }
    canary() = nullptr;
    co_await weft::yield();
    if (depth == 0) {
        co_return 1;
    }
    auto [a, b] = co_await when_all(moves_and_joins(depth - 1, clashes), value(1));
    if (canary() != nullptr) {
        ++clashes;
    }
    co_await weft::yield();
    auto [c, d] =
        co_await when_all(after_yields(1, depth % 3), moves_and_joins(depth - 1, clashes));
    if (canary() != nullptr) {
        ++clashes;
    }
    co_return a + b + c + d;
}

/// Fails when it goes, if it is told to.
struct late_failure {
    bool fails;

    ~late_failure() noexcept(false) {
        if (fails) {
            throw std::runtime_error("late");
        }
    }
};

template <class T>
task<T> makes_and_fails(int v, int yields, bool fails) {
    for (int i = 0; i < yields; ++i) {
        co_await weft::yield();
    }
    late_failure const last{fails};
    co_return T(v);
}

template <class T>
task<int> joins_late_failure(int yields, bool fails) {
    try {
        auto [a, b] = co_await when_all(makes_and_fails<T>(1, 0, false),
                                        makes_and_fails<T>(2, yields, fails));
        co_return a.value + b.value;
    } catch (std::runtime_error const& error) {
        co_return error.what() == std::string("late") ? 7 : 0;
    }
}

task<int> sum_of(int n) {
    if (n == 0) {
        co_return 0;
    }
    auto [a, b] = co_await when_all(sum_of(n - 1), value(n));
    co_return a + b;
}

/// Runs a join of its own, below its owner's end.
struct joins_at_its_end {
    int& seen;

    ~joins_at_its_end() { seen = weft::sync_wait(sum_of(4)); }
};

task<int> ends_with_a_join(int v, int& seen) {
    joins_at_its_end const last{seen};
    co_return v;
}

task<int> joins_ends_with_joins(int& one, int& two) {
    auto [a, b] = co_await when_all(ends_with_a_join(1, one), ends_with_a_join(2, two));
    co_return a + b;
}

}  // namespace

TEST_SUITE("runtime/when_all_lifetime") {
    TEST_CASE_TEMPLATE("the parameters of an ended child are gone while its siblings run",
                       T,
                       int,
                       std::string,
                       tracked<9>,
                       tracked<1000>,
                       delicate) {
        for (unsigned workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            for (ending how : {ending::value, ending::error, ending::stopped}) {
                for (int yields : {0, 1, 3}) {
                    int seen = 0;
                    CHECK(pool.block_on(ends(outlasts_in_tuple<T>(how, yields, seen), how)) == 1);
                    CHECK(pool.block_on(ends(outlasts_in_vector<T>(how, yields, seen), how)) == 1);
                    CHECK(pool.block_on(ends(outlasts_in_span<T>(how, yields, seen), how)) == 1);
                    CHECK(seen == 3);
                }
            }
        }
        CHECK(tracked<9>::alive == 0);
        CHECK(tracked<1000>::alive == 0);
    }

    TEST_CASE("a value is gone when a local of its child throws after the co_return") {
        for (unsigned workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            for (int yields : {0, 1}) {
                CHECK(pool.block_on(joins_late_failure<tracked<10>>(yields, true)) == 7);
                CHECK(pool.block_on(joins_late_failure<tracked<11>>(yields, true)) == 7);
                CHECK(pool.block_on(joins_late_failure<tracked<10>>(yields, false)) == 3);
                CHECK(pool.block_on(joins_late_failure<tracked<11>>(yields, false)) == 3);
            }
        }
        CHECK(tracked<10>::alive == 0);
        CHECK(tracked<11>::alive == 0);
    }

    TEST_CASE("what a child's locals join at its end leaves the child's own end alone") {
        int one = 0;
        int two = 0;
        CHECK(weft::sync_wait(joins_ends_with_joins(one, two)) == 3);
        CHECK(one == 10);
        CHECK(two == 10);
    }

    TEST_CASE("a value whose move throws is an error of its child, waiting or not") {
        weft::thread_pool pool({.workers = 2});
        auto work = [](int yields) -> task<int> {
            auto [a, b] = co_await when_all(makes_delicate(1, 0), makes_delicate(-1, yields));
            co_return a.value + b.value;
        };
        auto row = [](int yields) -> task<int> {
            std::vector<task<delicate>> children;
            children.push_back(makes_delicate(-1, yields));
            children.push_back(makes_delicate(1, 0));
            auto const values = co_await when_all(std::move(children));
            co_return values.front().value;
        };
        for (int yields : {0, 2}) {
            CHECK_THROWS_WITH((void)pool.block_on(work(yields)), "delicate");
            CHECK_THROWS_WITH((void)pool.block_on(row(yields)), "delicate");
        }
    }

    TEST_CASE("a row of bools joins") {
        weft::thread_pool pool({.workers = 2});
        auto work = [](int yields) -> task<bool> {
            std::vector<task<bool>> children;
            children.push_back(is_positive(1, 0));
            children.push_back(is_positive(-1, yields));
            children.push_back(is_positive(2, 0));
            std::vector<bool> const values = co_await when_all(std::move(children));
            co_return values == std::vector<bool>{true, false, true};
        };
        CHECK(pool.block_on(work(0)));
        CHECK(pool.block_on(work(2)));
    }

    TEST_CASE("as a result a join gives its values, the first failure's code, or the stop") {
        weft::thread_pool pool({.workers = 2});
        auto values = []() -> task<bool> {
            auto const both = co_await (when_all(value(1), after_yields(2, 2)) | weft::as_result);
            std::vector<task<int>> row;
            row.push_back(value(3));
            auto const list = co_await (when_all(std::move(row)) | weft::as_result);
            std::array<task<>, 2> quiet = {nothing(), nothing()};
            auto const none = co_await (when_all(std::span(quiet)) | weft::as_result);
            co_return both&& std::get<0>(*both) == 1 && std::get<1>(*both) == 2 && list &&
                list->front() == 3 && none;
        };
        CHECK(pool.block_on(values()));
        auto failing = []() -> task<bool> {
            std::atomic<bool> gone = false;
            std::atomic<int> finished = 0;
            auto const both = co_await (
                when_all(sleeps_for_ever(finished), holds<int>(sentinel(gone), ending::error, 1)) |
                weft::as_result);
            std::vector<task<int>> row;
            row.push_back(holds<int>(sentinel(gone), ending::error, 0));
            auto const list = co_await (when_all(std::move(row)) | weft::as_result);
            co_return !both && both.error() == std::errc::io_error && !list &&
                list.error() == std::errc::io_error && finished == 0;
        };
        CHECK(pool.block_on(failing()));
        // Each in a task of its own: a stop is told once.
        auto stopped_pack = [](bool& on) -> task<> {
            std::atomic<int> finished = 0;
            auto const both =
                co_await (when_all(sleeps_for_ever(finished), value(1)) | weft::as_result);
            on = !both && both.error() == std::errc::operation_canceled;
        };
        auto stopped_row = [](bool& on) -> task<> {
            std::atomic<int> finished = 0;
            std::vector<task<int>> row;
            row.push_back(sleeps_for_ever(finished));
            auto const list = co_await (when_all(std::move(row)) | weft::as_result);
            on = !list && list.error() == std::errc::operation_canceled;
        };
        auto limited = [](task<> work) -> task<> {
            (void)co_await (weft::timeout(1ms, std::move(work)) | weft::as_result);
        };
        bool pack_went_on = false;
        pool.block_on(limited(stopped_pack(pack_went_on)));
        CHECK(pack_went_on);
        bool row_went_on = false;
        pool.block_on(limited(stopped_row(row_went_on)));
        CHECK(row_went_on);
    }

    TEST_CASE("coroutines that change workers between nested joins join once each") {
        for (unsigned workers : {1U, 2U, 4U}) {
            std::atomic<int> clashes = 0;
            weft::thread_pool pool({.workers = workers});
            // 2 f(n - 1) + 2, from f(0) = 1
            CHECK(pool.block_on(moves_and_joins(9, clashes)) == 3 * 512 - 2);
            CHECK(clashes == 0);
        }
    }
}
