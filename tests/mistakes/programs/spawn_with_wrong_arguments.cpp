// says: a task is wanted here, or a callable that gives one

#include <weft/runtime/scope/scope.hpp>

weft::task<> work(int);

void run(weft::nursery& n) {
    n.spawn(work, "text");
}
