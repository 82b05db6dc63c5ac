#include <weft/io/op/io_error.hpp>

namespace weft::detail {

std::string io_object::to_string() const {
    switch (what_) {
        case what::address:
            return address_->to_string();
        case what::path:
            return path_;
        case what::descriptor:
            break;
    }
    return "descriptor " + std::to_string(fd_);
}

void throw_io_error(std::error_code error, char const* operation, io_object const& object) {
    throw std::system_error(error, std::string(operation) + " " + object.to_string());
}

}  // namespace weft::detail
