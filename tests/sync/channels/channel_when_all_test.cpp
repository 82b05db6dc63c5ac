// A channel whose ends are parameters of the children of a join: it ends with its producers.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/sync/channels/channel.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace {

using weft::task;

task<long> produce(weft::sender<int> out, int count) {
    for (int i = 1; i <= count; ++i) {
        co_await out.send(i);
    }
    co_return count;
}

task<long> consume(weft::receiver<int> in) {
    long sum = 0;
    for (;;) {
        std::optional<int> const next = co_await in.recv();
        if (!next) {
            break;
        }
        sum += *next;
    }
    co_return sum;
}

task<bool> pair(int count, bool consumer_first) {
    auto [out, in] = weft::make_channel<int>(2);
    long const expected = static_cast<long>(count) * (count + 1) / 2;
    if (consumer_first) {
        auto [sum, sent] =
            co_await weft::when_all(consume(std::move(in)), produce(std::move(out), count));
        co_return sum == expected&& sent == count;
    }
    auto [sent, sum] =
        co_await weft::when_all(produce(std::move(out), count), consume(std::move(in)));
    co_return sum == expected&& sent == count;
}

task<bool> row(int count, int producers) {
    auto [out, in] = weft::make_channel<int>(1);
    std::vector<task<long>> children;
    for (int i = 0; i < producers; ++i) {
        children.push_back(produce(out, count));
    }
    children.push_back(consume(std::move(in)));
    {
        auto const last = std::move(out);
    }
    std::vector<long> const ended = co_await weft::when_all(std::move(children));
    co_return ended.back() == static_cast<long>(producers) * count*(count + 1) / 2;
}

}  // namespace

TEST_SUITE("sync/channel_when_all") {
    TEST_CASE("a consumer sees the channel end with the last producer beside it in a join") {
        for (unsigned workers : {1U, 2U}) {
            weft::thread_pool pool({.workers = workers});
            for (int count : {0, 1, 2, 3, 100}) {
                CHECK(pool.block_on(pair(count, false)));
                CHECK(pool.block_on(pair(count, true)));
                CHECK(pool.block_on(row(count, 3)));
            }
        }
    }
}
