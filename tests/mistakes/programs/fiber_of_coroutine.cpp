// says: the function of a fiber is a plain one
#include <weft/runtime/fiber/fiber.hpp>

weft::task<int> one();

auto work = weft::fiber(&one);
