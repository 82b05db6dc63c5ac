#include <weft/runtime/task/as_result.hpp>

namespace weft::detail {

std::error_code error_code_of(std::exception_ptr const& error) {
    try {
        std::rethrow_exception(error);
    } catch (std::system_error const& known) {
        return known.code();
    }
}

}  // namespace weft::detail
