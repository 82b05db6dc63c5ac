// A deadline around a task, in both forms. Run: timeout

#include <weft/weft.hpp>

#include <chrono>
#include <cstdio>
#include <system_error>

namespace {

using namespace std::chrono_literals;

// Says when it is destroyed: a task that runs into its deadline is unwound like any other.
struct guard {
    ~guard() { std::printf("cleaned up\n"); }
};

weft::task<int> answer_after(weft::clock::duration delay) {
    guard const cleanup;
    co_await weft::sleep_for(delay);
    co_return 42;
}

weft::task<> program() {
    int const answer = co_await weft::timeout(10s, answer_after(1ms));
    std::printf("in time: %d\n", answer);

    try {
        co_await weft::timeout(5ms, answer_after(1h));
    } catch (std::system_error const& error) {
        if (error.code() != std::errc::timed_out) {
            throw;
        }
        std::printf("too late\n");
    }

    // The same without an exception.
    auto const outcome = co_await (weft::timeout(5ms, answer_after(1h)) | weft::as_result);
    std::printf("%s\n", outcome ? "in time" : "too late again");

    // A source that many may follow is stopped after a while.
    weft::stop_source source;
    weft::cancel_after const later(5ms, source);
    auto const ended =
        co_await (weft::with_stop_token(source.token(), answer_after(1h)) | weft::as_result);
    std::printf("%s: %s\n", ended ? "in time" : "stopped", name_of(source.token().reason().kind()));
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(program());
}
