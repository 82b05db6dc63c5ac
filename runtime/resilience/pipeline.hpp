#pragma once

/// Policies in a stated order.

#include <weft/runtime/join/detail/join_values.hpp>
#include <weft/runtime/resilience/policy.hpp>

#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

namespace weft {

namespace detail {

/// The policies from number `First` on, around a factory. Itself a factory.
template <std::size_t First, class Factory, class... Policies>
class pipeline_step {
public:
    pipeline_step(std::tuple<Policies*...> const& policies, Factory factory)
        : policies_(policies)
        , factory_(std::move(factory)) {}

    auto operator()() {
        if constexpr (First == sizeof...(Policies)) {
            return factory_();
        } else {
            using next = pipeline_step<First + 1, Factory, Policies...>;
            return std::get<First>(policies_)->run(next(policies_, factory_));
        }
    }

private:
    std::tuple<Policies*...> policies_;
    Factory factory_;
};

template <class Policy>
[[nodiscard]] auto counters_of(Policy const& policy) {
    if constexpr (requires { policy.counters(); }) {
        return policy.counters();
    } else {
        return unit();
    }
}

}  // namespace detail

/// Policies around one another, the outermost first: `pipeline(retry, breaker, limit)` retries what
/// goes through the breaker, and limits the time of each attempt.
///
/// The order decides what each policy sees, so it is the user's. From the outside in, this one
/// suits a client of a service:
///
///     fallback          sees the final failure only
///     retry or hedge    its attempts pass everything below
///     circuit_breaker   sees every attempt; refuses without waiting
///     rate_limiter      what is refused above takes no turn
///     bulkhead          bounds what really runs
///     time_limit        per attempt, without the time spent waiting above
///
/// A limit for the whole call is a time_limit in front, or a timeout around the call.
///
/// Thread safety: as its policies; the pipeline itself does not change.
/// Cancellation: as its policies.
/// Lifetime: refers to the policies, which must outlive its calls; the pipeline need not. The
///     factory is copied into the calls of the policies, once per policy and attempt: what it
///     captures must be cheap to copy.
/// Resumption: as its policies.
/// Complexity: one frame per policy.
/// Errors: as its policies.
/// Example: examples/resilient_client.cpp
template <class... Policies>
class pipeline {
public:
    explicit pipeline(Policies&... policies) noexcept : policies_(&policies...) {}

    /// Gives the task of the outermost policy.
    template <task_factory F>
        requires std::copy_constructible<F>
    [[nodiscard]] auto run(F factory) const {
        return detail::pipeline_step<0, F, Policies...>(policies_, std::move(factory))();
    }

    /// What each policy has counted, as a tuple in the order of the policies; `unit` for one that
    /// counts nothing. See the policies.
    [[nodiscard]] auto counters() const {
        return std::apply(
            [](auto*... each) { return std::make_tuple(detail::counters_of(*each)...); },
            policies_);
    }

private:
    std::tuple<Policies*...> policies_;
};

template <class... Policies>
pipeline(Policies&...) -> pipeline<Policies...>;

}  // namespace weft
