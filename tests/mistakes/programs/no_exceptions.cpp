// with: -fno-exceptions
// says: weft needs exceptions: build without -fno-exceptions

#include <weft/runtime/base/config.hpp>
