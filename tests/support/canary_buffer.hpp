#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace weft::test {

/// A buffer that knows when somebody wrote where he must not: guard bytes stand on both sides, and
/// once the buffer is retired its bytes are guards too. It catches what sanitizers cannot see:
/// writes by the kernel.
class canary_buffer {
public:
    static constexpr std::size_t guard_size = 64;

    explicit canary_buffer(std::size_t size) : memory_(size + 2 * guard_size) { plant(memory_, 0); }

    /// The bytes that may be written.
    [[nodiscard]] std::span<std::byte> bytes() noexcept {
        return std::span(memory_).subspan(guard_size, size());
    }

    [[nodiscard]] std::size_t size() const noexcept { return memory_.size() - 2 * guard_size; }

    /// From now on nobody may write to bytes() either: the operation that used them has ended.
    void retire() noexcept {
        plant(bytes(), guard_size);
        retired_ = true;
    }

    /// False when a guard byte has changed.
    [[nodiscard]] bool is_intact() const noexcept {
        auto const all = std::span(memory_);
        if (retired_) {
            return holds_guards(all, 0);
        }
        return holds_guards(all.first(guard_size), 0) &&
               holds_guards(all.last(guard_size), guard_size + size());
    }

private:
    /// Differs from its neighbours, so that guards copied one place off are noticed.
    [[nodiscard]] static std::byte guard_at(std::size_t index) noexcept {
        return static_cast<std::byte>(0xA5 ^ (index * 29));
    }

    static void plant(std::span<std::byte> where, std::size_t index) noexcept {
        std::ranges::generate(where, [&index] { return guard_at(index++); });
    }

    [[nodiscard]] static bool holds_guards(std::span<std::byte const> where,
                                           std::size_t index) noexcept {
        return std::ranges::all_of(where,
                                   [&index](std::byte each) { return each == guard_at(index++); });
    }

    std::vector<std::byte> memory_;
    bool retired_ = false;
};

}  // namespace weft::test
