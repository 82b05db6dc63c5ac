// says: the body of a scope takes a nursery& and gives a task

#include <weft/runtime/scope/scope.hpp>

weft::task<> run() {
    co_await weft::scope([](weft::nursery&) {});
}
