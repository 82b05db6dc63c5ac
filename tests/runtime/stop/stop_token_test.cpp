#include <weft/runtime/stop/stop_token.hpp>

#include <weft/runtime/values/error.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using weft::stop_callback;
using weft::stop_source;
using weft::stop_token;

}  // namespace

TEST_SUITE("runtime/core/stop_token") {
    TEST_CASE("a default token never stops") {
        stop_token const token;
        CHECK(!token.stop_possible());
        CHECK(!token.stop_requested());
        bool called = false;
        stop_callback const callback(token, [&] { called = true; });
        CHECK(!called);
    }

    TEST_CASE("a token throws when a stop was requested, and only then") {
        stop_token().throw_if_stopped();
        stop_source source;
        source.token().throw_if_stopped();
        source.request_stop();
        CHECK_THROWS_AS(source.token().throw_if_stopped(), weft::operation_cancelled);
    }

    TEST_CASE("who would hear of a stop is known, and no more once it has left") {
        stop_source source;
        CHECK_FALSE(source.token().state()->has_callbacks());
        {
            stop_callback const callback(source.token(), [] {});
            CHECK(source.token().state()->has_callbacks());
        }
        CHECK_FALSE(source.token().state()->has_callbacks());
    }

    TEST_CASE("only the first request is told that it was first") {
        stop_source source;
        CHECK(!source.stop_requested());
        CHECK(source.request_stop());
        CHECK(!source.request_stop());
        CHECK(source.token().stop_requested());
    }

    TEST_CASE("a callback runs once, on the requesting thread, and not after it is withdrawn") {
        stop_source source;
        int kept = 0;
        int withdrawn = 0;
        stop_callback const keeps(source.token(), [&] { ++kept; });
        {
            stop_callback const goes(source.token(), [&] { ++withdrawn; });
        }
        source.request_stop();
        source.request_stop();
        CHECK(kept == 1);
        CHECK(withdrawn == 0);
    }

    TEST_CASE("a callback registered after the request runs at once") {
        stop_source source;
        source.request_stop();
        bool called = false;
        stop_callback const callback(source.token(), [&] { called = true; });
        CHECK(called);
    }

    TEST_CASE("a callback may destroy itself") {
        stop_source source;

        struct self_destroying {
            std::unique_ptr<self_destroying>* owner;
            std::optional<stop_callback<std::reference_wrapper<self_destroying>>> callback;

            void operator()() const { owner->reset(); }
        };

        std::unique_ptr<self_destroying> object(new self_destroying{&object, std::nullopt});
        object->callback.emplace(source.token(), std::ref(*object));
        source.request_stop();
        CHECK(object == nullptr);
    }

    TEST_CASE("a callback may destroy another one, which then does not run") {
        stop_source source;
        int runs = 0;
        std::optional<stop_callback<std::reference_wrapper<std::function<void()>>>> first;
        std::optional<stop_callback<std::reference_wrapper<std::function<void()>>>> second;
        std::function<void()> kills_second = [&] {
            ++runs;
            second.reset();
        };
        std::function<void()> kills_first = [&] {
            ++runs;
            first.reset();
        };
        first.emplace(source.token(), std::ref(kills_second));
        second.emplace(source.token(), std::ref(kills_first));
        source.request_stop();
        CHECK(runs == 1);
    }

    TEST_CASE("a stop reaches nested sources, and not the ones above") {
        stop_source root;
        stop_source middle(root.token());
        stop_source leaf(middle.token());
        int called = 0;
        stop_callback const callback(leaf.token(), [&] { ++called; });
        middle.request_stop();
        CHECK(called == 1);
        CHECK(leaf.stop_requested());
        CHECK(!root.stop_requested());
    }

    TEST_CASE("a source made under a stopped one is stopped") {
        stop_source root;
        root.request_stop();
        stop_source middle(root.token());
        stop_source leaf(middle.token());
        CHECK(leaf.stop_requested());
    }

    TEST_CASE("a source that nobody asked sees a stop of its ancestors when asked") {
        stop_source root;
        stop_source middle(root.token());
        stop_source leaf(middle.token());
        root.request_stop();
        CHECK(leaf.stop_requested());
        CHECK(middle.stop_requested());
    }

    TEST_CASE("a chain of a hundred thousand sources links without recursion") {
        std::vector<std::unique_ptr<stop_source>> chain;
        chain.push_back(std::make_unique<stop_source>());
        for (int i = 0; i < 100'000; ++i) {
            chain.push_back(std::make_unique<stop_source>(chain.back()->token()));
        }
        CHECK(!chain.back()->stop_requested());
        while (!chain.empty()) {
            chain.pop_back();
        }
    }

    TEST_CASE("a stop goes down a chain of a million sources without recursion") {
        std::vector<std::unique_ptr<stop_source>> chain;
        chain.push_back(std::make_unique<stop_source>());
        for (int i = 0; i < 1'000'000; ++i) {
            chain.push_back(std::make_unique<stop_source>(chain.back()->token()));
        }
        int calls = 0;
        {
            stop_callback const callback(chain.back()->token(), [&] { ++calls; });
            chain.front()->request_stop("enough");
            CHECK(calls == 1);
        }
        CHECK(std::string_view(chain.back()->token().reason().text()) == "enough");
        while (!chain.empty()) {
            chain.pop_back();
        }
    }

    TEST_CASE("a stop that goes down again goes on with the parent's other callbacks") {
        stop_source root;
        std::vector<int> order;
        stop_callback const last(root.token(), [&] { order.push_back(3); });
        stop_source stopped_before(root.token());
        stop_callback const early(stopped_before.token(), [&] { order.push_back(0); });
        stopped_before.request_stop();
        stop_source child(root.token());
        stop_source grandchild(child.token());
        stop_callback const second(child.token(), [&] { order.push_back(2); });
        stop_callback const first(grandchild.token(), [&] { order.push_back(1); });
        root.request_stop();
        CHECK(order == std::vector<int>{0, 1, 2, 3});
    }

    TEST_CASE("withdrawal waits for a callback that runs on another thread") {
        for (int round = 0; round < 2'000; ++round) {
            stop_source source;
            std::atomic<bool> started = false;
            std::atomic<bool> finished = false;
            std::atomic<bool> go = false;
            auto* const callback = new stop_callback(source.token(), [&] {
                started = true;
                // Not by giving the processor away, which takes as long as others want.
                for (int i = 0; i < 20'000; ++i) {
                    asm volatile("");
                }
                finished = true;
            });
            std::thread requester([&] {
                while (!go) {
                }
                source.request_stop();
            });
            go = true;
            while (round % 2 == 0 && !started) {
                std::this_thread::yield();
            }
            delete callback;
            CHECK(started == finished);
            requester.join();
        }
    }

    TEST_CASE("registrations, withdrawals and a request race without a lost or a late call") {
        for (int round = 0; round < 500; ++round) {
            stop_source root;
            auto source = std::make_unique<stop_source>(root.token());
            std::atomic<int> calls = 0;
            std::atomic<bool> go = false;
            auto registrant = [&] {
                while (!go) {
                }
                for (int i = 0; i < 20; ++i) {
                    stop_callback const brief(source->token(), [] {});
                }
                std::atomic<int> mine = 0;
                stop_callback const callback(source->token(), [&] { ++mine; });
                while (mine == 0) {
                    std::this_thread::yield();
                }
                calls += mine;
            };
            std::thread a(registrant);
            std::thread b(registrant);
            go = true;
            if (round % 2 == 0) {
                std::this_thread::yield();
            }
            root.request_stop();
            a.join();
            b.join();
            CHECK(calls == 2);
        }
    }
}
