#pragma once

/// Room for the value of a task of any type: an object, a reference, which is kept as a pointer, or
/// nothing. Whether there is a value its owner knows, and ends it.

#include <weft/runtime/base/config.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class T>
class outcome_slot {
    static constexpr bool is_void = std::is_void_v<T>;
    static constexpr bool is_reference = std::is_reference_v<T>;

    struct nothing {};

    using lvalue = std::add_lvalue_reference_t<T>;

public:
    using stored = std::conditional_t<
        is_void,
        nothing,
        std::conditional_t<is_reference, std::remove_reference_t<T>*, std::remove_cv_t<T>>>;

    static constexpr bool moves_without_throwing = std::is_nothrow_move_constructible_v<stored>;

    outcome_slot() noexcept {}

    outcome_slot(outcome_slot const&) = delete;
    outcome_slot& operator=(outcome_slot const&) = delete;

    ~outcome_slot() {}

    /// Where the value goes.
    [[nodiscard]] void* place() noexcept {
        if constexpr (is_over_aligned) {
            auto const address = reinterpret_cast<std::uintptr_t>(&storage_);
            return storage_ + (-address & (alignof(stored) - 1));
        } else {
            return storage_;
        }
    }

    template <class... Arguments>
    void emplace(Arguments&&... arguments) noexcept(
        std::is_nothrow_constructible_v<stored, Arguments&&...>) {
        ::new (place()) stored(static_cast<Arguments&&>(arguments)...);
    }

    /// Requires: `ended` has a value to give by take_value().
    template <class Ended>
    void put(Ended& ended) noexcept(moves_without_throwing) {
        if constexpr (is_void) {
            emplace();
        } else if constexpr (is_reference) {
            auto&& reference = ended.take_value();
            emplace(__builtin_addressof(reference));
        } else {
            emplace(ended.take_value());
        }
    }

    // --- with a value ----------------------------------------------------------------------

    [[nodiscard]] stored& kept() noexcept { return *std::launder(static_cast<stored*>(place())); }

    [[nodiscard]] stored const& kept() const noexcept {
        return const_cast<outcome_slot*>(this)->kept();
    }

    [[nodiscard]] lvalue value() noexcept {
        if constexpr (is_reference) {
            return *kept();
        } else if constexpr (!is_void) {
            return kept();
        }
    }

    /// Moves the value out; it has still to be ended.
    [[nodiscard]] T take() noexcept(moves_without_throwing) {
        if constexpr (!is_void) {
            return static_cast<T&&>(value());
        }
    }

    void end() noexcept { kept().~stored(); }

private:
    // Placed by hand where a coroutine frame might not be aligned enough.
    static constexpr bool is_over_aligned = alignof(stored) > alignof(std::max_align_t);

    alignas(is_over_aligned ? alignof(std::max_align_t) : alignof(stored)) unsigned char storage_
        [is_over_aligned ? sizeof(stored) + alignof(stored) : sizeof(stored)];
};

}  // namespace weft::detail
