#pragma once

/// A place for the value of a task of any type, a reference and none at all included.

#include <weft/runtime/values/outcome_slot.hpp>

#include <type_traits>

namespace weft::detail {

template <class T>
class kept_value {
public:
    kept_value() noexcept = default;
    kept_value(kept_value const&) = delete;
    kept_value& operator=(kept_value const&) = delete;

    ~kept_value() {
        if (has_value_) {
            slot_.end();
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return has_value_; }

    /// Requires: empty; the task has ended with a value.
    template <class Ended>
    void take_from(Ended& ended) {
        if constexpr (std::is_void_v<T>) {
            slot_.emplace();
        } else if constexpr (std::is_reference_v<T>) {
            T reference = ended.take();
            slot_.emplace(__builtin_addressof(reference));
        } else {
            slot_.emplace(ended.take());
        }
        has_value_ = true;
    }

    /// Requires: not empty. Moves the value out.
    T take() { return slot_.take(); }

    /// Requires: not empty. Gives a copy.
    T share() {
        if constexpr (std::is_reference_v<T>) {
            return slot_.take();
        } else if constexpr (!std::is_void_v<T>) {
            return slot_.value();
        }
    }

private:
    bool has_value_ = false;
    outcome_slot<T> slot_;
};

}  // namespace weft::detail
