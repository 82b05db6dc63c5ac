#include <weft/io/base/buffer.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace {

using weft::const_buffer;
using weft::const_buffers;
using weft::mutable_buffer;
using weft::mutable_buffers;

std::size_t total(const_buffers buffers) {
    std::size_t sum = 0;
    for (const_buffer const& each : buffers) {
        sum += each.size();
    }
    return sum;
}

std::size_t room(mutable_buffers buffers) {
    std::size_t sum = 0;
    for (mutable_buffer const& each : buffers) {
        sum += each.size();
    }
    return sum;
}

bool covers(const_buffer buffer, void const* data, std::size_t size) {
    return static_cast<void const*>(buffer.data()) == data && buffer.size() == size;
}

bool covers(mutable_buffer buffer, void const* data, std::size_t size) {
    return static_cast<void const*>(buffer.data()) == data && buffer.size() == size;
}

}  // namespace

TEST_SUITE("io/buffer") {
    TEST_CASE("a mutable buffer covers exactly the range that it is made from") {
        char text[7] = {};
        std::array<std::byte, 5> array{};
        std::vector<unsigned char> vector(9);
        std::string string(11, ' ');
        CHECK(covers(mutable_buffer(text), text, 7));
        CHECK(covers(mutable_buffer(array), array.data(), 5));
        CHECK(covers(mutable_buffer(vector), vector.data(), 9));
        CHECK(covers(mutable_buffer(string), string.data(), 11));
        CHECK(covers(mutable_buffer(std::span(array).first(2)), array.data(), 2));
        CHECK(covers(mutable_buffer(text, 3), text, 3));
    }

    TEST_CASE("a constant buffer covers exactly the range that it is made from") {
        unsigned char const raw[3] = {1, 2, 3};
        std::string const string("constant");
        std::string_view const view = std::string_view(string).substr(3);
        std::vector<std::byte> const vector(4);
        char writable[4] = {};
        CHECK(covers(const_buffer(raw), raw, 3));
        CHECK(covers(const_buffer(string), string.data(), 8));
        CHECK(covers(const_buffer(view), view.data(), 5));
        CHECK(covers(const_buffer(vector), vector.data(), 4));
        CHECK(covers(const_buffer(writable), writable, 4));
        CHECK(covers(const_buffer(mutable_buffer(writable)), writable, 4));
    }

    TEST_CASE("a literal's terminator is no data, the zero of another array is") {
        CHECK(const_buffer("four").size() == 4);
        CHECK(const_buffer("").size() == 0);
        CHECK(const_buffer("a\0b").size() == 3);
        char const unterminated[2] = {'o', 'k'};
        CHECK(const_buffer(unterminated).size() == 2);
        unsigned char const zeros[4] = {};
        CHECK(const_buffer(zeros).size() == 4);
        char writable[4] = {};
        CHECK(const_buffer(writable).size() == 4);
    }

    TEST_CASE("nothing constant becomes a mutable buffer") {
        CHECK_FALSE(std::is_constructible_v<mutable_buffer, std::string const&>);
        CHECK_FALSE(std::is_constructible_v<mutable_buffer, std::string_view>);
        CHECK_FALSE(std::is_constructible_v<mutable_buffer, std::span<std::byte const>>);
        CHECK_FALSE(std::is_constructible_v<mutable_buffer, char const(&)[4]>);
        CHECK_FALSE(std::is_constructible_v<mutable_buffer, const_buffer>);
    }

    TEST_CASE("nothing but bytes becomes a buffer") {
        CHECK_FALSE(std::is_constructible_v<const_buffer, std::vector<int>&>);
        CHECK_FALSE(std::is_constructible_v<const_buffer, std::vector<bool>&>);
        CHECK_FALSE(std::is_constructible_v<const_buffer, std::u16string&>);
        CHECK_FALSE(std::is_constructible_v<mutable_buffer, std::array<double, 2>&>);
        CHECK_FALSE(std::is_constructible_v<const_buffer, char const*>);
    }

    TEST_CASE("first and from cut the buffer into two parts without gap or overlap") {
        std::array<char, 10> bytes{};
        for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
            CAPTURE(cut);
            mutable_buffer const whole(bytes);
            CHECK(covers(whole.first(cut), bytes.data(), cut));
            CHECK(covers(whole.from(cut), bytes.data() + cut, bytes.size() - cut));
            const_buffer const constant(bytes);
            CHECK(covers(constant.first(cut), bytes.data(), cut));
            CHECK(covers(constant.from(cut), bytes.data() + cut, bytes.size() - cut));
        }
    }

    TEST_CASE("a cut beyond the end gives everything and nothing") {
        std::array<char, 4> bytes{};
        mutable_buffer const whole(bytes);
        CHECK(whole.first(99).size() == 4);
        CHECK(whole.from(99).empty());
        CHECK(covers(whole.from(99), bytes.data() + 4, 0));
        const_buffer const constant(bytes);
        CHECK(constant.first(static_cast<std::size_t>(-1)).size() == 4);
        CHECK(constant.from(static_cast<std::size_t>(-1)).empty());
    }

    TEST_CASE("empty ranges make empty buffers") {
        std::vector<char> none;
        CHECK(mutable_buffer(none).empty());
        CHECK(const_buffer(none).empty());
        CHECK(const_buffer(nullptr, 0).from(1).empty());
        CHECK_FALSE(const_buffer("x").empty());
    }

    TEST_CASE("sequences are made from arrays, vectors and spans of buffers") {
        std::string const a("abc");
        std::vector<char> b(4);
        const_buffer const raw[] = {const_buffer(a), const_buffer(b), const_buffer("")};
        CHECK(total(raw) == 7);
        CHECK(const_buffers(raw).size() == 3);
        std::vector<const_buffer> const vector(raw, raw + 2);
        CHECK(total(vector) == 7);
        CHECK(total(std::span(raw).first(1)) == 3);
        std::array<mutable_buffer, 2> const targets{mutable_buffer(b), mutable_buffer(b).first(1)};
        CHECK(room(targets) == 5);
        std::vector<const_buffer> const none;
        CHECK(const_buffers(none).size() == 0);
        CHECK(total(none) == 0);
    }
}
