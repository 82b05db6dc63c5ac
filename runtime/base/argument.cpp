#include <weft/runtime/base/argument.hpp>

#include <stdexcept>

namespace weft::detail {

void throw_invalid_argument(char const* message) {
    throw std::invalid_argument(message);
}

}  // namespace weft::detail
