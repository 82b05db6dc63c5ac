// says: a function is wanted here that gives a task for each item of the range

#include <weft/runtime/ranges/map.hpp>

#include <vector>

weft::task<> run(std::vector<int>& numbers) {
    auto const twice = [](int number) { return 2 * number; };
    co_await weft::map(numbers, twice, {.limit = 4});
}
