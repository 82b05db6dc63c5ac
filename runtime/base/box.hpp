#pragma once

/// Owns one heap object: std::unique_ptr without the weight of <memory>.

#include <weft/runtime/base/assert.hpp>

#include <utility>

namespace weft::detail {

template <class T>
class box {
public:
    box() noexcept = default;

    template <class... Arguments>
    [[nodiscard]] static box make(Arguments&&... arguments) {
        return box(new T(static_cast<Arguments&&>(arguments)...));
    }

    box(box&& other) noexcept : owned_(std::exchange(other.owned_, nullptr)) {}

    box& operator=(box&& other) noexcept {
        box(std::move(other)).swap(*this);
        return *this;
    }

    ~box() { delete owned_; }

    void swap(box& other) noexcept { std::swap(owned_, other.owned_); }

    [[nodiscard]] explicit operator bool() const noexcept { return owned_ != nullptr; }

    /// Null when empty.
    [[nodiscard]] T* address() const noexcept { return owned_; }

    [[nodiscard]] T& operator*() const noexcept {
        WEFT_ASSERT(owned_ != nullptr, "an empty box is opened");
        return *owned_;
    }

    [[nodiscard]] T* operator->() const noexcept { return &**this; }

private:
    explicit box(T* owned) noexcept : owned_(owned) {}

    T* owned_ = nullptr;
};

}  // namespace weft::detail
