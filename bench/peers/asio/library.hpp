#pragma once

// The one place that includes asio, so that every program configures it alike.

// NOLINTBEGIN(readability-identifier-naming): the names are asio's
#define ASIO_STANDALONE

// asio 1.22 looks for <experimental/coroutine> under clang and, not finding it, leaves its
// coroutines out, though they work there.
#if defined(__clang__) && !defined(ASIO_HAS_CO_AWAIT)
#define ASIO_HAS_CO_AWAIT 1
#endif
// NOLINTEND(readability-identifier-naming)

// g++ 12 sees a null dereference in asio's scheduler once it is inlined into the programs.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnull-dereference"
#include <asio.hpp>
#pragma GCC diagnostic pop
