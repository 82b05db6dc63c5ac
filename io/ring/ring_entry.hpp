#pragma once

/// What a kind of operation fills in when a ring is to do it.

#include <weft/io/ring/uring_options.hpp>

#include <liburing.h>

namespace weft::detail {

/// An entry of the submission queue. The kernel reads it, and what it points to besides buffers and
/// results, when it takes the entry (SUBMIT_STABLE); the driver sets its user_data afterwards.
struct ring_entry {
    ::io_uring_sqe* sqe;
    uring_features offers;  ///< what this kernel understands
};

}  // namespace weft::detail
