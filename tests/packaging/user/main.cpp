#include <weft/weft.hpp>

#include <io/settings.hpp>

// A program of somebody who uses the library: it runs a task on a runtime and leaves with 0.

namespace {

weft::task<int> answer() {
    co_await weft::yield();
    co_return settings::answer;
}

#if WEFT_HAS_FIBERS
weft::task<int> answer_of_fiber() {
    return weft::fiber([] { return weft::this_fiber::await(answer()); });
}
#else
weft::task<int> answer_of_fiber() {
    return answer();
}
#endif

weft::task<int> answer_in_time() {
    int const got = co_await weft::timeout(std::chrono::minutes(1), answer_of_fiber());
    co_return got;
}

}  // namespace

int main() {
    weft::runtime runtime;
    return runtime.block_on(answer_in_time()) == settings::answer ? 0 : 1;
}
