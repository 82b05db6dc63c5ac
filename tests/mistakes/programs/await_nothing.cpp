// says: await

#include <weft/runtime/task/task.hpp>

#include <string>

weft::task<> run() {
    std::string text;
    co_await text;
}
