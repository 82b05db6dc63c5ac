// Question: how long do --size values take through one bounded channel, from several tasks that
// send to several that receive? One sender and one receiver unless told otherwise. Excluded: I/O.
// Would invalidate it: other load, since a waiting worker gives its processor away; with several
// workers, the time that a cache line takes from one processor to another decides more than any
// instruction here.

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/sync/channels/channel.hpp>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace {

using numbers = weft::channel<std::uint64_t>;

struct plan {
    forkjoin::options run;
    unsigned senders = 1;
    unsigned receivers = 1;
    unsigned capacity = 1024;
};

plan read_plan(int argc, char** argv) {
    plan chosen;
    chosen.run.size = 10'000'000;
    auto const* const usage =
        "[--workers N] [--repetitions N] [--size N] [--senders N] [--receivers N] [--capacity N]";
    baseline::read_options(argc, argv, usage, [&](std::string_view name, std::string_view text) {
        if (name == "--size") {
            return baseline::read_number<std::uint64_t>(
                text, 1, 1'000'000'000'000, chosen.run.size);
        }
        unsigned* const target = name == "--workers"       ? &chosen.run.workers
                                 : name == "--repetitions" ? &chosen.run.repetitions
                                 : name == "--senders"     ? &chosen.senders
                                 : name == "--receivers"   ? &chosen.receivers
                                 : name == "--capacity"    ? &chosen.capacity
                                                           : nullptr;
        return target != nullptr && baseline::read_number(text, 1U, 1'000'000U, *target);
    });
    return chosen;
}

/// Sends first, first + step, … up to the last below `end`.
weft::task<> send(numbers& to, std::uint64_t first, std::uint64_t step, std::uint64_t end) {
    for (std::uint64_t i = first; i < end; i += step) {
        co_await to.send(i);
    }
}

weft::task<> send_all(numbers& to, plan const& how) {
    auto body = [&](weft::nursery& children) -> weft::task<> {
        for (unsigned i = 0; i < how.senders; ++i) {
            children.spawn(send(to, i, how.senders, how.run.size));
        }
        co_return;
    };
    co_await weft::scope(body);
    to.close();
}

weft::task<> receive(numbers& from, std::atomic<std::uint64_t>& total) {
    std::uint64_t sum = 0;
    while (auto const value = co_await from.recv()) {
        sum += *value;
    }
    total += sum;
}

weft::task<std::uint64_t> pass(plan const& how) {
    numbers between(how.capacity);
    std::atomic<std::uint64_t> total = 0;
    auto body = [&](weft::nursery& children) -> weft::task<> {
        children.spawn(send_all(between, how));
        for (unsigned i = 0; i < how.receivers; ++i) {
            children.spawn(receive(between, total));
        }
        co_return;
    };
    co_await weft::scope(body);
    co_return total.load();
}

}  // namespace

int main(int argc, char** argv) {
    plan const how = read_plan(argc, argv);
    weft::thread_pool pool({.workers = how.run.workers});
    std::uint64_t const expected = how.run.size * (how.run.size - 1) / 2;
    return forkjoin::measure(
        "weft",
        "mpmc",
        how.run,
        [&] { return pool.block_on(pass(how)); },
        [&](std::uint64_t total) { return total == expected; });
}
