// with: -std=c++17
// says: weft needs C++20: build with -std=c++20 or a later standard

#include <weft/runtime/base/config.hpp>
