#pragma once

/// Operations on descriptors of any kind.

#include <weft/io/op/io_error.hpp>
#include <weft/io/op/op.hpp>

namespace weft::detail {

/// Ends with 0 once a receive, an accept or a read would not wait. Takes nothing.
extern io_kind const readable_kind;

/// Closes a descriptor whose gate is shut and drained already. Ends with 0, or stopped.
extern io_kind const close_kind;

/// The wait for something to read.
class readiness : public io_op {
public:
    /// An error names the operation, "wait for" unless it is called something else, and the object.
    readiness(descriptor_state& where,
              io_object const& object,
              char const* operation = readable_kind.name) noexcept
        : io_op(readable_kind, where)
        , object_(object)
        , operation_(operation) {}

    /// Requires: `unstarted` has not been started.
    readiness(readiness&& unstarted) noexcept
        : readiness(*unstarted.descriptor, unstarted.object_, unstarted.operation_) {}

    readiness& operator=(readiness&&) = delete;

    [[nodiscard]] bool is_empty() const noexcept { return false; }

    [[nodiscard]] result<void> outcome() const noexcept;

    void count_or_throw() const;

private:
    io_object object_;
    char const* operation_;
};

class close_op : public io_op {
public:
    /// Past the gate.
    explicit close_op(int owned) noexcept : io_op(close_kind), fd(owned) {}

    int const fd;
};

}  // namespace weft::detail
