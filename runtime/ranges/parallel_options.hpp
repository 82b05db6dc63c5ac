#pragma once

/// How much of a range is under way at a time.

#include <cstddef>

namespace weft {

/// For what works through a range item by item: `for_each(items, work, {.limit = 8})`.
struct parallel_options {
    std::size_t limit = 16;  ///< items at a time; at least 1
};

}  // namespace weft
