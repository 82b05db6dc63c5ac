#pragma once

/// What stands in for runtime/base/atomic.hpp in a model: atomics and fences whose every operation
/// is a step of the stepper. The interface is the part of std::atomic that the library uses. The
/// compiler is told to include this file first.

#define WEFT_ATOMICS_REPLACED 1

#include <weft/runtime/base/config.hpp>
#include <weft/tests/model/stepper.hpp>

#include <cstring>
#include <type_traits>

// What the checker does is not watched (watch.cpp).
#if defined(__clang__)
#pragma clang attribute push(__attribute__((no_sanitize("thread"))), apply_to = function)
#endif

namespace weft::model {

template <class T>
class atomic {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t));

public:
    constexpr atomic() noexcept : atomic(T{}) {}

    constexpr atomic(T value) noexcept : value_(value) {
        if (!std::is_constant_evaluated()) {
            construct(cell_);
        }
    }

    atomic(atomic const&) = delete;
    atomic& operator=(atomic const&) = delete;

    constexpr ~atomic() {
        if (!std::is_constant_evaluated()) {
            destroy(cell_);
        }
    }

    [[nodiscard]] T load(order how, site where = site::current()) const noexcept {
        if (!exploring()) {
            return value_;
        }
        begin(cell_, to_word(value_), where);
        return from_word(model::load(cell_, how, where));
    }

    void store(T value, order how, site where = site::current()) noexcept {
        if (!exploring()) {
            value_ = value;
            return;
        }
        begin(cell_, to_word(value_), where);
        model::store(cell_, to_word(value), how, where);
    }

    T exchange(T value, order how, site where = site::current()) noexcept {
        return change([value](T) { return value; }, how, where);
    }

    T fetch_add(T value, order how, site where = site::current()) noexcept {
        return change([value](T old) { return static_cast<T>(old + value); }, how, where);
    }

    T fetch_sub(T value, order how, site where = site::current()) noexcept {
        return change([value](T old) { return static_cast<T>(old - value); }, how, where);
    }

    T fetch_and(T value, order how, site where = site::current()) noexcept {
        return change([value](T old) { return static_cast<T>(old & value); }, how, where);
    }

    T fetch_or(T value, order how, site where = site::current()) noexcept {
        return change([value](T old) { return static_cast<T>(old | value); }, how, where);
    }

    bool compare_exchange_strong(
        T& expected, T value, order success, order failure, site where = site::current()) noexcept {
        return compare_exchange(expected, value, {success, failure, false}, where);
    }

    bool compare_exchange_weak(
        T& expected, T value, order success, order failure, site where = site::current()) noexcept {
        return compare_exchange(expected, value, {success, failure, true}, where);
    }

private:
    [[nodiscard]] static std::uint64_t to_word(T value) noexcept {
        std::uint64_t word = 0;
        std::memcpy(&word, &value, sizeof value);
        return word;
    }

    [[nodiscard]] static T from_word(std::uint64_t word) noexcept {
        T value{};
        std::memcpy(&value, &word, sizeof value);
        return value;
    }

    template <class Change>
    T change(Change next, order how, site where) noexcept {
        if (!exploring()) {
            T const old = value_;
            value_ = next(old);
            return old;
        }
        begin(cell_, to_word(value_), where);
        T const old = from_word(newest(cell_));
        modify(cell_, to_word(next(old)), how, where);
        return old;
    }

    bool compare_exchange(T& expected, T value, exchange_orders how, site where) noexcept {
        if (!exploring()) {
            bool const same = to_word(value_) == to_word(expected);
            (same ? value_ : expected) = same ? value : value_;
            return same;
        }
        begin(cell_, to_word(value_), where);
        std::uint64_t word = to_word(expected);
        bool const done = model::compare_exchange(cell_, word, to_word(value), how, where);
        expected = from_word(word);
        return done;
    }

    T value_;
    mutable cell cell_;
};

}  // namespace weft::model

namespace weft::detail {

template <class T>
using atomic = model::atomic<T>;

inline constexpr model::order relaxed = model::order::relaxed;
inline constexpr model::order acquire = model::order::acquire;
inline constexpr model::order release = model::order::release;
inline constexpr model::order acq_rel = model::order::acq_rel;
inline constexpr model::order seq_cst = model::order::seq_cst;

inline void compiler_fence() noexcept {}

inline void fence_seq_cst(model::site where = model::site::current()) noexcept {
    model::fence(model::fence_kind::full, where);
}

inline void fence_light(model::site where = model::site::current()) noexcept {
    model::fence(model::fence_kind::light, where);
}

inline void fence_heavy(model::site where = model::site::current()) noexcept {
    model::fence(model::fence_kind::heavy, where);
}

inline bool init_asymmetric_fence() noexcept {
    return true;
}

inline void cpu_relax() noexcept {
    model::yield();
}

}  // namespace weft::detail

#if defined(__clang__)
#pragma clang attribute pop
#endif
