// Workers that take requests from one channel and answer each through a oneshot; urgent requests
// first. Run: worker_pool

#include <weft/weft.hpp>

#include <cstdint>
#include <cstdio>
#include <utility>
#include <vector>

namespace {

struct request {
    request(int how_urgent, std::uint64_t what, weft::oneshot_sender<std::uint64_t> to) noexcept
        : urgency(how_urgent)
        , number(what)
        , answer(std::move(to)) {}

    friend bool operator<(request const& left, request const& right) noexcept {
        return left.urgency < right.urgency;
    }

    int urgency;
    std::uint64_t number;
    weft::oneshot_sender<std::uint64_t> answer;
};

std::uint64_t smallest_factor(std::uint64_t number) {
    for (std::uint64_t factor = 2; factor * factor <= number; ++factor) {
        if (number % factor == 0) {
            return factor;
        }
    }
    return number;
}

// Ends when every sender is gone and nothing is left to do.
weft::task<> work(weft::priority_receiver<request> requests) {
    while (auto next = co_await requests.recv()) {
        // Whoever asked may have given up meanwhile: then nobody hears the answer.
        (void)next->answer.send(smallest_factor(next->number));
    }
}

weft::task<> ask(weft::priority_sender<request> requests, std::uint64_t number) {
    auto [answer, answered] = weft::make_oneshot<std::uint64_t>();
    int const urgency = number < 1000 ? 1 : 0;
    co_await requests.send(request(urgency, number, std::move(answer)));
    auto const factor = co_await answered.recv();
    if (factor.has_value()) {
        std::printf("%llu is divisible by %llu\n",
                    static_cast<unsigned long long>(number),
                    static_cast<unsigned long long>(*factor));
    }
}

weft::task<> program() {
    auto [requests, incoming] = weft::make_priority_channel<request>(8);
    auto body = [tx = std::move(requests),
                 rx = std::move(incoming)](weft::nursery& workers) mutable -> weft::task<> {
        for (int i = 0; i < 3; ++i) {
            workers.spawn(work(rx));
        }
        std::vector<std::uint64_t> const numbers{91, 1'000'003, 1'022'117, 589, 999'999'999'989};
        for (std::uint64_t const number : numbers) {
            co_await ask(tx, number);
        }
        tx = {};  // the last sender: the workers come to their end, and the scope with them
    };
    co_await weft::scope(std::move(body));
    std::printf("all workers have gone home\n");
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(program());
}
