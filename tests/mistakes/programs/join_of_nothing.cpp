// says: a task is wanted here, or something else to await, or a callable that gives

#include <weft/runtime/join/all_settled.hpp>

weft::task<int> one();

weft::task<> run() {
    co_await weft::all_settled(one(), 2);
}
