// What becomes a task wherever one is taken: awaitables of every kind, callables with arguments,
// members, tasks of references and of const values.

#include <weft/runtime/task/call.hpp>

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/ranges/in_batches.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/ranges/map_reduce.hpp>
#include <weft/runtime/ranges/sequence.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using std::chrono::round;
using std::chrono::seconds;
using weft::nursery;
using weft::task;

struct counter {
    task<> add() {
        ++value;
        co_return;
    }

    task<int> add_and_give(int much) {
        value += much;
        co_return value;
    }

    task<int> give() const { co_return value; }

    int value = 0;
};

struct sum {
    [[nodiscard]] sum plus(sum other) const { return {value + other.value}; }

    int value;
};

template <class... Number>
std::vector<int> ints(Number... numbers) {
    return {numbers...};
}

task<int&> reference(int& target) {
    co_return target;
}

task<std::string const> constant() {
    co_return "x";
}

task<std::unique_ptr<int> const> constant_owner() {
    co_return std::make_unique<int>(5);
}

task<int> value_of(std::unique_ptr<int> p) {
    co_return *p;
}

task<> append(std::string& to, std::string const& what) {
    to += what;
    co_return;
}

/// Made of a number by conversion; knows how many of its kind there are.
class converted {
public:
    converted(int) noexcept { ++count; }

    converted(std::span<int>) noexcept { ++count; }

    converted(converted const&) = delete;

    ~converted() { --count; }

    static inline std::atomic<int> count{0};
};

task<bool> lives(converted const&) {
    co_await weft::yield();
    co_return converted::count > 0;
}

struct place {
    task<bool> lives_here(converted const& what) const {
        auto inner = lives(what);
        co_return co_await std::move(inner);
    }
};

/// Something to await that no header of the library knows; `Movable` or not.
template <bool Movable>
class foreign {
public:
    explicit foreign(int value) noexcept : value_(value) {}

    foreign(foreign&&) noexcept
        requires Movable
    = default;

    [[nodiscard]] bool await_ready() const noexcept { return true; }

    void await_suspend(std::coroutine_handle<>) const noexcept {}

    [[nodiscard]] int await_resume() const noexcept { return value_; }

private:
    int value_;
};

/// Runs `body`, a callable that gives a task, in virtual time. How long it took.
template <class Body>
seconds duration_of(Body body) {
    weft::test::runtime rt;
    auto const start = rt.now();
    rt.block_on(std::move(body));
    return round<seconds>(rt.now() - start);
}

}  // namespace

TEST_SUITE("runtime/call") {
    TEST_CASE("a member function is called on a pointer, a reference and a copy of its object") {
        counter c;
        CHECK(weft::sync_wait(weft::call(&counter::add_and_give, &c, 1)) == 1);
        CHECK(weft::sync_wait(weft::call(&counter::add_and_give, std::ref(c), 1)) == 2);
        CHECK(weft::sync_wait(weft::call(&counter::add_and_give, c, 1)) == 3);
        CHECK(weft::sync_wait(weft::call(&counter::add_and_give, std::make_unique<counter>(), 7)) ==
              7);
        CHECK(c.value == 2);
    }

    TEST_CASE("a member function is spawned on its object in every way to spawn") {
        counter c;
        weft::test::runtime rt;
        rt.block_on([&]() -> task<> {
            co_await weft::scope([&](nursery& n) -> task<> {
                n.spawn(&counter::add, &c);
                n.spawn_without_handle(&counter::add, &c);
                n.spawn(weft::named("counter"), &counter::add, &c);
                co_await n.spawn_when_free(&counter::add, &c);
                n.remote().spawn(&counter::add, &c);
            });
            co_await weft::spawn(&counter::add, &c);
        });
        rt.block_on(rt.spawn(&counter::add, &c));
        rt.block_on(&counter::add, &c);
        weft::sync_wait(&counter::add, &c);
        CHECK(c.value == 9);
    }

    TEST_CASE("a member function makes the tasks of a range") {
        std::vector<counter> counters(3);
        weft::test::runtime rt;
        rt.block_on([&]() -> task<> {
            co_await weft::for_each(counters, &counter::add, {.limit = 2});
            CHECK(co_await weft::map(counters, &counter::give, {.limit = 2}) == ints(1, 1, 1));
            CHECK((co_await weft::map_unordered(counters, &counter::give, {.limit = 2})).size() ==
                  3);
            CHECK(co_await weft::sequence(counters, &counter::give) == ints(1, 1, 1));
            auto const get = [](counter& c) -> task<sum> { co_return sum{c.value}; };
            sum const all =
                co_await weft::map_reduce(counters, get, sum{0}, &sum::plus, {.limit = 2});
            CHECK(all.value == 3);
        });
    }

    TEST_CASE("a member makes the next value of a result") {
        weft::result<counter> const kept = counter{3};
        CHECK(weft::result<counter>(kept).transform(&counter::value).value() == 3);
        weft::result<std::vector<int>> list = std::vector{1, 2};
        CHECK(std::move(list).transform(&std::vector<int>::size).value() == 2);
    }

    TEST_CASE("an argument that can only be moved is moved into what is spawned") {
        weft::test::runtime rt;
        auto const one = [] { return std::make_unique<int>(1); };
        int total = 0;
        rt.block_on([&]() -> task<> {
            total = co_await weft::scope([&](nursery& n) -> task<int> {
                auto a = n.spawn(value_of, one());
                auto b = n.spawn(weft::named("b"), value_of, one());
                auto c = co_await n.spawn_when_free(value_of, one());
                auto d = n.remote().spawn(value_of, one());
                n.spawn_without_handle([](std::unique_ptr<int>) -> task<> { co_return; }, one());
                co_return co_await a + co_await b + co_await c + co_await d;
            });
            auto e = weft::spawn(value_of, one());
            total += co_await e;
        });
        total += rt.block_on(rt.spawn(value_of, one()));
        total += rt.block_on(value_of, one());
        total += weft::sync_wait(value_of, one());
        total += weft::sync_wait(weft::call(value_of, one()));
        CHECK(total == 9);
    }

    TEST_CASE("a callable that is spawned is kept, with what it captures, until its task ends") {
        weft::test::runtime rt;
        auto const alive = std::make_shared<int>(1);
        auto const sleeps = [alive]() -> task<int> {
            co_await weft::sleep_for(1s);
            co_return *alive;
        };
        int total = 0;
        rt.block_on([&]() -> task<> {
            auto handle = weft::spawn(sleeps);
            total += co_await handle;
        });
        auto handle = rt.spawn(sleeps);
        total += rt.block_on(handle);
        total += rt.block_on(sleeps);
        CHECK(total == 3);
    }

    TEST_CASE("a callable that takes its argument by lvalue reference gets the copy that is kept") {
        auto const grow = [](std::string& text) -> task<std::string> {
            text += "b";
            co_return text;
        };
        std::string text = "a";
        CHECK(weft::sync_wait(grow, text) == "ab");
        CHECK(weft::sync_wait(weft::call(grow, text)) == "ab");
        CHECK(text == "a");
        weft::sync_wait(append, std::ref(text), "c");
        CHECK(text == "ac");
    }

    TEST_CASE("what an argument is converted to lives as long as the task that refers to it") {
        weft::test::runtime rt;
        CHECK(rt.block_on(lives, 1));
        CHECK(rt.block_on(&place::lives_here, place(), 1));
        CHECK(rt.block_on(rt.spawn(lives, 1)));
        rt.block_on([]() -> task<> {
            std::vector<int> numbers{1};
            CHECK((co_await weft::map(numbers, lives, {.limit = 1}))[0]);
            CHECK((co_await weft::sequence(numbers, lives))[0]);
            CHECK((co_await weft::in_batches(numbers, lives, {.size = 1}))[0]);
        });
        CHECK(converted::count == 0);
    }

    TEST_CASE("operations are awaited together") {
        CHECK(duration_of([]() -> task<> {
                  co_await weft::when_all(weft::sleep_for(1s), weft::sleep_for(2s));
              }) == 2s);
        CHECK(duration_of([]() -> task<> {
                  auto const first =
                      co_await weft::when_any(weft::sleep_for(2s), weft::sleep_for(1s));
                  CHECK(first.index() == 1);
              }) == 1s);
        CHECK(duration_of([]() -> task<> {
                  co_await weft::race(weft::sleep_for(2s), weft::sleep_for(1s));
              }) == 1s);
        CHECK(duration_of([]() -> task<> {
                  co_await weft::first_success(weft::sleep_for(2s), weft::sleep_for(1s));
              }) == 1s);
        CHECK(duration_of([]() -> task<> {
                  auto const ended =
                      co_await weft::all_settled(weft::sleep_for(2s), weft::sleep_for(1s));
                  CHECK(std::get<0>(ended).has_value());
              }) == 2s);
        CHECK(duration_of([]() -> task<> {
                  co_await weft::sequence(weft::sleep_for(2s), weft::sleep_for(1s));
              }) == 3s);
    }

    TEST_CASE("tasks, operations, callables and foreign awaitables stand in one list") {
        weft::test::runtime rt;
        int x = 1;
        auto const five = [] { return foreign<false>(5); };
        rt.block_on([&]() -> task<> {
            foreign<false> named(4);
            auto const all = co_await weft::when_all(reference(x),
                                                     weft::sleep_for(1s),
                                                     foreign<true>(2),
                                                     foreign<false>(3),
                                                     named,
                                                     five,
                                                     constant());
            auto const& [a, b, c, d, e, f, g] = all;
            CHECK(&a == &x);
            CHECK(b == weft::unit());
            CHECK(c + d + e + f == 14);
            CHECK(g == "x");
        });
    }

    TEST_CASE("join handles are awaited together, one by one and as a vector") {
        weft::test::runtime rt;
        rt.block_on([]() -> task<> {
            co_await weft::scope([](nursery& n) -> task<> {
                auto one = n.spawn(value_of, std::make_unique<int>(1));
                auto two = n.spawn(value_of, std::make_unique<int>(2));
                auto const [first, second] = co_await weft::when_all(one, two);
                CHECK(first + second == 3);
                CHECK((co_await weft::race(one, two)) >= 1);
                CHECK((co_await weft::when_any(one, two)).index() <= 1);
                std::vector<weft::join_handle<int>> handles;
                handles.push_back(std::move(one));
                handles.push_back(std::move(two));
                std::vector<int*> const places = co_await weft::when_all(handles);
                CHECK(*places[0] + *places[1] == 3);
                auto const settled = co_await weft::all_settled(handles);
                CHECK(*settled[0] + *settled[1] == 3);
                std::vector<int> const values = co_await weft::when_all(std::move(handles));
                CHECK(values == ints(1, 2));
            });
        });
    }

    TEST_CASE("a limit in time is put on an operation, a handle and a callable") {
        CHECK(duration_of([]() -> task<> {
                  auto const late =
                      co_await (weft::timeout(1s, weft::sleep_for(2s)) | weft::as_result);
                  CHECK(late.error() == std::errc::timed_out);
                  auto const sleeps = [] { return weft::sleep_for(2s); };
                  auto const again = co_await (weft::timeout(1s, sleeps) | weft::as_result);
                  CHECK(again.error() == std::errc::timed_out);
                  CHECK(co_await weft::timeout(1s, foreign<false>(4)) == 4);
                  auto handle = weft::spawn(value_of, std::make_unique<int>(6));
                  CHECK(co_await weft::timeout(1s, handle) == 6);
                  CHECK(co_await weft::timeout(1s, std::move(handle)) == 6);
              }) == 2s);
        CHECK(duration_of([]() -> task<> {
                  auto const past = weft::clock::time_point::min();
                  auto const late =
                      co_await (weft::with_deadline(past, weft::sleep_for(2s)) | weft::as_result);
                  CHECK(late.error() == std::errc::timed_out);
              }) == 0s);
    }

    TEST_CASE("operations and callables are shielded, stopped by a token and cleaned up after") {
        bool cleaned = false;
        CHECK(duration_of([&]() -> task<> {
                  co_await weft::shielded(1s, weft::sleep_for(1s));
                  weft::stop_source source;
                  source.request_stop(weft::stop_reason(weft::stop_kind::requested));
                  auto const stopped = co_await (
                      weft::with_stop_token(source.token(), weft::sleep_for(5s)) | weft::as_result);
                  CHECK(stopped.error() == std::errc::operation_canceled);
                  co_await weft::until_soft_stop(weft::sleep_for(1s));
                  auto const clean = [&cleaned]() -> task<> {
                      cleaned = true;
                      co_return;
                  };
                  co_await weft::finally(weft::sleep_for(1s), clean);
                  co_await weft::finally(clean, weft::sleep_for(1s));
              }) == 4s);
        CHECK(cleaned);
    }

    TEST_CASE("a foreign awaitable is awaited by as_result, block_on and sync_wait") {
        weft::test::runtime rt;
        rt.block_on([]() -> task<> {
            auto const known = co_await (foreign<false>(3) | weft::as_result);
            CHECK(known.value() == 3);
        });
        CHECK(rt.block_on(foreign<false>(4)) == 4);
        CHECK(weft::sync_wait(foreign<false>(5)) == 5);
    }

    TEST_CASE("tasks of references go through every combinator") {
        weft::test::runtime rt;
        int x = 1;
        auto const list = [&x] {
            std::vector<task<int&>> tasks;
            tasks.push_back(reference(x));
            tasks.push_back(reference(x));
            return tasks;
        };
        rt.block_on([&]() -> task<> {
            std::vector<int*> const expected{&x, &x};
            auto const [a, b] = co_await weft::when_all(reference(x), reference(x));
            CHECK((&a == &x && &b == &x));
            CHECK(co_await weft::when_all(list()) == expected);
            CHECK(&co_await weft::race(reference(x), reference(x)) == &x);
            CHECK(&co_await weft::race(list()) == &x);
            auto const first = co_await weft::when_any(reference(x), reference(x));
            CHECK(std::get<0>(first) == &x);
            CHECK(&(co_await weft::when_any(list())).value == &x);
            CHECK(&co_await weft::first_success(reference(x), reference(x)) == &x);
            CHECK(&co_await weft::first_success(list()) == &x);
            auto const mixed = co_await weft::race(reference(x), constant());
            CHECK(std::get<int*>(mixed) == &x);
            CHECK(&*std::get<0>(co_await weft::all_settled(reference(x))) == &x);
            CHECK(&*(co_await weft::all_settled(list()))[1] == &x);
            CHECK(&std::get<0>(co_await weft::sequence(reference(x))) == &x);
            CHECK(co_await weft::sequence(list()) == expected);
            CHECK(co_await weft::in_batches(list(), {.size = 1}) == expected);
            CHECK(&*co_await (reference(x) | weft::as_result) == &x);
            CHECK(&*co_await (weft::timeout(1s, reference(x)) | weft::as_result) == &x);
            CHECK(&co_await weft::shielded(1s, reference(x)) == &x);
            CHECK(&co_await weft::finally(reference(x), [] { return weft::yield(); }) == &x);
        });
        CHECK(&rt.block_on(reference(x)) == &x);
        CHECK(&rt.block_on(reference, std::ref(x)) == &x);
        CHECK(&rt.block_on(rt.spawn(reference(x))) == &x);
    }

    TEST_CASE("functions that give references make the tasks of a range") {
        weft::test::runtime rt;
        std::vector<int> numbers{1, 2};
        rt.block_on([&]() -> task<> {
            std::vector<int*> const expected{&numbers[0], &numbers[1]};
            CHECK(co_await weft::map(numbers, reference, {.limit = 2}) == expected);
            CHECK((co_await weft::map_unordered(numbers, reference, {.limit = 2})).size() == 2);
            CHECK(co_await weft::sequence(numbers, reference) == expected);
            auto const first = [](std::span<int> batch) { return reference(batch[0]); };
            CHECK(co_await weft::in_batches(numbers, first, {.size = 1}) == expected);
            int const total =
                co_await weft::map_reduce(numbers, reference, 0, std::plus<>(), {.limit = 2});
            CHECK(total == 3);
        });
    }

    TEST_CASE("tasks of references and const values are told one by one as they end") {
        weft::test::runtime rt;
        int x = 1;
        rt.block_on([&]() -> task<> {
            std::vector<task<int&>> references;
            references.push_back(reference(x));
            auto const is_x = [&x](weft::completions<int&>& results) -> task<bool> {
                auto const ended = co_await results.next();
                co_return &ended->value() == &x;
            };
            CHECK(co_await weft::as_completed(std::move(references), is_x));
            std::vector<task<std::string const>> constants;
            constants.push_back(constant());
            auto const take = [](weft::completions<std::string>& results) -> task<std::string> {
                co_return (co_await results.next())->value();
            };
            CHECK(co_await weft::as_completed(std::move(constants), take) == "x");
            using either = std::variant<int*, std::string>;
            auto const count = [](weft::completions<either>& results) -> task<int> {
                int ended = 0;
                while (auto next = co_await results.next()) {
                    ended += next->has_value() ? 1 : 0;
                }
                co_return ended;
            };
            std::tuple both(reference(x), constant());
            CHECK(co_await weft::as_completed(std::move(both), count) == 2);
        });
    }

    TEST_CASE("tasks of const values go through every combinator, and their values are moved") {
        weft::test::runtime rt;
        auto const list = [] {
            std::vector<task<std::unique_ptr<int> const>> tasks;
            tasks.push_back(constant_owner());
            return tasks;
        };
        auto const each = [](int) { return constant_owner(); };
        rt.block_on([&]() -> task<> {
            CHECK(*co_await constant_owner() == 5);
            CHECK(*std::get<0>(co_await weft::when_all(constant_owner())) == 5);
            CHECK(*(co_await weft::when_all(list()))[0] == 5);
            CHECK(*co_await weft::race(constant_owner(), constant_owner()) == 5);
            CHECK(*co_await weft::race(list()) == 5);
            CHECK((co_await weft::when_any(constant_owner(), constant())).index() == 0);
            CHECK(*(co_await weft::when_any(list())).value == 5);
            CHECK(*co_await weft::first_success(constant_owner(), constant_owner()) == 5);
            CHECK(*co_await weft::first_success(list()) == 5);
            CHECK(**std::get<0>(co_await weft::all_settled(constant_owner())) == 5);
            CHECK(**(co_await weft::all_settled(list()))[0] == 5);
            CHECK(*std::get<0>(co_await weft::sequence(constant_owner())) == 5);
            CHECK(*(co_await weft::sequence(list()))[0] == 5);
            CHECK(*(co_await weft::in_batches(list(), {.size = 2}))[0] == 5);
            CHECK(**co_await (constant_owner() | weft::as_result) == 5);
            CHECK(*co_await weft::timeout(1s, constant_owner()) == 5);
            CHECK(*co_await weft::shielded(1s, constant_owner()) == 5);
            CHECK(*co_await weft::finally(constant_owner(), [] { return weft::yield(); }) == 5);
            std::vector const numbers{1, 2};
            CHECK(*(co_await weft::map(numbers, each, {.limit = 2}))[1] == 5);
            CHECK(*(co_await weft::sequence(numbers, each))[1] == 5);
            co_await weft::scope([](nursery& n) -> task<std::string const> {
                auto handle = n.spawn(constant());
                n.spawn(constant);
                CHECK(co_await handle == "x");
                co_return "y";
            });
        });
        CHECK(*rt.block_on(constant_owner()) == 5);
        CHECK(*rt.block_on(constant_owner) == 5);
        CHECK(rt.block_on(rt.spawn(constant())) == "x");
    }

    TEST_CASE("views are gone through like any other range") {
        weft::test::runtime rt;
        auto const same = [](int i) -> task<int> { co_return i; };
        auto const none = [](int) -> task<> { co_return; };
        namespace views = std::views;
        rt.block_on([&]() -> task<> {
            auto const first = views::iota(0) | views::take(3);
            CHECK(co_await weft::map(first, same, {.limit = 2}) == ints(0, 1, 2));
            CHECK(co_await weft::map(views::iota(0) | views::take(3), same, {.limit = 2}) ==
                  ints(0, 1, 2));
            std::vector numbers{1, 2, 3, 4};
            auto odd = numbers | views::filter([](int i) { return i % 2 != 0; });
            CHECK(co_await weft::map(odd, same, {.limit = 2}) == ints(1, 3));
            CHECK((co_await weft::map_unordered(odd, same, {.limit = 2})).size() == 2);
            auto twice = views::iota(1) | views::transform([](int i) { return 2 * i; }) |
                         views::take_while([](int i) { return i < 7; });
            CHECK(co_await weft::sequence(twice, same) == ints(2, 4, 6));
            CHECK(co_await weft::map(twice | views::reverse | views::drop(1), same, {.limit = 2}) ==
                  ints(4, 2));
            CHECK(co_await weft::map_reduce(twice, same, 0, std::plus<>(), {.limit = 2}) == 12);
            co_await weft::for_each(views::iota(0, 5), none, {.limit = 2});
            auto const sum_of = [](std::span<int> part) -> task<int> { co_return part[0]; };
            CHECK(co_await weft::in_batches(numbers | views::take(3), sum_of, {.size = 2}) ==
                  ints(1, 3));
        });
    }
}
