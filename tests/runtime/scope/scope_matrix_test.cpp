#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/this_task.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using weft::join_handle;
using weft::nursery;
using weft::task;
using weft::test::counted;
using weft::test::object_count;

enum class ending { value, error, stopped };

constexpr ending endings[] = {ending::value, ending::error, ending::stopped};

task<> yields(int count) {
    for (int i = 0; i < count; ++i) {
        co_await weft::yield();
    }
}

task<> sleeps() {
    co_await weft::sleep_for(24h);
}

/// What happened, in the order in which it did.
struct script {
    int turn = 0;
    std::string ended;
    std::vector<join_handle<>> handles;
};

/// Ends as `how` says when it is its turn.
task<> actor(script& play, int position, ending how, object_count& count, counted) {
    counted const local(count);
    while (play.turn != position) {
        co_await weft::yield();
    }
    co_await weft::yield();  // where the failure of the one before stops it
    ++play.turn;
    if (how == ending::stopped) {
        play.handles[static_cast<std::size_t>(position)].request_stop();
        co_await weft::yield();
    }
    play.ended += static_cast<char>('0' + position);
    if (how == ending::error) {
        throw std::runtime_error(std::to_string(position));
    }
}

/// Every error below, in order, as "0 2 ", or "value".
std::string outcome_of(weft::thread_pool& pool, task<> work) {
    try {
        pool.block_on(std::move(work));
        return "value";
    } catch (weft::exception_group const& group) {
        std::string all;
        for (std::exception_ptr const& each : group.errors()) {
            try {
                std::rethrow_exception(each);
            } catch (std::exception const& e) {
                all += std::string(e.what()) + ' ';
            }
        }
        return all;
    } catch (std::exception const& e) {
        return std::string(e.what()) + ' ';
    }
}

/// Children whose turns come in the order of `order`; `how[position]` is how each ends. The body
/// spawns them in the order of their numbers and ends with a value, or fails when all have had
/// their turn.
task<> perform(script& play,
               std::vector<int> order,
               std::vector<ending> how,
               bool body_fails,
               object_count& count,
               nursery& n) {
    play.handles.resize(order.size());
    for (int const position : order) {
        auto const index = static_cast<std::size_t>(position);
        play.handles[index] = n.spawn(actor(play, position, how[index], count, counted(count)));
    }
    if (body_fails) {
        while (play.turn != static_cast<int>(order.size())) {
            co_await weft::yield();
        }
        co_await weft::yield();
        throw std::runtime_error("body");
    }
}

struct expected {
    std::string outcome;
    std::string ended;
};

/// What trio's rules say: the first error stops whoever has not ended yet.
expected fail_fast(std::vector<ending> const& how, bool body_fails) {
    expected all;
    for (std::size_t i = 0; i < how.size(); ++i) {
        if (how[i] != ending::stopped) {
            all.ended += static_cast<char>('0' + i);
        }
        if (how[i] == ending::error) {
            all.outcome = std::to_string(i) + ' ';
            return all;
        }
    }
    all.outcome = body_fails ? "body " : "value";
    return all;
}

expected supervised(std::vector<ending> const& how, bool body_fails) {
    expected all;
    all.outcome = body_fails ? "body " : "";
    for (std::size_t i = 0; i < how.size(); ++i) {
        if (how[i] != ending::stopped) {
            all.ended += static_cast<char>('0' + i);
        }
        if (how[i] == ending::error) {
            all.outcome += std::to_string(i) + ' ';
        }
    }
    if (all.outcome.empty()) {
        all.outcome = "value";
    }
    return all;
}

/// Calls `function(order, how)` for every order and every way to end of `count` children.
template <class Function>
void for_each_play(std::size_t count, Function function) {
    std::vector<int> order(count);
    std::iota(order.begin(), order.end(), 0);
    do {
        std::size_t ways = 1;
        for (std::size_t i = 0; i < count; ++i) {
            ways *= std::size(endings);
        }
        for (std::size_t way = 0; way < ways; ++way) {
            std::vector<ending> how;
            for (std::size_t i = 0, rest = way; i < count; ++i, rest /= std::size(endings)) {
                how.push_back(endings[rest % std::size(endings)]);
            }
            function(order, how);
        }
    } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace

TEST_SUITE("runtime/scope_matrix") {
    TEST_CASE("every order of values, errors and stops of up to three children ends as it must") {
        object_count count;
        weft::thread_pool pool({.workers = 1});
        for (std::size_t children = 0; children <= 3; ++children) {
            for_each_play(children, [&](auto const& order, auto const& how) {
                for (bool const body_fails : {false, true}) {
                    script play;
                    auto body = [&](nursery& n) -> task<> {
                        return perform(play, order, how, body_fails, count, n);
                    };
                    auto fast = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
                    expected const first = fail_fast(how, body_fails);
                    CHECK(outcome_of(pool, fast()) == first.outcome);
                    CHECK(play.ended == first.ended);
                    CHECK(count.alive == 0);

                    play = script();
                    auto slow = [&]() -> task<> {
                        co_await weft::supervisor_scope(std::ref(body));
                    };
                    expected const all = supervised(how, body_fails);
                    CHECK(outcome_of(pool, slow()) == all.outcome);
                    CHECK(play.ended == all.ended);
                    CHECK(count.alive == 0);
                }
            });
        }
    }

    TEST_CASE("errors that come after the first are kept, the body's before the children's") {
        weft::thread_pool pool({.workers = 1});
        auto late = [](std::string text, int after) -> task<> {
            co_await weft::shielded(24h, yields(after));  // deaf to the stop
            throw std::runtime_error(text);
        };
        auto body = [&](nursery& n) -> task<> {
            n.spawn(late, std::string("2nd"), 20);
            n.spawn(late, std::string("1st"), 10);
            co_await weft::shielded(24h, yields(40));
            throw std::runtime_error("body");
        };
        auto work = [&]() -> task<> { co_await weft::scope(std::ref(body)); };
        CHECK(outcome_of(pool, work()) == "body 1st 2nd ");
    }

    TEST_CASE("groups nest as the scopes did") {
        weft::thread_pool pool({.workers = 1});
        auto fails = [](char const* text) -> task<> {
            co_await weft::yield();
            throw std::runtime_error(text);
        };
        auto inner = [&](nursery& n) -> task<> {
            n.spawn(fails, "a");
            n.spawn(weft::named("second"), fails, "b");
            co_await yields(20);
        };
        auto child = [&]() -> task<> { co_await weft::supervisor_scope(std::ref(inner)); };
        auto outer = [&](nursery& n) -> task<> {
            n.spawn(weft::named("session"), child);
            n.spawn(fails, "c");
            co_await yields(40);
        };
        auto work = [&]() -> task<> { co_await weft::supervisor_scope(std::ref(outer)); };
        CHECK_THROWS_WITH(pool.block_on(work()),
                          "2 errors\n"
                          "  - c\n"
                          "  - session: 2 errors\n"
                          "      - a\n"
                          "      - second: b");
    }

    TEST_CASE("a child that ignores the stop is waited for") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<bool> came_to_its_end = false;
        auto deaf = [&]() -> task<> {
            co_await weft::shielded(24h, yields(200));
            came_to_its_end = true;
        };
        auto body = [&](nursery& n) -> task<> {
            n.spawn(deaf);
            n.request_stop();
            co_await sleeps();
        };
        auto work = [&]() -> task<bool> {
            co_await weft::scope(std::ref(body));
            co_return came_to_its_end;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("the body's locals die first, then the children, then what the scope holds") {
        weft::thread_pool pool({.workers = 1});
        std::string order;

        struct mark {
            mark(std::string& text, char c) : out(&text), name(c) {}

            mark(mark&& other) noexcept
                : out(std::exchange(other.out, nullptr))
                , name(other.name) {}

            mark& operator=(mark&&) = delete;

            ~mark() {
                if (out != nullptr) {
                    *out += name;
                }
            }

            std::string* out;
            char name;
        };

        auto child = [](mark argument, std::string& out) -> task<> {
            mark const local(out, 'l');
            co_await sleeps();
            (void)argument;
        };
        auto work = [&]() -> task<> {
            mark const outer(order, 'o');
            auto body = [&, held = mark(order, 's')](nursery& n) -> task<> {
                mark const local(order, 'b');
                n.defer([&]() -> task<> {
                    order += 'd';
                    co_return;
                });
                n.spawn(child(mark(order, 'a'), order));
                co_await weft::yield();
                n.request_stop();
            };
            co_await weft::scope(std::move(body));
            order += '.';
        };
        pool.block_on(work());
        CHECK(order == "blads.o");
    }

    TEST_CASE("a scope in a task that is stopped already starts nothing, and unwinds") {
        weft::thread_pool pool({.workers = 1});
        std::string order;
        auto inner = [&](nursery& n) -> task<> {
            n.spawn([&]() -> task<> {
                order += 'c';
                co_await weft::yield();
                order += 'x';
            });
            order += 'b';
            co_await weft::yield();
            order += 'y';
        };
        auto outer = [&](nursery& n) -> task<> {
            n.request_stop();
            co_await weft::scope(std::ref(inner));
            order += 'z';
        };
        auto work = [&]() -> task<> { co_await weft::scope(std::ref(outer)); };
        pool.block_on(work());
        CHECK(order.empty());
    }

    TEST_CASE("success wins: a scope whose children all ended delivers, though a stop came") {
        weft::thread_pool pool({.workers = 1});
        bool delivered = false;
        auto outer = [&](nursery& n) -> task<> {
            auto inner = [&](nursery&) -> task<int> {
                n.request_stop();
                co_return 5;
            };
            int const v = co_await weft::scope(inner);
            delivered = v == 5;
            co_await weft::yield();
            delivered = false;
        };
        auto work = [&]() -> task<> { co_await weft::scope(std::ref(outer)); };
        pool.block_on(work());
        CHECK(delivered);
    }

    TEST_CASE("the result form gives values and codes, hides the stop, and rethrows the rest") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<bool> {
            auto good = [](nursery&) -> task<int> { co_return 3; };
            weft::result<int> const value = co_await (weft::scope(good) | weft::as_result);
            auto coded = [](nursery& n) -> task<int> {
                n.spawn([]() -> task<> {
                    throw std::system_error(std::make_error_code(std::errc::broken_pipe));
                    co_return;
                });
                co_await sleeps();
                co_return 0;
            };
            weft::result<int> const code = co_await (weft::scope(coded) | weft::as_result);
            auto own = [](nursery& n) -> task<int> {
                n.request_stop();
                co_await weft::yield();
                co_return 0;
            };
            weft::result<int> const cut = co_await (weft::scope(own) | weft::as_result);
            auto quiet = [](nursery& n) -> task<> {
                n.request_stop();
                co_await weft::yield();
            };
            weft::result<void> const over = co_await (weft::scope(quiet) | weft::as_result);
            auto uncoded = [](nursery&) -> task<> {
                throw std::runtime_error("no code");
                co_return;
            };
            bool thrown = false;
            try {
                (void)co_await weft::as_result(weft::supervisor_scope(uncoded));
            } catch (std::runtime_error const&) {
                thrown = true;
            }
            co_return value.value() == 3 &&
                code.error() == std::errc::broken_pipe&& cut.error() ==
                    std::errc::operation_canceled&& over.has_value() &&
                thrown;
        };
        CHECK(pool.block_on(work()));
    }

    TEST_CASE("the result form resumes a task that is stopped itself, with operation_canceled") {
        weft::thread_pool pool({.workers = 1});
        std::error_code seen;
        auto outer = [&](nursery& n) -> task<> {
            auto inner = [&](nursery& m) -> task<> {
                m.spawn(sleeps());
                n.request_stop();
                co_return;
            };
            weft::result<void> const cut = co_await (weft::scope(inner) | weft::as_result);
            seen = cut.error();
        };
        auto work = [&]() -> task<> { co_await weft::scope(std::ref(outer)); };
        pool.block_on(work());
        CHECK(seen == std::errc::operation_canceled);
    }

    TEST_CASE("children learn why they are stopped") {
        weft::stop_kind sibling{};
        weft::stop_kind shutdown{};
        std::string text;
        std::atomic<bool> started = false;
        auto listens = [](weft::stop_kind& kind, nursery& n) -> task<> {
            weft::stop_callback const note(n.token(), [&] { kind = n.token().reason().kind(); });
            co_await sleeps();
        };
        auto failing = [&](nursery& n) -> task<> {
            n.spawn(listens, std::ref(sibling), std::ref(n));
            co_await weft::yield();
            throw std::runtime_error("first");
        };
        auto asked = [&](nursery& n) -> task<> {
            n.request_stop("drained");
            text = n.token().reason().text();
            co_return;
        };
        auto last = [&](nursery& n) -> task<> {
            n.spawn(listens, std::ref(shutdown), std::ref(n));
            co_await weft::yield();
            started = true;
            co_await sleeps();
        };
        {
            weft::thread_pool pool({.workers = 1});
            auto work = [&]() -> task<> { co_await weft::scope(std::ref(failing)); };
            CHECK_THROWS_WITH(pool.block_on(work()), "first");
            auto ask = [&]() -> task<> { co_await weft::scope(std::ref(asked)); };
            pool.block_on(ask());
            auto wait = [&]() -> task<> { co_await weft::scope(std::ref(last)); };
            pool.spawn(weft::call(wait));
            while (!started) {
                std::this_thread::yield();
            }
        }
        CHECK(sibling == weft::stop_kind::sibling_failed);
        CHECK(text == "drained");
        CHECK(shutdown == weft::stop_kind::shutdown);
    }

    TEST_CASE("a stop that races the children's ends is neither lost nor seen twice") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        object_count count;
        auto child = [&](int length, counted) -> task<int> {
            counted const local(count);
            co_await yields(length);
            co_return 1;
        };
        auto round = [&](int stop_after, int length) -> task<> {
            std::atomic<int> ended = 0;
            bool went_on = false;
            auto outer = [&](nursery& n) -> task<> {
                auto inner = [&](nursery& m) -> task<> {
                    for (int i = 0; i < 3; ++i) {
                        m.spawn([&, length, i]() -> task<> {
                            ended += co_await child(length + i, counted(count));
                        });
                    }
                    co_return;
                };
                n.spawn([&n, stop_after]() -> task<> {
                    co_await yields(stop_after);
                    n.request_stop();
                });
                co_await weft::scope(inner);
                went_on = true;
            };
            co_await weft::scope(outer);
            CHECK(went_on == (ended == 3));
        };
        for (int i = 0; i < 10'000; ++i) {
            pool.block_on(
                round(static_cast<int>(random.below(6)), static_cast<int>(random.below(4))));
        }
        CHECK(count.alive == 0);
    }

    TEST_CASE("failures that race one another are all kept") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        weft::thread_pool pool({.workers = 2});
        auto fails = [](int after) -> task<> {
            co_await yields(after);
            throw std::runtime_error("child");
        };
        for (int i = 0; i < 2'000; ++i) {
            std::size_t const number = random.below(5);
            auto body = [&](nursery& n) -> task<> {
                for (std::size_t k = 0; k < number; ++k) {
                    n.spawn(fails, static_cast<int>(random.below(3)));
                }
                co_return;
            };
            auto work = [&]() -> task<> { co_await weft::supervisor_scope(std::ref(body)); };
            std::string all;
            for (std::size_t k = 0; k < number; ++k) {
                all += "child ";
            }
            CHECK(outcome_of(pool, work()) == (number == 0 ? "value" : all));
        }
    }
}
