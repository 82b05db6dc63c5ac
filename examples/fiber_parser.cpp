// Code that knows nothing of coroutines waits for its input: a recursive-descent parser of plain
// functions that call each other. It runs on a fiber, and the function that fetches the next
// character, however deep in the recursion, awaits the next piece from a channel. Run: fiber_parser

#include <weft/weft.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

namespace {

using namespace std::chrono_literals;

// The only part that waits: everything that calls it could be twenty years old.
class input {
public:
    explicit input(weft::receiver<std::string> pieces) : pieces_(std::move(pieces)) {}

    // The next character, or 0 at the end.
    char peek() {
        while (position_ == piece_.size()) {
            auto next = weft::this_fiber::await(pieces_.recv());
            if (!next) {
                return '\0';
            }
            piece_ = std::move(*next);
            position_ = 0;
        }
        return piece_[position_];
    }

    void take() { ++position_; }

private:
    weft::receiver<std::string> pieces_;
    std::string piece_;
    std::size_t position_ = 0;
};

int sum(input& in);

int factor(input& in) {
    if (in.peek() != '(') {
        int value = 0;
        for (; in.peek() >= '0' && in.peek() <= '9'; in.take()) {
            value = value * 10 + (in.peek() - '0');
        }
        return value;
    }
    in.take();
    int const value = sum(in);
    if (in.peek() != ')') {
        throw std::runtime_error("a bracket is missing");
    }
    in.take();
    return value;
}

int product(input& in) {
    int value = factor(in);
    for (; in.peek() == '*'; value *= factor(in)) {
        in.take();
    }
    return value;
}

int sum(input& in) {
    int value = product(in);
    for (; in.peek() == '+'; value += product(in)) {
        in.take();
    }
    return value;
}

// Somebody types, slowly.
weft::task<> type(weft::sender<std::string> to, std::string text) {
    for (std::size_t at = 0; at < text.size(); at += 2) {
        co_await to.send(text.substr(at, 2));
        co_await weft::sleep_for(1ms);
    }
}

weft::task<int> evaluate(weft::receiver<std::string> from) {
    return weft::fiber([in = input(std::move(from))]() mutable { return sum(in); });
}

weft::task<> show(std::string text) {
    auto [to, from] = weft::make_channel<std::string>(1);
    try {
        auto const values =
            co_await weft::when_all(evaluate(std::move(from)), type(std::move(to), text));
        std::printf("%s = %d\n", text.c_str(), std::get<0>(values));
    } catch (std::runtime_error const& error) {
        std::printf("%s: %s\n", text.c_str(), error.what());
    }
}

weft::task<> show_all() {
    co_await show("1+2*3");
    co_await show("((((2))+4)*(3+4))");
    co_await show("(1+2");
    auto [to, from] = weft::make_channel<std::string>(1);
    auto const late = co_await weft::timeout(10ms, evaluate(std::move(from))).as_result();
    std::printf("nobody types: %s\n", late.error() == std::errc::timed_out ? "timed out" : "?");
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(show_all());
}
