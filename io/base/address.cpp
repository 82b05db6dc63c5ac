#include <weft/io/base/address.hpp>

#include <weft/io/sys/sys.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <type_traits>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace weft {

namespace {

static_assert(sizeof(address) == sizeof(::sockaddr_in6));
static_assert(alignof(address) >= alignof(::sockaddr_in6));
static_assert(alignof(address) >= alignof(::sockaddr_in));
static_assert(std::is_trivially_copyable_v<address>);
static_assert(offsetof(::sockaddr, sa_family) == 0);

[[nodiscard]] failure malformed() noexcept {
    return failure(std::errc::invalid_argument);
}

/// A C string in place, for system calls. `text` is shorter than `Size` and has no zero byte.
template <std::size_t Size>
class c_string {
public:
    [[nodiscard]] static bool fits(std::string_view text) noexcept {
        return text.size() < Size && text.find('\0') == std::string_view::npos;
    }

    explicit c_string(std::string_view text) noexcept {
        WEFT_ASSERT(fits(text), "the text does not fit");
        std::ranges::copy(text, characters_.begin());
    }

    [[nodiscard]] char const* data() const noexcept { return characters_.data(); }

private:
    std::array<char, Size> characters_{};
};

/// Decimal digits and nothing else, no leading zeros; nothing if that is not what `text` is.
template <class Number>
[[nodiscard]] std::optional<Number> parse_number(std::string_view text) noexcept {
    if (text.size() > 1 && text.front() == '0') {
        return std::nullopt;
    }
    Number number = 0;
    char const* const begin = text.data();
    char const* const end = begin + text.size();
    auto const [stopped_at, error] = std::from_chars(begin, end, number);
    if (error != std::errc() || stopped_at != end) {
        return std::nullopt;
    }
    return number;
}

/// An index other than 0, or the name of an interface.
[[nodiscard]] result<std::uint32_t> parse_scope(std::string_view text) noexcept {
    if (auto const index = parse_number<std::uint32_t>(text); index && *index != 0) {
        return *index;
    }
    using name = c_string<IF_NAMESIZE>;
    if (text.empty() || !name::fits(text)) {
        return malformed();
    }
    int const index = detail::sys::interface_index(name(text).data());
    if (index < 0) {
        return failure(std::error_code(-index, std::system_category()));
    }
    return static_cast<std::uint32_t>(index);
}

[[nodiscard]] result<::sockaddr_in> parse_v4(std::string_view host, std::uint16_t port) noexcept {
    using dotted = c_string<INET_ADDRSTRLEN>;
    ::sockaddr_in parsed{};
    parsed.sin_family = AF_INET;
    parsed.sin_port = htons(port);
    if (!dotted::fits(host) || ::inet_pton(AF_INET, dotted(host).data(), &parsed.sin_addr) != 1) {
        return malformed();
    }
    return parsed;
}

[[nodiscard]] result<::sockaddr_in6> parse_v6(std::string_view host, std::uint16_t port) noexcept {
    using groups = c_string<INET6_ADDRSTRLEN>;
    std::size_t const percent = host.find('%');
    std::string_view const number = host.substr(0, percent);
    ::sockaddr_in6 parsed{};
    parsed.sin6_family = AF_INET6;
    parsed.sin6_port = htons(port);
    if (!groups::fits(number) ||
        ::inet_pton(AF_INET6, groups(number).data(), &parsed.sin6_addr) != 1) {
        return malformed();
    }
    if (percent != std::string_view::npos) {
        auto const scope = parse_scope(host.substr(percent + 1));
        if (!scope) {
            return failure(scope.error());
        }
        parsed.sin6_scope_id = *scope;
    }
    return parsed;
}

/// `Target` is the structure that `source` holds: the caller has looked at the family.
template <class Target>
[[nodiscard]] Target copy_as(void const* source) noexcept {
    Target target;
    std::memcpy(&target, source, sizeof target);
    return target;
}

[[nodiscard]] ::sockaddr_in as_v4(address const& from) noexcept {
    return copy_as<::sockaddr_in>(from.data());
}

[[nodiscard]] ::sockaddr_in6 as_v6(address const& from) noexcept {
    return copy_as<::sockaddr_in6>(from.data());
}

}  // namespace

address::address(::sockaddr_in const& source) noexcept {
    ::sockaddr_in kept{};
    kept.sin_family = AF_INET;
    kept.sin_port = source.sin_port;
    kept.sin_addr = source.sin_addr;
    std::memcpy(bytes_.data(), &kept, sizeof kept);
}

address::address(::sockaddr_in6 const& source) noexcept {
    ::sockaddr_in6 kept{};
    kept.sin6_family = AF_INET6;
    kept.sin6_port = source.sin6_port;
    kept.sin6_addr = source.sin6_addr;
    kept.sin6_scope_id = source.sin6_scope_id;
    std::memcpy(bytes_.data(), &kept, sizeof kept);
}

address::address(std::string_view text) {
    auto const parsed = parse(text);
    if (!parsed) {
        throw std::system_error(parsed.error(), "address \"" + std::string(text) + '"');
    }
    *this = *parsed;
}

result<address> address::parse(std::string_view text) noexcept {
    std::size_t const colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return malformed();
    }
    auto const port = parse_number<std::uint16_t>(text.substr(colon + 1));
    if (!port) {
        return malformed();
    }
    std::string_view host = text.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        return parse_v6(host, *port).transform([](auto const& parsed) { return address(parsed); });
    }
    return parse_v4(host, *port).transform([](auto const& parsed) { return address(parsed); });
}

result<address> address::parse(std::string_view host, std::uint16_t port) noexcept {
    if (host.find(':') != std::string_view::npos) {
        return parse_v6(host, port).transform([](auto const& parsed) { return address(parsed); });
    }
    return parse_v4(host, port).transform([](auto const& parsed) { return address(parsed); });
}

result<address> address::from_sockaddr(::sockaddr const* source, std::size_t length) noexcept {
    if (length < sizeof(::sa_family_t)) {
        return malformed();
    }
    switch (copy_as<::sa_family_t>(source)) {
        case AF_INET:
            if (length < sizeof(::sockaddr_in)) {
                return malformed();
            }
            return address(copy_as<::sockaddr_in>(source));
        case AF_INET6:
            if (length < sizeof(::sockaddr_in6)) {
                return malformed();
            }
            return address(copy_as<::sockaddr_in6>(source));
        default:
            return failure(std::errc::address_family_not_supported);
    }
}

address address::any_v4(std::uint16_t port) noexcept {
    ::sockaddr_in any{};
    any.sin_port = htons(port);
    any.sin_addr.s_addr = htonl(INADDR_ANY);
    return address(any);
}

address address::any_v6(std::uint16_t port) noexcept {
    ::sockaddr_in6 any{};
    any.sin6_port = htons(port);
    any.sin6_addr = IN6ADDR_ANY_INIT;
    return address(any);
}

address address::loopback_v4(std::uint16_t port) noexcept {
    ::sockaddr_in loopback{};
    loopback.sin_port = htons(port);
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address(loopback);
}

address address::loopback_v6(std::uint16_t port) noexcept {
    ::sockaddr_in6 loopback{};
    loopback.sin6_port = htons(port);
    loopback.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    return address(loopback);
}

bool address::is_v4() const noexcept {
    return family() == AF_INET;
}

bool address::is_v6() const noexcept {
    return family() == AF_INET6;
}

bool address::is_unspecified() const noexcept {
    if (is_v4()) {
        return as_v4(*this).sin_addr.s_addr == htonl(INADDR_ANY);
    }
    auto const parts = as_v6(*this);
    return IN6_IS_ADDR_UNSPECIFIED(&parts.sin6_addr);
}

bool address::is_loopback() const noexcept {
    if (is_v4()) {
        return ntohl(as_v4(*this).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    auto const parts = as_v6(*this);
    return IN6_IS_ADDR_LOOPBACK(&parts.sin6_addr);
}

std::uint16_t address::port() const noexcept {
    return ntohs(is_v4() ? as_v4(*this).sin_port : as_v6(*this).sin6_port);
}

address address::with_port(std::uint16_t port) const noexcept {
    if (is_v4()) {
        auto changed = as_v4(*this);
        changed.sin_port = htons(port);
        return address(changed);
    }
    auto changed = as_v6(*this);
    changed.sin6_port = htons(port);
    return address(changed);
}

std::uint32_t address::scope() const noexcept {
    return is_v4() ? 0 : as_v6(*this).sin6_scope_id;
}

std::string address::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> host{};
    std::string text;
    if (is_v4()) {
        auto const parts = as_v4(*this);
        text = ::inet_ntop(AF_INET, &parts.sin_addr, host.data(), host.size());
    } else {
        auto const parts = as_v6(*this);
        text = '[';
        text += ::inet_ntop(AF_INET6, &parts.sin6_addr, host.data(), host.size());
        if (parts.sin6_scope_id != 0) {
            text += '%';
            text += std::to_string(parts.sin6_scope_id);
        }
        text += ']';
    }
    text += ':';
    text += std::to_string(port());
    return text;
}

int address::family() const noexcept {
    return copy_as<::sa_family_t>(bytes_.data());
}

::sockaddr const* address::data() const noexcept {
    return reinterpret_cast<::sockaddr const*>(&bytes_);
}

unsigned address::size() const noexcept {
    return is_v4() ? sizeof(::sockaddr_in) : sizeof(::sockaddr_in6);
}

std::strong_ordering address::compare(address const& other) const noexcept {
    if (is_v4() != other.is_v4()) {
        return is_v4() ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    // Addresses are in network order, so that the order of their bytes is that of the numbers.
    int order = 0;
    if (is_v4()) {
        auto const left = as_v4(*this);
        auto const right = as_v4(other);
        order = std::memcmp(&left.sin_addr, &right.sin_addr, sizeof left.sin_addr);
    } else {
        auto const left = as_v6(*this);
        auto const right = as_v6(other);
        order = std::memcmp(&left.sin6_addr, &right.sin6_addr, sizeof left.sin6_addr);
    }
    if (order != 0) {
        return order <=> 0;
    }
    if (scope() != other.scope()) {
        return scope() <=> other.scope();
    }
    return port() <=> other.port();
}

}  // namespace weft

std::size_t std::hash<weft::address>::operator()(weft::address const& value) const noexcept {
    // The bytes that are beyond a value's size are zero, and equal values are equal bytes.
    void const* const bytes = value.data();
    return std::hash<std::string_view>()({static_cast<char const*>(bytes), value.size()});
}
