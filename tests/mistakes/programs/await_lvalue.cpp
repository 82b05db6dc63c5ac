// says: a task is awaited once: co_await std::move(task)

#include <weft/runtime/task/task.hpp>

weft::task<int> one();

weft::task<int> twice() {
    auto kept = one();
    co_return co_await kept;
}
