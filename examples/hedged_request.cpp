// Asks two replicas where one is slow: a second request goes out when the first has no answer in
// time, the first answer wins, and the other request is stopped. Run: hedged_request

#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/weft.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

namespace {

using namespace std::chrono_literals;

// --- two replicas of a service ----------------------------------------------------------

weft::task<> answer(weft::tcp_stream client, std::string page, weft::clock::duration delay) {
    co_await weft::sleep_for(delay);
    co_await client.write_all(page);
}

weft::task<> replica(weft::tcp_listener& listener, std::string page, weft::clock::duration delay) {
    auto accept_all = [&](weft::nursery& clients) -> weft::task<> {
        for (;;) {
            weft::tcp_stream client = co_await listener.accept();
            clients.spawn(answer(std::move(client), page, delay));
        }
    };
    co_await weft::supervisor_scope(accept_all);  // whose clients may break off
}

// --- the client -----------------------------------------------------------------------

weft::task<std::string> fetch(weft::address where) {
    weft::tcp_stream server = co_await weft::tcp_stream::connect(where);
    std::string page;
    char block[64];
    while (std::size_t const count = co_await server.read_some(block)) {
        page.append(block, count);
    }
    co_return page;
}

weft::task<> ask(weft::address slow, weft::address fast) {
    weft::hedge_options options;
    options.attempts = 2;
    options.delay = 200ms;  // in a server: options.percentile = 0.95
    weft::hedge hedge(options);

    // The attempts of a call go to the replicas in turn.
    std::atomic<unsigned> next = 0;
    auto request = [&] { return fetch(next++ % 2 == 0 ? slow : fast); };

    auto call = hedge.run(request);
    std::string page = co_await std::move(call);
    std::printf("slow replica first: answered by the %s\n", page.c_str());

    next = 1;
    call = hedge.run(request);
    page = co_await std::move(call);
    std::printf("fast replica first: answered by the %s\n", page.c_str());

    auto const seen = hedge.counters();
    std::printf("won by the first attempt: %d, by the second: %d\n",
                static_cast<int>(seen.won_by_first),
                static_cast<int>(seen.won_by_hedge));
}

weft::task<> serve_and_ask() {
    weft::tcp_listener slow(weft::address::loopback_v4(0));
    weft::tcp_listener fast(weft::address::loopback_v4(0));
    co_await weft::race(replica(slow, "slow replica", 24h),
                        replica(fast, "fast replica", 0s),
                        ask(slow.local_address(), fast.local_address()));
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(serve_and_ask());
}
