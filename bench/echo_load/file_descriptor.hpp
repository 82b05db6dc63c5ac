#pragma once

#include <utility>

#include <unistd.h>

namespace echo_load {

/// An owned descriptor; -1 owns nothing.
class file_descriptor {
public:
    file_descriptor() = default;

    explicit file_descriptor(int value) noexcept : value_(value) {}

    file_descriptor(file_descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}

    file_descriptor& operator=(file_descriptor other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }

    ~file_descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }

    int value() const noexcept { return value_; }

private:
    int value_ = -1;
};

}  // namespace echo_load
