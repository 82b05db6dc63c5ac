#pragma once

/// Constants of newer kernels that the io_uring headers of older distributions lack. Our own names,
/// so that nothing clashes when the headers catch up; the numbers are the kernel's stable ABI.

namespace weft::detail::uring_abi {

/// io_uring_params::flags (6.6): no indirection array between the submission ring and its entries.
inline constexpr unsigned setup_no_sqarray = 1U << 16U;

/// io_uring_params::features (6.15): the next flag is understood.
inline constexpr unsigned feat_no_iowait = 1U << 17U;

/// io_uring_enter flags (6.15): a waiting thread does not count as waiting for a disk.
inline constexpr unsigned enter_no_iowait = 1U << 7U;

}  // namespace weft::detail::uring_abi
