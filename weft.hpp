#pragma once

/// Everything that is public.

#include <weft/io/address.hpp>
#include <weft/io/buffer.hpp>
#include <weft/io/runtime.hpp>
#include <weft/io/socket_options.hpp>
#include <weft/io/tcp.hpp>
#include <weft/runtime/as_result.hpp>
#include <weft/runtime/base/error.hpp>
#include <weft/runtime/base/result.hpp>
#include <weft/runtime/core/stop_token.hpp>
#include <weft/runtime/runtime_base.hpp>
#include <weft/runtime/scope.hpp>
#include <weft/runtime/sleep.hpp>
#include <weft/runtime/task.hpp>
#include <weft/runtime/thread_pool.hpp>
#include <weft/runtime/timeout.hpp>
#include <weft/runtime/when_all.hpp>
