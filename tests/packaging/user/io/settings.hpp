#pragma once

/// A header of the user's own, in a folder that is called like one of the library's.
namespace settings {

inline constexpr int answer = 42;

}  // namespace settings
