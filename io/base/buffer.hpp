#pragma once

/// Bytes that somebody else owns: what I/O reads from and writes to.

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace weft {

namespace detail {

/// Elements whose storage goes to the network as it is.
template <class T>
concept byte_like =
    std::same_as<T, char> || std::same_as<T, unsigned char> || std::same_as<T, signed char> ||
    std::same_as<T, char8_t> || std::same_as<T, std::byte>;

/// std::string, std::vector<char>, std::array<std::byte, N>, std::span<unsigned char>, …
template <class Range>
concept byte_range = requires(Range& range) {
    requires byte_like<std::remove_cvref_t<decltype(*range.data())>>;
    { range.size() } -> std::convertible_to<std::size_t>;
};

template <class Range>
concept mutable_byte_range =
    byte_range<Range> &&
    !std::is_const_v<std::remove_pointer_t<decltype(std::declval<Range&>().data())>>;

/// A range whose elements are buffers, for transfers from or to several places.
template <class Range, class Buffer>
concept range_of = requires(Range const& range) {
    { range.data() } -> std::convertible_to<Buffer const*>;
    { range.size() } -> std::convertible_to<std::size_t>;
};

}  // namespace detail

/// Bytes to write into. Converts from arrays and contiguous ranges of bytes or characters.
///
/// Thread safety: as for a plain value; the bytes are the owner's.
/// Cancellation: never suspends.
/// Lifetime: refers to the bytes. They must outlive every operation that was given the buffer.
/// Complexity: two words.
/// Errors: none.
class mutable_buffer {
public:
    mutable_buffer(void* data, std::size_t size) noexcept
        : data_(static_cast<unsigned char*>(data))
        , size_(size) {}

    template <detail::byte_like Byte, std::size_t Size>
        requires(!std::is_const_v<Byte>)
    mutable_buffer(Byte (&array)[Size]) noexcept : mutable_buffer(array, Size) {}

    template <class Range>
        requires(detail::mutable_byte_range<std::remove_reference_t<Range>> &&
                 !std::same_as<std::remove_cvref_t<Range>, mutable_buffer>)
    mutable_buffer(Range&& range) noexcept  // implicit, as std::span
        : mutable_buffer(range.data(), static_cast<std::size_t>(range.size())) {}

    [[nodiscard]] unsigned char* data() const noexcept { return data_; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// The first `count` bytes, or all of them if there are fewer.
    [[nodiscard]] mutable_buffer first(std::size_t count) const noexcept {
        return {data_, count < size_ ? count : size_};
    }

    /// What is left behind the first `count` bytes.
    [[nodiscard]] mutable_buffer from(std::size_t count) const noexcept {
        std::size_t const skipped = count < size_ ? count : size_;
        return {data_ + skipped, size_ - skipped};
    }

private:
    unsigned char* data_;
    std::size_t size_;
};

/// Bytes to read from. Converts from everything a mutable_buffer converts from, from constant
/// ranges and from string literals. Their terminator is no data: an array of constant `char` that
/// ends with a zero goes without it, whatever it is; binary data belongs into unsigned char or
/// std::byte. Otherwise as mutable_buffer.
class const_buffer {
public:
    const_buffer(void const* data, std::size_t size) noexcept
        : data_(static_cast<unsigned char const*>(data))
        , size_(size) {}

    template <class Byte, std::size_t Size>
        requires detail::byte_like<std::remove_const_t<Byte>>
    const_buffer(Byte (&array)[Size]) noexcept : const_buffer(array, Size) {}

    template <std::size_t Size>
    const_buffer(char const (&text)[Size]) noexcept  // a literal's terminator is no data
        : const_buffer(text, text[Size - 1] == '\0' ? Size - 1 : Size) {}

    template <class Range>
        requires(detail::byte_range<std::remove_reference_t<Range>> &&
                 !std::same_as<std::remove_cvref_t<Range>, const_buffer>)
    const_buffer(Range&& range) noexcept  // implicit, as std::span
        : const_buffer(range.data(), static_cast<std::size_t>(range.size())) {}

    [[nodiscard]] unsigned char const* data() const noexcept { return data_; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// The first `count` bytes, or all of them if there are fewer.
    [[nodiscard]] const_buffer first(std::size_t count) const noexcept {
        return {data_, count < size_ ? count : size_};
    }

    /// What is left behind the first `count` bytes.
    [[nodiscard]] const_buffer from(std::size_t count) const noexcept {
        std::size_t const skipped = count < size_ ? count : size_;
        return {data_ + skipped, size_ - skipped};
    }

private:
    unsigned char const* data_;
    std::size_t size_;
};

/// Several buffers in a row, for one transfer. Refers to the buffers during the call only.
template <class Buffer>
class buffer_sequence {
public:
    buffer_sequence(Buffer const* data, std::size_t count) noexcept : data_(data), count_(count) {}

    template <std::size_t Count>
    buffer_sequence(Buffer const (&array)[Count]) noexcept  // implicit, as std::span
        : buffer_sequence(array, Count) {}

    template <detail::range_of<Buffer> Range>
        requires(!std::same_as<Range, buffer_sequence>)
    buffer_sequence(Range const& range) noexcept  // implicit, as std::span
        : buffer_sequence(range.data(), static_cast<std::size_t>(range.size())) {}

    [[nodiscard]] Buffer const* begin() const noexcept { return data_; }

    [[nodiscard]] Buffer const* end() const noexcept { return data_ + count_; }

    [[nodiscard]] std::size_t size() const noexcept { return count_; }

private:
    Buffer const* data_;
    std::size_t count_;
};

using const_buffers = buffer_sequence<const_buffer>;
using mutable_buffers = buffer_sequence<mutable_buffer>;

}  // namespace weft
