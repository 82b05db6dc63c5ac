#include <weft/bench/echo_load/message_pattern.hpp>

namespace echo_load {

message_pattern::message_pattern() : bytes_(period + piece_size) {
    std::uint32_t state = 1;
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
        if (i >= period) {
            bytes_[i] = bytes_[i - period];
            continue;
        }
        state = state * 1'664'525U + 1'013'904'223U;
        bytes_[i] = static_cast<char>(static_cast<unsigned char>(state >> 24));
    }
}

}  // namespace echo_load
