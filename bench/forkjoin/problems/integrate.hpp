#pragma once

// The integral of (x² + 1)·x from 0 to n by adaptive quadrature: an interval is halved until its
// halves' trapezoids hold the area of its own. Small tasks in a tree that is deeper where x is
// larger.

#include <cmath>
#include <cstdint>

namespace forkjoin {

inline constexpr std::uint64_t integrate_size = 10'000;
inline constexpr std::uint64_t integrate_size_max = 100'000;
inline constexpr double integrate_tolerance = 1e-9;

constexpr double integrand(double x) noexcept {
    return (x * x + 1) * x;
}

/// The area under a chord of the integrand.
struct trapezoid {
    static trapezoid between(double left, double right) noexcept {
        return between(left, integrand(left), right, integrand(right));
    }

    static trapezoid between(double left,
                             double left_value,
                             double right,
                             double right_value) noexcept {
        return {
            left, left_value, right, right_value, (left_value + right_value) / 2 * (right - left)};
    }

    double left;
    double left_value;
    double right;
    double right_value;
    double area;
};

/// A trapezoid's two halves, which follow the integrand more closely.
struct refinement {
    explicit refinement(trapezoid const& of) noexcept
        : refinement(of, of.left + (of.right - of.left) / 2) {}

    [[nodiscard]] double area() const noexcept { return left.area + right.area; }

    [[nodiscard]] bool is_close_to(trapezoid const& whole) const noexcept {
        return std::fabs(area() - whole.area) < integrate_tolerance;
    }

    trapezoid left;
    trapezoid right;

private:
    refinement(trapezoid const& of, double middle) noexcept
        : refinement(of, middle, integrand(middle)) {}

    refinement(trapezoid const& of, double middle, double value) noexcept
        : left(trapezoid::between(of.left, of.left_value, middle, value))
        , right(trapezoid::between(middle, value, of.right, of.right_value)) {}
};

/// The trapezoids lie above the curve, and each is off by the tolerance at most.
inline bool is_integral_to(double end, double answer) noexcept {
    double const exact = end * end * (end * end + 2) / 4;
    return std::fabs(answer - exact) <= 1e-9 * exact;
}

}  // namespace forkjoin
