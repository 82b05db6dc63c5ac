// Question: what do request and reply cost when both ends are weft tasks? A client and a server
// runtime with a worker each keep one message in flight on each of 20 loopback connections.
// WEFT_DRIVER chooses the driver. Excluded: connection set-up, the warm-up, clock reads (a third,
// sleeping thread takes the times). Would invalidate it: fewer than two idle CPUs; comparing the
// CPU time per request of runs with different message sizes or connection counts, for both change
// how much is batched.

#include <weft/bench/baseline/pingpong.hpp>

#include <weft/bench/io/echo_session.hpp>
#include <weft/io/runtime.hpp>
#include <weft/runtime/scope/scope.hpp>

#include <cstddef>
#include <utility>

namespace {

using weft::task;

task<> call_repeatedly(weft::address where,
                       std::size_t message_bytes,
                       baseline::measured_run& run) {
    weft::tcp_stream server = co_await weft::tcp_stream::connect(where);
    baseline::exchange messages(message_bytes);
    while (!run.is_ending()) {
        messages.begin_round();
        co_await server.write_all(messages.unsent());
        bool complete = false;
        while (!complete) {
            complete = messages.add_received(co_await server.read_some(messages.missing()));
        }
        run.count_request();
    }
}

task<> run_client(weft::address where,
                  baseline::pingpong_options options,
                  baseline::measured_run& run) {
    auto start_calls = [&](weft::nursery& calls) -> task<> {
        for (unsigned i = 0; i < options.connections; ++i) {
            calls.spawn(call_repeatedly(where, options.message_bytes, run));
        }
        co_return;
    };
    co_await weft::scope(start_calls);
}

}  // namespace

int main(int argc, char** argv) {
    auto const options = baseline::read_pingpong_options(argc, argv);
    baseline::measured_run run;
    weft::runtime server({.workers = 1});
    weft::tcp_listener listener(weft::address::loopback_v4(0));
    weft::address const where = listener.local_address();
    server.spawn(weft::bench::accept_all(std::move(listener)));
    {
        weft::runtime client({.workers = 1});
        client.spawn(run_client(where, options, run));
        run.measure(options);
    }
    run.report();
    return 0;
}
