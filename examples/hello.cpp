// Tasks, joins and scopes without any I/O. Run: hello

#include <weft/weft.hpp>

#include <cstdio>
#include <string>

namespace {

// A task starts when it is awaited; its value comes out of the await.
weft::task<int> square(int number) {
    co_return number* number;
}

weft::task<> greet(std::string name) {
    co_await weft::yield();  // the others may go first
    std::printf("hello, %s\n", name.c_str());
}

weft::task<> program() {
    // Both run at the same time if a worker is free.
    auto const [nine, sixteen] = co_await weft::when_all(square(3), square(4));
    std::printf("3*3 + 4*4 = %d\n", nine + sixteen);

    // Children end before their scope does.
    auto greet_everybody = [](weft::nursery& children) -> weft::task<> {
        children.spawn(greet("world"));
        co_return;
    };
    co_await weft::scope(greet_everybody);
    std::printf("good bye\n");
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(program());
}
