// says: a task can be awaited once: give the range away by std::move(tasks)

#include <weft/runtime/join/when_all.hpp>

#include <vector>

weft::task<> run(std::vector<weft::task<int>>& tasks) {
    co_await weft::when_all(tasks);
}
