#include <weft/runtime/resilience/backoff.hpp>

#include <weft/runtime/base/argument.hpp>

#include <algorithm>

namespace weft {

namespace {

std::int64_t nanoseconds(time_span length) noexcept {
    return static_cast<std::int64_t>(length.nanoseconds());
}

/// `base` times `factor`, at most `limit`.
std::int64_t scaled(std::int64_t base, double factor, std::int64_t limit) noexcept {
    double const product = static_cast<double>(base) * factor;
    return product < static_cast<double>(limit) ? static_cast<std::int64_t>(product) : limit;
}

}  // namespace

backoff::backoff(backoff_options const& options, random_source& random)
    : options_(options)
    , random_(&random)
    , step_(std::min(nanoseconds(options.first), nanoseconds(options.longest)))
    , pause_(step_) {
    detail::check_argument(options.longest >= options.first && options.factor >= 1,
                           "a back-off needs first <= longest and a factor of at least 1");
}

std::int64_t backoff::between(std::int64_t low, std::int64_t high) noexcept {
    return low + static_cast<std::int64_t>(random_->up_to(static_cast<std::uint64_t>(high - low)));
}

clock::duration backoff::next() noexcept {
    std::int64_t const longest = nanoseconds(options_.longest);
    std::int64_t const step = step_;
    step_ = scaled(step_, options_.factor, longest);
    switch (options_.spread) {
        case jitter::none:
            pause_ = step;
            break;
        case jitter::full:
            pause_ = between(0, step);
            break;
        case jitter::equal:
            pause_ = between(step / 2, step);
            break;
        case jitter::decorrelated: {
            std::int64_t const first = nanoseconds(options_.first);
            pause_ = between(first, std::max(first, scaled(pause_, 3, longest)));
            break;
        }
    }
    return clock::duration(pause_);
}

}  // namespace weft
