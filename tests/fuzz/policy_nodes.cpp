// Policies for work that may fail.

#include <weft/runtime/resilience/fallback.hpp>
#include <weft/runtime/resilience/hedge.hpp>
#include <weft/runtime/resilience/pipeline.hpp>
#include <weft/runtime/resilience/retry.hpp>
#include <weft/runtime/resilience/time_limit.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

/// Starts are recorded up to a timer's grain after they were due.
constexpr std::int64_t tolerance_us = 3;

/// Gives the child, again and again.
class child_factory {
public:
    child_factory(world& here, instance& self, std::size_t index = 0) noexcept
        : here_(&here)
        , self_(&self)
        , index_(index) {}

    [[nodiscard]] work operator()() const { return run_child(*here_, *self_, index_); }

private:
    world* here_;
    instance* self_;
    std::size_t index_;
};

backoff_options even_pauses(clock::duration pause) {
    backoff_options options;
    options.first = pause;
    options.longest = pause;
    options.factor = 1;
    options.spread = jitter::none;
    return options;
}

retry_options retries(world& here, instance& self) {
    retry_options options;
    options.attempts = self.what().a;
    options.pauses = even_pauses(here.span(self.what().b));
    return options;
}

work retry_of(world& here, instance& self) {
    retry policy(retries(here, self));
    work doing = policy.run(child_factory(here, self));
    co_return co_await std::move(doing);
}

work fallback_of(world& here, instance& self) {
    fallback policy(child_factory(here, self, 1));
    work doing = policy.run(child_factory(here, self));
    co_return co_await std::move(doing);
}

work hedge_of(world& here, instance& self) {
    hedge_options options;
    options.attempts = self.what().a;
    options.delay = here.span(self.what().b);
    hedge policy(options);
    work doing = policy.run(child_factory(here, self));
    co_return co_await std::move(doing);
}

work time_limit_of(world& here, instance& self) {
    time_limit policy(here.span(self.what().a));
    work doing = policy.run(child_factory(here, self));
    co_return co_await std::move(doing);
}

work breaker_of(world& here, instance& self) {
    work doing = here.breaker.run(child_factory(here, self));
    co_return co_await std::move(doing);
}

work in_bulkhead(world& here, instance& self) {
    inside const counted_in(here.in_bulkhead);
    if (counted_in.seen() > static_cast<int>(bulkhead_places)) {
        here.book.fail(self.what(), "more are in the bulkhead than it lets in");
    }
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work bulkhead_of(world& here, instance& self) {
    auto const factory = [&here, &self] { return in_bulkhead(here, self); };
    work doing = here.places.run(factory);
    co_return co_await std::move(doing);
}

/// Every stretch of time that ends now holds as many starts as it may.
void note_start(world& here, instance& self, watched_limiter& limits) {
    std::scoped_lock const lock(limits.access);
    std::int64_t const now = now_us();
    rate_limiter_options const& rule = limits.limits;
    auto const period = static_cast<std::int64_t>(rule.period.nanoseconds() / 1'000);
    limits.starts_us.push_back(now);
    std::int64_t count = 0;
    for (auto at = limits.starts_us.rbegin(); at != limits.starts_us.rend(); ++at) {
        ++count;
        std::int64_t const spread = now - *at + tolerance_us;
        bool const holds = rule.kind == rate_kind::sliding_window
                               ? count <= rule.limit || spread >= period
                               : (count - rule.burst) * period <= spread * rule.limit;
        if (!holds) {
            here.book.fail(
                self.what(),
                std::to_string(count) + " starts within " + std::to_string(spread) + " us");
            return;
        }
    }
}

work limited(world& here, instance& self, watched_limiter& limits) {
    if (here.where == setting::virtual_time) {
        note_start(here, self, limits);
    }
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work limiter_of(world& here, instance& self) {
    watched_limiter& limits = self.what().a % 2 == 0 ? here.bucket : here.window;
    auto const factory = [&here, &self, &limits] { return limited(here, self, limits); };
    work doing = limits.limiter.run(factory);
    co_return co_await std::move(doing);
}

int value_or_none(std::optional<parcel> const& ran) {
    return ran.has_value() ? ran->value : 0;
}

work debounce_of(world& here, instance& self) {
    auto doing = here.last_call.run(child_factory(here, self));
    std::optional<parcel> const ran = co_await std::move(doing);
    co_return here.make(value_or_none(ran));
}

work throttle_of(world& here, instance& self) {
    auto doing = here.first_call.run(child_factory(here, self));
    std::optional<parcel> const ran = co_await std::move(doing);
    co_return here.make(value_or_none(ran));
}

/// The work may outlive this caller, where others wait for it.
work single_flight_of(world& here, instance& self) {
    node const& child = self.what().children.front();
    auto const factory = [&here, &child] { return run(here, child, frame_mark(here.root)); };
    work doing = here.flights.run(self.what().a % 2, factory);
    co_return co_await std::move(doing);
}

work pipeline_of(world& here, instance& self) {
    retry again(retries(here, self));
    time_limit limit(here.span(100'000));
    pipeline const policies(again, here.breaker, here.bucket.limiter, here.places, limit);
    work doing = policies.run(child_factory(here, self));
    co_return co_await std::move(doing);
}

}  // namespace

work do_policy(world& here, instance& self) {
    switch (self.what().what) {
        case kind::retry:
            return retry_of(here, self);
        case kind::fallback:
            return fallback_of(here, self);
        case kind::hedge:
            return hedge_of(here, self);
        case kind::breaker:
            return breaker_of(here, self);
        case kind::bulkhead:
            return bulkhead_of(here, self);
        case kind::limiter:
            return limiter_of(here, self);
        case kind::debounce:
            return debounce_of(here, self);
        case kind::throttle:
            return throttle_of(here, self);
        case kind::single_flight:
            return single_flight_of(here, self);
        case kind::time_limit:
            return time_limit_of(here, self);
        default:
            return pipeline_of(here, self);
    }
}

}  // namespace weft::fuzz
