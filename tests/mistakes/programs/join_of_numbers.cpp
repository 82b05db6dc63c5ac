// says: a range of tasks is wanted here, or of something else to await

#include <weft/runtime/join/when_any.hpp>

#include <vector>

weft::task<> run(std::vector<int>& numbers) {
    co_await weft::when_any(numbers);
}
