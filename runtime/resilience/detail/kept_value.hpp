#pragma once

/// A place for the value of a task of any type, a reference and none at all included.

#include <optional>
#include <type_traits>
#include <utility>

namespace weft::detail {

template <class T>
class kept_value {
    static constexpr bool by_reference = std::is_reference_v<T>;

    struct nothing {};

    using stored =
        std::conditional_t<std::is_void_v<T>,
                           nothing,
                           std::conditional_t<by_reference, std::remove_reference_t<T>*, T>>;

public:
    [[nodiscard]] explicit operator bool() const noexcept { return kept_.has_value(); }

    /// Requires: the task has ended with a value.
    template <class Ended>
    void take_from(Ended& ended) {
        if constexpr (std::is_void_v<T>) {
            kept_.emplace();
        } else if constexpr (by_reference) {
            T reference = ended.take();
            kept_.emplace(__builtin_addressof(reference));
        } else {
            kept_.emplace(ended.take());
        }
    }

    /// Requires: not empty. Moves the value out.
    T take() {
        if constexpr (by_reference) {
            return static_cast<T>(*kept_.value());
        } else if constexpr (!std::is_void_v<T>) {
            return std::move(kept_.value());
        }
    }

    /// Requires: not empty. Gives a copy.
    T share() const {
        if constexpr (by_reference) {
            return static_cast<T>(*kept_.value());
        } else if constexpr (!std::is_void_v<T>) {
            return kept_.value();
        }
    }

private:
    std::optional<stored> kept_;
};

}  // namespace weft::detail
