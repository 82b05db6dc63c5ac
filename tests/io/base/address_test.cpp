#include <weft/io/base/address.hpp>

#include <weft/runtime/values/unique_fd.hpp>
#include <weft/tests/support/skip.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ostream>  // doctest prints std::error_code
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

namespace {

using namespace std::string_view_literals;
using weft::address;

static_assert(std::is_trivially_copyable_v<address>);
static_assert(sizeof(address) == 28);
static_assert(noexcept(address::parse("")));
static_assert(noexcept(address::parse("", 0)));

address parsed(std::string_view text) {
    INFO(text);
    auto const read = address::parse(text);
    REQUIRE(read.has_value());
    return *read;
}

::sockaddr const* erased(void const* source) {
    return static_cast<::sockaddr const*>(source);
}

address from(::sockaddr_in6 const& source) {
    auto const made = address::from_sockaddr(erased(&source), sizeof source);
    REQUIRE(made.has_value());
    return *made;
}

bool are_one_value(address const& left, address const& right) {
    return (left <=> right) == std::strong_ordering::equal && left == right &&
           std::hash<address>()(left) == std::hash<address>()(right);
}

}  // namespace

TEST_CASE("text that to_string would write reads back as itself") {
    for (std::string_view const text : {
             "127.0.0.1:80"sv,
             "0.0.0.0:0"sv,
             "255.255.255.255:65535"sv,
             "[::1]:80"sv,
             "[::]:0"sv,
             "[2001:db8::8:800:200c:417a]:443"sv,
             "[fe80::1%2]:80"sv,
             "[ff02::1%4294967295]:5353"sv,
             "[::ffff:10.0.0.1]:1"sv,
             "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535"sv,
         }) {
        CHECK(parsed(text).to_string() == text);
    }
}

TEST_CASE("every spelling of an IPv6 address reads as the same value") {
    address const canonical = parsed("[2001:db8::1]:80");
    for (std::string_view const text : {
             "[2001:db8:0:0:0:0:0:1]:80"sv,
             "[2001:0db8:0000:0000:0000:0000:0000:0001]:80"sv,
             "[2001:DB8::1]:80"sv,
             "[2001:db8::0:1]:80"sv,
             "[2001:db8::0.0.0.1]:80"sv,
         }) {
        CHECK(are_one_value(parsed(text), canonical));
    }
}

TEST_CASE("any IPv6 address survives the way through text") {
    constexpr std::uint64_t seed = 20'240'711;
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    for (int round = 0; round < 2000; ++round) {
        ::sockaddr_in6 source{};
        source.sin6_family = AF_INET6;
        source.sin6_port = static_cast<std::uint16_t>(random());
        // Every second group is zero on average, so that runs to be shortened are frequent.
        for (std::size_t byte = 0; byte < sizeof source.sin6_addr; byte += 2) {
            if (random() % 2 == 0) {
                source.sin6_addr.s6_addr[byte] = static_cast<std::uint8_t>(random());
                source.sin6_addr.s6_addr[byte + 1] = static_cast<std::uint8_t>(random());
            }
        }
        source.sin6_scope_id = random() % 2 == 0 ? static_cast<std::uint32_t>(random()) : 0;
        address const original = from(source);

        address const back = parsed(original.to_string());
        CHECK(are_one_value(back, original));
        REQUIRE(back.size() == sizeof source);
        CHECK(std::memcmp(back.data(), &source, sizeof source) == 0);

        std::string long_form;
        for (std::size_t byte = 0; byte < sizeof source.sin6_addr; byte += 2) {
            std::array<char, 6> group{};
            std::snprintf(group.data(),
                          group.size(),
                          byte == 0 ? "%02x%02x" : ":%02x%02x",
                          source.sin6_addr.s6_addr[byte],
                          source.sin6_addr.s6_addr[byte + 1]);
            long_form += group.data();
        }
        auto const from_long_form = address::parse(long_form, original.port());
        REQUIRE(from_long_form.has_value());
        CHECK(std::memcmp(
                  from_long_form->data(), &source, offsetof(::sockaddr_in6, sin6_scope_id)) == 0);
    }
}

TEST_CASE("text that is no address with a port is refused") {
    std::string const very_long(100'000, '1');
    for (std::string_view const text : std::vector<std::string_view>{
             ""sv,
             ":"sv,
             ":80"sv,
             "80"sv,
             "1.2.3.4"sv,
             "1.2.3.4:"sv,
             "1.2.3.4:65536"sv,
             "1.2.3.4:4294967376"sv,
             "1.2.3.4:-1"sv,
             "1.2.3.4:+1"sv,
             "1.2.3.4: 80"sv,
             "1.2.3.4:80 "sv,
             "1.2.3.4:080"sv,
             "1.2.3.4:0x50"sv,
             "1.2.3.4:http"sv,
             "1.2.3.4:80:80"sv,
             "1.2.3.4 :80"sv,
             " 1.2.3.4:80"sv,
             "1.2.3:80"sv,
             "1.2.3.4.5:80"sv,
             "1.2.3.256:80"sv,
             "01.2.3.4:5"sv,
             "0x7f.0.0.1:80"sv,
             "2130706433:80"sv,
             "1.2.3.4%1:80"sv,
             "1.2.3.4\0:80"sv,
             "1.2.3.4\0.5:80"sv,
             "1.2.3.4:80\0"sv,
             "1.2.3.4:8\0"
             "0"sv,
             "localhost:80"sv,
             "[1.2.3.4]:80"sv,
             "[::1]"sv,
             "[::1]:"sv,
             "[::1]80"sv,
             "[::1] :80"sv,
             "[::1:80"sv,
             "::1]:80"sv,
             "::1:80"sv,
             "[::1]]:80"sv,
             "[[::1]]:80"sv,
             "[]:80"sv,
             "[:80"sv,
             "]:80"sv,
             "[:]:80"sv,
             "[:::]:80"sv,
             "[1::2::3]:80"sv,
             "[1:2:3:4:5:6:7]:80"sv,
             "[1:2:3:4:5:6:7:8:9]:80"sv,
             "[12345::]:80"sv,
             "[g::]:80"sv,
             "[ ::1]:80"sv,
             "[::1\0]:80"sv,
             "[fe80::1%]:80"sv,
             "[%2]:80"sv,
             "[fe80::1%a\0b]:80"sv,
             "[fe80::1%a-name-longer-than-any-interface-has]:80"sv,
         }) {
        CAPTURE(text);
        CHECK(address::parse(text).error() == std::errc::invalid_argument);
    }
    for (std::string const& text : {
             very_long,
             very_long + ":80",
             "1.2.3.4:" + very_long,
             "[" + very_long + "]:80",
             "[::1%" + very_long + "]:80",
             "[::" + std::string(100'000, '0') + "1]:80",
         }) {
        CHECK(address::parse(text).error() == std::errc::invalid_argument);
    }
    CHECK(address::parse(std::string_view()).error() == std::errc::invalid_argument);
}

TEST_CASE("text cut off before the first digit of its port is refused") {
    std::string const text = "[2001:db8::1%7]:65535";
    std::size_t const first_port_digit = text.find("]:") + 2;
    for (std::size_t length = 0; length < text.size(); ++length) {
        CAPTURE(length);
        CHECK(address::parse(std::string_view(text).substr(0, length)).has_value() ==
              (length > first_port_digit));
    }
}

TEST_CASE("a host is read without brackets and without a port") {
    CHECK(*address::parse("127.0.0.1", 80) == parsed("127.0.0.1:80"));
    CHECK(*address::parse("::1", 80) == parsed("[::1]:80"));
    CHECK(*address::parse("::", 0) == parsed("[::]:0"));
    CHECK(*address::parse("fe80::1%3", 65535) == parsed("[fe80::1%3]:65535"));
    for (std::string_view const host : {
             ""sv,
             "[::1]"sv,
             "::1]"sv,
             "127.0.0.1:80"sv,
             "127.0.0.1 "sv,
             "127.0.0.1%1"sv,
             "127.0.0.1\0"sv,
             "::1\0"sv,
             "localhost"sv,
             "%1"sv,
             "::1%"sv,
             ":"sv,
         }) {
        CAPTURE(host);
        CHECK(address::parse(host, 80).error() == std::errc::invalid_argument);
    }
}

TEST_CASE("the name of an interface reads as its index") {
    std::array<char, IF_NAMESIZE> name{};
    unsigned index = 1;
    while (index < 64 && ::if_indextoname(index, name.data()) == nullptr) {
        ++index;
    }
    if (index == 64) {
        WEFT_SKIP("no network interface among the first indices");
    }
    CAPTURE(name.data());
    address const by_name = parsed("[fe80::1%" + std::string(name.data()) + "]:80");
    CHECK(by_name.scope() == index);
    CHECK(by_name == parsed("[fe80::1%" + std::to_string(index) + "]:80"));
    CHECK(by_name.to_string() == "[fe80::1%" + std::to_string(index) + "]:80");
}

TEST_CASE("a scope that names no interface is told apart from text that is no address") {
    for (std::string_view const text : {
             "[fe80::1%weft-none]:80"sv,
             "[fe80::1%0]:80"sv,
             "[fe80::1%02]:80"sv,
             "[fe80::1%4294967296]:80"sv,
             "[fe80::1%-1]:80"sv,
             "[fe80::1% 2]:80"sv,
             "[fe80::1%weft]none]:80"sv,
             "[fe80::1%weft%none]:80"sv,
         }) {
        CAPTURE(text);
        CHECK(address::parse(text).error() == std::errc::no_such_device);
    }
}

TEST_CASE("the named addresses are the ones that their text says") {
    CHECK(address::any_v4(80) == parsed("0.0.0.0:80"));
    CHECK(address::any_v6(80) == parsed("[::]:80"));
    CHECK(address::loopback_v4(80) == parsed("127.0.0.1:80"));
    CHECK(address::loopback_v6(80) == parsed("[::1]:80"));
}

TEST_CASE("each address is of exactly one family") {
    address const four = address::loopback_v4(1);
    CHECK(four.is_v4());
    CHECK_FALSE(four.is_v6());
    CHECK(four.family() == AF_INET);
    CHECK(four.size() == sizeof(::sockaddr_in));

    for (address const& six : {address::loopback_v6(1), parsed("[::ffff:127.0.0.1]:1")}) {
        CHECK(six.is_v6());
        CHECK_FALSE(six.is_v4());
        CHECK(six.family() == AF_INET6);
        CHECK(six.size() == sizeof(::sockaddr_in6));
    }
}

TEST_CASE("unspecified and loopback addresses are recognised") {
    for (std::string_view const text : {"0.0.0.0:0"sv, "0.0.0.0:80"sv, "[::]:0"sv, "[::%2]:80"sv}) {
        CAPTURE(text);
        CHECK(parsed(text).is_unspecified());
        CHECK_FALSE(parsed(text).is_loopback());
    }
    for (std::string_view const text :
         {"127.0.0.1:0"sv, "127.255.255.255:80"sv, "127.0.0.0:1"sv, "[::1]:0"sv, "[::1%2]:80"sv}) {
        CAPTURE(text);
        CHECK(parsed(text).is_loopback());
        CHECK_FALSE(parsed(text).is_unspecified());
    }
    for (std::string_view const text : {"126.255.255.255:80"sv,
                                        "128.0.0.0:80"sv,
                                        "0.0.0.1:0"sv,
                                        "1.0.0.127:0"sv,
                                        "[::2]:0"sv,
                                        "[1::]:0"sv,
                                        "[1::1]:0"sv,
                                        "[::ffff:127.0.0.1]:80"sv,
                                        "[::ffff:0.0.0.0]:0"sv}) {
        CAPTURE(text);
        CHECK_FALSE(parsed(text).is_unspecified());
        CHECK_FALSE(parsed(text).is_loopback());
    }
}

TEST_CASE("with_port changes the port and nothing else") {
    for (std::string_view const host : {"10.1.2.3"sv, "fe80::1%2"sv}) {
        address const before = *address::parse(host, 0x1234);
        address const after = before.with_port(0xfedc);
        CHECK(before.port() == 0x1234);
        CHECK(after.port() == 0xfedc);
        CHECK(after == *address::parse(host, 0xfedc));
        CHECK(after.with_port(0x1234) == before);
    }
}

TEST_CASE("only IPv6 addresses have a scope") {
    CHECK(parsed("[fe80::1%7]:80").scope() == 7);
    CHECK(parsed("[fe80::1]:80").scope() == 0);
    CHECK(parsed("10.0.0.1:80").scope() == 0);
}

TEST_CASE("addresses are ordered by family, number, scope and port") {
    std::vector<address> ascending;
    for (std::string_view const text : {
             "0.0.0.0:0"sv,       "1.0.0.2:9"sv,
             "2.0.0.1:1"sv,       "2.0.0.1:256"sv,
             "2.0.0.1:511"sv,     "2.0.0.1:512"sv,
             "128.0.0.1:0"sv,     "255.255.255.255:65535"sv,
             "[::]:0"sv,          "[::1]:65535"sv,
             "[::2]:0"sv,         "[::ffff:0:0]:0"sv,
             "[1::]:0"sv,         "[fe80::1]:300"sv,
             "[fe80::1%1]:200"sv, "[fe80::1%2]:100"sv,
             "[fe80::1%256]:2"sv, "[fe80::1%256]:256"sv,
             "[fe80::2]:0"sv,
         }) {
        ascending.push_back(parsed(text));
    }
    for (std::size_t left = 0; left < ascending.size(); ++left) {
        for (std::size_t right = 0; right < ascending.size(); ++right) {
            CAPTURE(ascending[left].to_string());
            CAPTURE(ascending[right].to_string());
            CHECK((ascending[left] <=> ascending[right]) == (left <=> right));
            CHECK((ascending[left] == ascending[right]) == (left == right));
        }
    }
}

TEST_CASE("hashes tell a hundred ports of one address apart") {
    std::vector<std::size_t> hashes;
    hashes.reserve(100);
    for (std::uint16_t port = 0; port < 100; ++port) {
        hashes.push_back(std::hash<address>()(address::loopback_v4(port)));
    }
    std::ranges::sort(hashes);
    CHECK(std::ranges::adjacent_find(hashes) == hashes.end());
}

TEST_CASE("bytes of a socket address that are not part of the value are left behind") {
    ::sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(80);
    four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memset(four.sin_zero, 0xff, sizeof four.sin_zero);
    auto const made = address::from_sockaddr(erased(&four), sizeof four);
    REQUIRE(made.has_value());
    CHECK(are_one_value(*made, address::loopback_v4(80)));

    ::sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(80);
    six.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    six.sin6_flowinfo = htonl(0x000f'ffff);
    CHECK(are_one_value(from(six), address::loopback_v6(80)));
}

TEST_CASE("a socket address may be longer than its family needs, but not shorter") {
    for (address const& whole : {parsed("10.1.2.3:80"), parsed("[fe80::1%2]:80")}) {
        ::sockaddr_storage storage{};
        std::memcpy(&storage, whole.data(), whole.size());
        for (std::size_t length = 0; length <= sizeof storage; ++length) {
            CAPTURE(length);
            auto const made = address::from_sockaddr(erased(&storage), length);
            if (length < whole.size()) {
                CHECK(made.error() == std::errc::invalid_argument);
            } else {
                REQUIRE(made.has_value());
                CHECK(*made == whole);
            }
        }
    }
    CHECK(address::from_sockaddr(nullptr, 0).error() == std::errc::invalid_argument);
}

TEST_CASE("a socket address is read from any alignment and not beyond its length") {
    for (address const& whole : {parsed("10.1.2.3:80"), parsed("[fe80::1%2]:80")}) {
        std::vector<unsigned char> exact(whole.size() + 1);
        std::memcpy(exact.data() + 1, whole.data(), whole.size());
        auto const made = address::from_sockaddr(erased(exact.data() + 1), whole.size());
        REQUIRE(made.has_value());
        CHECK(*made == whole);
    }
}

TEST_CASE("a socket address of another family is refused") {
    ::sockaddr_un local{};
    local.sun_family = AF_UNIX;
    CHECK(address::from_sockaddr(erased(&local), sizeof local).error() ==
          std::errc::address_family_not_supported);
    // What the kernel gives for a peer without a name: the family alone.
    CHECK(address::from_sockaddr(erased(&local), sizeof local.sun_family).error() ==
          std::errc::address_family_not_supported);
    ::sockaddr_storage const unspecified{};
    CHECK(address::from_sockaddr(erased(&unspecified), sizeof unspecified).error() ==
          std::errc::address_family_not_supported);
}

namespace {

/// Binds to a free port of `wanted` and gives what the kernel says the socket is bound to.
weft::result<address> bound_to(address const& wanted) {
    weft::unique_fd const socket(::socket(wanted.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket || ::bind(socket.value(), wanted.data(), wanted.size()) != 0) {
        return weft::failure(std::error_code(errno, std::system_category()));
    }
    ::sockaddr_storage storage{};
    ::socklen_t length = sizeof storage;
    void* const target = &storage;
    if (::getsockname(socket.value(), static_cast<::sockaddr*>(target), &length) != 0) {
        return weft::failure(std::error_code(errno, std::system_category()));
    }
    return address::from_sockaddr(erased(&storage), length);
}

}  // namespace

TEST_CASE("the kernel understands an IPv4 address and gives it back") {
    auto const given = bound_to(address::loopback_v4(0));
    REQUIRE(given.has_value());
    CHECK(given->port() != 0);
    CHECK(*given == address::loopback_v4(given->port()));
}

TEST_CASE("the kernel understands an IPv6 address and gives it back") {
    auto const given = bound_to(address::loopback_v6(0));
    if (given.error() == std::errc::address_family_not_supported ||
        given.error() == std::errc::address_not_available) {
        WEFT_SKIP("no IPv6 loopback on this machine");
    }
    REQUIRE(given.has_value());
    CHECK(given->port() != 0);
    CHECK(*given == address::loopback_v6(given->port()));
}
