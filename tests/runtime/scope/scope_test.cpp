#include <weft/runtime/scope/scope.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using weft::nursery;
using weft::task;

task<> add(std::atomic<int>& sum, int amount) {
    co_await weft::yield();
    sum += amount;
}

task<> sleeps(std::atomic<int>& started, std::atomic<int>& finished) {
    ++started;
    co_await weft::sleep_for(24h);
    ++finished;
}

task<> throws_after_a_yield() {
    co_await weft::yield();
    throw std::runtime_error("child failed");
}

}  // namespace

TEST_SUITE("runtime/scope") {
    TEST_CASE("a scope ends after its last child and yields the body's value") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> sum = 0;
        auto work = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<int> {
                for (int i = 1; i <= 100; ++i) {
                    n.spawn(add(sum, i));
                }
                co_return 7;
            };
            int const value = co_await weft::scope(body);
            co_return value * 10'000 + sum;
        };
        CHECK(pool.block_on(work()) == 75'050);
    }

    TEST_CASE("a scope without children ends with its body") {
        weft::thread_pool pool({.workers = 1});
        auto work = []() -> task<int> {
            int const value = co_await weft::scope([](nursery&) -> task<int> { co_return 3; });
            co_return value;
        };
        CHECK(pool.block_on(work()) == 3);
    }

    TEST_CASE("a child may spawn siblings") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> sum = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                auto spawner = [](nursery& siblings, std::atomic<int>& total) -> task<> {
                    for (int i = 0; i < 10; ++i) {
                        siblings.spawn(add(total, 1));
                    }
                    co_return;
                };
                n.spawn(spawner(n, sum));
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(sum == 10);
    }

    TEST_CASE("a callable and its arguments live as long as the child") {
        weft::thread_pool pool({.workers = 2});
        std::string seen;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                std::string text = "captured, and long enough to live on the heap";
                auto child = [text](std::string& out, int times) -> task<> {
                    co_await weft::yield();
                    for (int i = 0; i < times; ++i) {
                        out += text;
                    }
                };
                n.spawn(std::move(child), std::ref(seen), 2);
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        CHECK(seen.size() ==
              2 * std::string("captured, and long enough to live on the heap").size());
    }

    TEST_CASE("a failing child stops its siblings and its error comes out of the scope") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(sleeps(started, finished));
                n.spawn(throws_after_a_yield());
                n.spawn(sleeps(started, finished));
                co_await weft::sleep_for(24h);
            };
            co_await weft::scope(body);
        };
        for (int round = 0; round < 50; ++round) {
            CHECK_THROWS_WITH(pool.block_on(work()), "child failed");
        }
        CHECK(finished == 0);
    }

    TEST_CASE("a failing body stops its children") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(sleeps(started, finished));
                co_await weft::yield();
                throw std::runtime_error("body failed");
            };
            co_await weft::scope(body);
        };
        CHECK_THROWS_WITH(pool.block_on(work()), "body failed");
        CHECK(finished == 0);
    }

    TEST_CASE("a body that throws before it gives its task still joins what it spawned") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {  // no coroutine
                n.spawn(sleeps(started, finished));
                n.spawn(sleeps(started, finished));
                throw std::runtime_error("no body");
            };
            co_await weft::scope(body);
        };
        for (int round = 0; round < 50; ++round) {
            CHECK_THROWS_WITH(pool.block_on(work()), "no body");
        }
        CHECK(finished == 0);
    }

    TEST_CASE("a stop that cuts children short unwinds the task around their scope") {
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        std::atomic<bool> went_on = false;
        {
            weft::thread_pool pool({.workers = 2});
            auto work = [&]() -> task<> {
                auto body = [&](nursery& n) -> task<> {
                    n.spawn(sleeps(started, finished));
                    co_return;
                };
                co_await weft::scope(body);
                went_on = true;
            };
            pool.spawn(work());
            while (started == 0) {
                std::this_thread::yield();
            }
        }
        CHECK(!went_on);
    }

    TEST_CASE("a child may ask for the number of children while the body ends") {
        weft::thread_pool pool({.workers = 2});
        auto work = [&]() -> task<std::size_t> {
            std::size_t seen = 0;
            auto body = [&](nursery& n) -> task<> {
                auto child = [&seen, &n]() -> task<> {
                    for (int i = 0; i < 100; ++i) {
                        seen = n.children();
                    }
                    co_return;
                };
                n.spawn(child);
                co_return;
            };
            co_await weft::scope(body);
            co_return seen;
        };
        for (int round = 0; round < 100; ++round) {
            CHECK(pool.block_on(work()) == 1);
        }
    }

    TEST_CASE("a scope that spawns nothing needs no runtime") {
        auto work = []() -> task<int> {
            auto body = [](nursery& n) -> task<int> { co_return n.children() == 0 ? 4 : 0; };
            int const seen = co_await weft::scope(body);
            co_return seen;
        };
        CHECK(weft::sync_wait(work()) == 4);
    }

    TEST_CASE("a scope that stops itself ends without an error") {
        weft::thread_pool pool({.workers = 2});
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        auto work = [&]() -> task<int> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(sleeps(started, finished));
                n.request_stop();
                co_await weft::sleep_for(24h);
            };
            co_await weft::scope(body);
            co_return 5;
        };
        CHECK(pool.block_on(work()) == 5);
        CHECK(finished == 0);
    }

    TEST_CASE("stopping the runtime unwinds nested scopes from the inside out") {
        std::atomic<int> started = 0;
        std::atomic<int> finished = 0;
        std::string order;
        {
            weft::thread_pool pool({.workers = 1});

            struct mark {
                mark(std::string& text, char c) : out(text), name(c) {}

                ~mark() { out += name; }

                std::string& out;
                char name;
            };

            auto work = [&]() -> task<> {
                mark const outer(order, 'o');
                auto body = [&](nursery& n) -> task<> {
                    mark const middle(order, 'm');
                    n.spawn(sleeps(started, finished));
                    auto inner = [&](nursery&) -> task<> {
                        mark const innermost(order, 'i');
                        co_await weft::sleep_for(24h);
                    };
                    co_await weft::scope(inner);
                };
                co_await weft::scope(body);
            };
            pool.spawn(work());
            while (started == 0) {
                std::this_thread::yield();
            }
        }
        CHECK(order == "imo");
        CHECK(finished == 0);
    }
}
