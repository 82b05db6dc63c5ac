// says: a number has no unit: write 500ms

#include <weft/runtime/time/timeout.hpp>

weft::task<> work();

weft::task<> run() {
    co_await weft::timeout(500, work());
}
