#include <weft/runtime/join/detail/first_of.hpp>

#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/task/exception_group.hpp>

#include <string>
#include <system_error>

namespace weft::detail {

void throw_errors(std::span<std::exception_ptr const> errors) {
    if (std::exception_ptr const all = group_errors(errors); all != nullptr) {
        std::rethrow_exception(all);
    }
}

std::error_code code_of_first(std::span<std::exception_ptr const> errors) {
    for (std::exception_ptr const& each : errors) {
        if (each != nullptr) {
            return error_code_of(each);
        }
    }
    return std::make_error_code(std::errc::operation_canceled);
}

std::error_code no_first_of_none() noexcept {
    return std::make_error_code(std::errc::invalid_argument);
}

void throw_no_first_of_none(char const* name) {
    throw std::system_error(no_first_of_none(), std::string(name) + " of no tasks");
}

}  // namespace weft::detail
