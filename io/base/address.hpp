#pragma once

#include <weft/runtime/values/result.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct sockaddr;
struct sockaddr_in;
struct sockaddr_in6;

namespace weft {

/// An IPv4 or IPv6 address with a port: one end of a TCP or UDP conversation.
///
/// A small value, always of one of the two families. IPv6 addresses carry a scope: the index of the
/// interface on which a link-local address is meant, 0 for none. The flow label is not kept. An
/// IPv4 address mapped into IPv6 (`::ffff:127.0.0.1`) is an IPv6 address in every respect.
///
/// Thread safety: as for a plain value.
/// Cancellation: never suspends.
/// Lifetime: owns its bytes; trivially copyable. `data` points into the object.
/// Complexity: no allocation but `to_string`'s. Only parsing a scope given by name makes system
///     calls, to look the interface up; they do not wait.
/// Errors: given as results, or thrown by the constructor. Text that is no address is
///     `std::errc::invalid_argument`. A scope's name that cannot be looked up is what the lookup
///     said: `std::errc::no_such_device` when no interface has it, `std::errc::too_many_files_open`
///     when no descriptor was left to ask with.
class address {
public:
    /// Reads "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80" or "[fe80::1%2]:80", and nothing else:
    /// no host names, no spaces, no missing part. The port is decimal without leading zeros. A
    /// scope that can be read as an index is one, even where an interface of that name exists.
    [[nodiscard]] static result<address> parse(std::string_view text) noexcept;

    /// The same for text that ought to be right; throws std::system_error, which quotes it.
    explicit address(std::string_view text);

    /// Reads the host alone: "127.0.0.1", "::1" or "fe80::1%eth0", without brackets.
    [[nodiscard]] static result<address> parse(std::string_view host, std::uint16_t port) noexcept;

    /// Copies what a system call has filled in. A family other than the two is
    /// `std::errc::address_family_not_supported`; fewer bytes than the family needs are
    /// `std::errc::invalid_argument`. `source` needs no alignment and may be null if `length` is 0.
    [[nodiscard]] static result<address> from_sockaddr(::sockaddr const* source,
                                                       std::size_t length) noexcept;

    /// Every local IPv4 address: "0.0.0.0".
    [[nodiscard]] static address any_v4(std::uint16_t port) noexcept;

    /// Every local IPv6 address: "::".
    [[nodiscard]] static address any_v6(std::uint16_t port) noexcept;

    /// "127.0.0.1".
    [[nodiscard]] static address loopback_v4(std::uint16_t port) noexcept;

    /// "::1".
    [[nodiscard]] static address loopback_v6(std::uint16_t port) noexcept;

    [[nodiscard]] bool is_v4() const noexcept;
    [[nodiscard]] bool is_v6() const noexcept;

    /// 0.0.0.0 or ::, whatever the port and the scope.
    [[nodiscard]] bool is_unspecified() const noexcept;

    /// 127.0.0.0/8 or ::1, whatever the port and the scope.
    [[nodiscard]] bool is_loopback() const noexcept;

    [[nodiscard]] std::uint16_t port() const noexcept;

    /// The same address with another port.
    [[nodiscard]] address with_port(std::uint16_t port) const noexcept;

    /// The index of the interface; 0 for none, and for IPv4.
    [[nodiscard]] std::uint32_t scope() const noexcept;

    /// What `parse` reads back as an equal address: "127.0.0.1:80", "[::1]:80", "[fe80::1%2]:80".
    /// The scope is written as an index, which stays right when the interface is renamed.
    [[nodiscard]] std::string to_string() const;

    /// AF_INET or AF_INET6, for socket(2).
    [[nodiscard]] int family() const noexcept;

    /// The address and its length, for bind(2), connect(2) and sendto(2).
    [[nodiscard]] ::sockaddr const* data() const noexcept;
    [[nodiscard]] unsigned size() const noexcept;

    [[nodiscard]] friend bool operator==(address const&, address const&) noexcept = default;

    /// IPv4 before IPv6, then by the address as a number, then by scope, then by port.
    [[nodiscard]] friend std::strong_ordering operator<=>(address const& left,
                                                          address const& right) noexcept {
        return left.compare(right);
    }

private:
    // Copy what belongs to the value; every other byte is zero, so equal values are equal bytes.
    explicit address(::sockaddr_in const& source) noexcept;
    explicit address(::sockaddr_in6 const& source) noexcept;

    [[nodiscard]] std::strong_ordering compare(address const& other) const noexcept;

    // A sockaddr_in or a sockaddr_in6, told apart by the family at its beginning.
    alignas(4) std::array<unsigned char, 28> bytes_{};
};

}  // namespace weft

template <>
struct std::hash<weft::address> {
    [[nodiscard]] std::size_t operator()(weft::address const& value) const noexcept;
};
