// says: a task<T&> returns a reference to a temporary object

#include <weft/runtime/task/task.hpp>

#include <string>

weft::task<std::string const&> text() {
    co_return "text";
}
