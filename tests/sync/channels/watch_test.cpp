#include <weft/sync/channels/watch.hpp>

#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using weft::nursery;
using weft::task;

}  // namespace

TEST_SUITE("sync/watch") {
    TEST_CASE("a watch gives the present value first, then the latest change") {
        weft::thread_pool pool({.workers = 1});
        weft::watch<std::string> setting("initial");
        auto work = [&]() -> task<> {
            auto reader = setting.subscribe();
            auto const first = co_await reader.recv();
            CHECK(*first == "initial");
            CHECK(reader.try_recv().error() == std::errc::resource_unavailable_try_again);
            (void)setting.send("second");
            (void)setting.send("third");
            CHECK(setting.get() == "third");
            auto const latest = co_await reader.recv();
            CHECK(*latest == "third");
            CHECK(reader.missed() == 1);
            auto const late = setting.subscribe().try_recv();
            CHECK(late.value() == "third");
            setting.close();
            auto const none = co_await reader.recv();
            CHECK_FALSE(none.has_value());
            std::string refused = "refused";
            CHECK(setting.send(std::move(refused)).error() == weft::errc::closed);
            CHECK(refused == "refused");
        };
        pool.block_on(work());
    }

    TEST_CASE("a receiver that waits for a change is woken by it and by close") {
        weft::thread_pool pool({.workers = 2});
        weft::watch<int> number(0);
        std::vector<int> seen;
        auto reader = [&](weft::broadcast_receiver<int> from) -> task<> {
            while (auto value = co_await from.recv()) {
                seen.push_back(*value);
            }
        };
        std::thread setter;
        auto work = [&]() -> task<> {
            auto body = [&](nursery& n) -> task<> {
                n.spawn(reader(number.subscribe()));
                setter = std::thread([&] {
                    for (int i = 1; i <= 1000; ++i) {
                        (void)number.send(i);
                    }
                    number.close();
                });
                co_return;
            };
            co_await weft::scope(body);
        };
        pool.block_on(work());
        setter.join();
        REQUIRE_FALSE(seen.empty());
        CHECK(seen.back() == 1000);
        for (std::size_t i = 1; i < seen.size(); ++i) {
            CHECK(seen[i] > seen[i - 1]);
        }
    }
}
