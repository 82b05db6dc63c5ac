// A client that lives with a server that is not always well: pauses between attempts, a limit for
// each, a breaker that stops asking, and an answer of its own in the end. Run: resilient_client

#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/resilience/bulkhead.hpp>
#include <weft/runtime/resilience/circuit_breaker.hpp>
#include <weft/runtime/resilience/fallback.hpp>
#include <weft/runtime/resilience/pipeline.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/weft.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

namespace {

using namespace std::chrono_literals;

// --- the server ---------------------------------------------------------------------

struct server_state {
    int hang_ups_left = 2;  // connections that get no answer
    int requests = 0;
};

weft::task<> serve(weft::tcp_listener& listener, server_state& state) {
    for (;;) {
        weft::tcp_stream client = co_await listener.accept();
        ++state.requests;
        if (state.hang_ups_left > 0) {
            --state.hang_ups_left;
            continue;
        }
        std::string const page = "page " + std::to_string(state.requests);
        (void)co_await (client.write_all(page) | weft::as_result);  // the client may be gone
    }
}

// --- the client -----------------------------------------------------------------------

weft::task<std::string> fetch(weft::address where) {
    weft::tcp_stream server = co_await weft::tcp_stream::connect(where);
    std::string page;
    char block[64];
    while (std::size_t const count = co_await server.read_some(block)) {
        page.append(block, count);
    }
    if (page.empty()) {
        throw std::system_error(make_error_code(weft::errc::unexpected_eof));
    }
    co_return page;
}

weft::task<std::string> remembered() {
    co_return "the page of yesterday";
}

weft::task<> use(weft::address where, server_state& state) {
    weft::retry_budget budget;  // shared by all clients of one server
    weft::retry_options attempts;
    attempts.attempts = 3;
    attempts.pauses.first = 1ms;
    attempts.retries = &weft::transient_error;  // not what the breaker refuses
    attempts.budget = &budget;
    weft::circuit_breaker_options fragile;
    fragile.failures = 4;
    fragile.open_for = 2s;

    weft::fallback otherwise(&remembered);
    weft::retry again(attempts);
    weft::circuit_breaker breaker(fragile);
    weft::bulkhead room;
    weft::time_limit limit(5s);

    // From the outside in: each attempt goes through the breaker, and has a limit of its own.
    weft::pipeline const client(otherwise, again, breaker, room, limit);
    auto request = [where] { return fetch(where); };

    auto call = client.run(request);
    std::string page = co_await std::move(call);
    std::printf("flaky: %s\n", page.c_str());

    state.hang_ups_left = 1'000;
    call = client.run(request);
    page = co_await std::move(call);
    std::printf("down: %s, after %d requests\n", page.c_str(), state.requests);

    call = client.run(request);
    page = co_await std::move(call);
    std::printf("open: %s, after %d requests\n", page.c_str(), state.requests);

    state.hang_ups_left = 0;
    co_await weft::sleep_for(fragile.open_for);
    call = client.run(request);
    page = co_await std::move(call);
    std::printf("well again: %s\n", page.c_str());
    std::printf("%d retries, opened %d time, fell back %d times\n",
                static_cast<int>(budget.counters().granted),
                static_cast<int>(breaker.counters().opened),
                static_cast<int>(otherwise.counters().recoveries));
}

weft::task<> serve_and_use() {
    weft::tcp_listener listener(weft::address::loopback_v4(0));
    server_state state;
    co_await weft::race(serve(listener, state), use(listener.local_address(), state));
}

}  // namespace

int main() {
    weft::runtime runtime({.workers = 1});  // shared by the server and the client, and their state
    runtime.block_on(serve_and_use());
}
