// says: a task is wanted here, or something else to await, or a callable that gives

#include <weft/runtime/time/timeout.hpp>

weft::task<> run() {
    co_await weft::timeout(std::chrono::seconds(1), 5);
}
