// A server that ends well. SIGTERM asks it to finish: it accepts nobody any more, and requests that
// run have a period of grace; then they are stopped. Run: graceful_shutdown [PORT], then send it
// lines and SIGTERM; or graceful_shutdown --self-test, which does so itself.

#include <weft/weft.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;

// Logs a request that the server did not answer.
class request_log {
public:
    explicit request_log(weft::stop_token stop) : stop_(stop) {}

    ~request_log() {
        if (!answered && stop_.stop_requested()) {
            weft::stop_reason const why = stop_.reason();
            std::printf("request: stopped (%s: %s)\n", name_of(why.kind()), why.text());
        }
    }

    bool answered = false;

private:
    weft::stop_token stop_;
};

constexpr std::array begun{std::byte{'.'}};

// "slow" takes an hour, everything else a moment. That a client has gone is told by the next read.
weft::task<> answer(weft::tcp_stream& peer, std::span<std::byte const> request) {
    request_log log(co_await weft::this_task::stop_token());
    (void)co_await (peer.write_all(begun) | weft::as_result);
    co_await weft::sleep_for(request[0] == std::byte{'s'} ? weft::clock::duration(1h) : 50ms);
    (void)co_await (peer.write_all(request) | weft::as_result);
    log.answered = true;
}

// Waits for a request only as long as nobody has asked to finish.
weft::task<> serve(weft::tcp_stream peer) {
    std::array<std::byte, 256> data;
    auto read = [&] { return peer.read_some(data); };
    for (;;) {
        auto const count = co_await (weft::until_soft_stop(weft::call(read)) | weft::as_result);
        if (!count || *count == 0) {
            co_return;
        }
        co_await answer(peer, std::span(data).first(*count));
    }
}

weft::task<> accept_all(weft::nursery& sessions, weft::tcp_listener& listener) {
    auto accept = [&] { return listener.accept(); };
    for (;;) {
        auto peer = co_await (weft::until_soft_stop(weft::call(accept)) | weft::as_result);
        if (!peer) {
            co_await listener.close();  // resets who waits to be accepted
            std::printf("listener: closed\n");
            co_return;
        }
        sessions.spawn(serve(std::move(*peer)));
    }
}

weft::task<> server(weft::tcp_listener& listener, weft::signal_set& signals) {
    auto body = [&](weft::nursery& sessions) -> weft::task<> {
        sessions.spawn(accept_all(sessions, listener));
        int const number = co_await signals.next();
        std::printf("signal %d: finishing\n", number);
        sessions.request_stop("SIGTERM", {.grace = 2s});
    };
    co_await weft::supervisor_scope(body);  // no session ends the others
    std::printf("finished\n");
}

// One client whose request is short, and one whose request is not; SIGTERM when both have begun.
weft::task<> self_test(weft::tcp_listener& listener, weft::signal_set& signals) {
    weft::latch both_begun(2);
    auto client = [&](std::string_view request) -> weft::task<bool> {
        weft::tcp_stream stream = co_await weft::tcp_stream::connect(listener.local_address());
        co_await stream.write_all(std::as_bytes(std::span(request)));
        std::array<std::byte, 16> reply;
        co_await stream.read_exact(std::span(reply).first(begun.size()));
        both_begun.count_down();
        co_return (co_await stream.read_some(reply)) == request.size();
    };
    auto terminate = [&]() -> weft::task<bool> {
        co_await both_begun.wait();
        co_return ::kill(::getpid(), SIGTERM) == 0;
    };
    auto const [ended, quick, slow, sent] = co_await weft::when_all(
        server(listener, signals), client("quick"), client("slow"), terminate());
    std::printf("quick: %s, slow: %s\n", quick ? "answered" : "cut", slow ? "answered" : "cut");
}

}  // namespace

int main(int argc, char** argv) {
    weft::signal_set signals({SIGTERM, SIGINT});  // before the runtime makes its threads
    weft::runtime runtime;
    bool const tests = argc > 1 && std::string_view(argv[1]) == "--self-test";
    int const port = argc > 1 && !tests ? std::atoi(argv[1]) : 0;
    weft::tcp_listener listener(weft::address::loopback_v4(static_cast<std::uint16_t>(port)));
    std::fprintf(stderr, "listening on %s\n", listener.local_address().to_string().c_str());
    runtime.block_on(tests ? self_test(listener, signals) : server(listener, signals));
}
