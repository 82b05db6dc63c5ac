#include <weft/weft.hpp>

#include <io/settings.hpp>

// A program of somebody who uses the library: it runs a task on a runtime and leaves with 0.

namespace {

weft::task<int> answer() {
    co_await weft::yield();
    co_return settings::answer;
}

weft::task<int> answer_in_time() {
    int const got = co_await weft::timeout(std::chrono::minutes(1), answer());
    co_return got;
}

}  // namespace

int main() {
    weft::runtime runtime;
    return runtime.block_on(answer_in_time()) == settings::answer ? 0 : 1;
}
