// says: the body of as_completed takes a completions<T>& and gives a task

#include <weft/runtime/join/as_completed.hpp>

#include <vector>

weft::task<> run(std::vector<weft::task<int>> tasks) {
    auto const body = [](weft::completions<int>&) {};
    co_await weft::as_completed(std::move(tasks), body);
}
