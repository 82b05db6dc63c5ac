// says: an operation ends with the expression that made it

#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/time/sleep.hpp>

void run(weft::nursery& n) {
    n.spawn(weft::sleep_for(std::chrono::seconds(1)));
}
