#pragma once

/// What nearly every test includes, parsed once for each folder of tests. None of the library's
/// headers: each test sees its subject as its own first lines do. A source that relies on this
/// header instead of naming what it uses does not build by g++ in `./dev ci`, which does without.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>
