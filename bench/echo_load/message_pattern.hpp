#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace echo_load {

/// The byte stream every connection sends: pseudo-random bytes that repeat after `period`.
///
/// Any piece of up to `piece_size` bytes lies in one run of memory, so that sending needs no copy
/// and checking is one memcmp. The period is prime: a reply that is lost, doubled or moved by a
/// whole message shows, unless the message is a multiple of the period. Little of the table is
/// touched by small messages, so it stays in the first-level cache.
class message_pattern {
public:
    static constexpr std::size_t period = 4093;
    static constexpr std::size_t piece_size = 64 * 1024;

    message_pattern() : bytes_(period + piece_size) {
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

    /// The stream from `offset` on; `piece_size` bytes can be read.
    char const* at(std::uint64_t offset) const noexcept { return bytes_.data() + offset % period; }

private:
    std::vector<char> bytes_;
};

}  // namespace echo_load
