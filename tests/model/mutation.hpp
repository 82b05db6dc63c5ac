#pragma once

/// Weakens one memory order, or drops one fence, of the library while it runs.
///
/// Environment: WEFT_MODEL_MUTANT=<file>:<line>:<column>:<change> selects the place; the change is
/// the order that takes the place of the first, or `failure-relaxed` for the second one of a
/// compare-exchange, or `none` for a fence, or `own` for a heavy one that reaches nobody else.
/// WEFT_MODEL_SITES=<file> appends to that file the places that the program passed, with what they
/// do and the exploration that passed them.

#include <weft/tests/model/stepper.hpp>

namespace weft::model {

enum class fence_change : std::uint8_t { keep, none, own };

/// The order to use at this place.
[[nodiscard]] order mutate(order how, char const* operation, site where) noexcept;

/// The same for a compare-exchange.
[[nodiscard]] exchange_orders mutate(exchange_orders how, site where) noexcept;

[[nodiscard]] fence_change mutate(fence_kind kind, site where) noexcept;

/// Tells what passes the places from now on.
void begin_exploration(char const* name) noexcept;

/// The file of a place, as a path from the root of the sources.
[[nodiscard]] char const* file_of(site where) noexcept;

}  // namespace weft::model
