#pragma once

/// Other ways to a result, for when the first one fails.

#include <weft/runtime/base/mutex.hpp>
#include <weft/runtime/resilience/detail/attempt.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/sched/pass_stop.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weft {

struct fallback_counters {
    std::uint64_t calls = 0;
    std::uint64_t successes = 0;     ///< of the work itself
    std::uint64_t recoveries = 0;    ///< values of an alternative
    std::uint64_t failures = 0;      ///< calls in which everything failed
    std::uint64_t not_tried = 0;     ///< calls that ended by an error that alternatives do not mend
    std::uint64_t stopped = 0;       ///< calls
    std::uint64_t alternatives = 0;  ///< that were tried
};

namespace detail {

/// One call. Counts itself as stopped when it is destroyed undecided.
class fallback_progress {
public:
    fallback_progress(mutex& lock, fallback_counters& counters) noexcept;
    fallback_progress(fallback_progress const&) = delete;
    fallback_progress& operator=(fallback_progress const&) = delete;
    ~fallback_progress();

    void begin_alternative() noexcept;
    void end(std::uint64_t fallback_counters::* how) noexcept;

private:
    mutex& mutex_;
    fallback_counters& counters_;
    bool ended_ = false;
};

/// Calls an alternative with the error that led to it, if it wants to know.
template <class Alternative>
auto try_alternative(Alternative& alternative, std::exception_ptr const& error) {
    if constexpr (std::invocable<Alternative&, std::exception_ptr const&>) {
        return alternative(error);
    } else {
        return alternative();
    }
}

template <class Alternative>
using alternative_value_t = typename decltype(try_alternative(
    std::declval<Alternative&>(), std::declval<std::exception_ptr const&>()))::value_type;

}  // namespace detail

/// A chain of alternatives: when work fails, the first of them is tried, when that fails, the next.
///
/// An alternative is a callable that gives a task of the work's type; it may take the error that
/// led to it as a std::exception_ptr.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor. Calls use the alternatives at the same time.
/// Cancellation: a stop ends whatever runs and unwinds the caller; no alternative is tried then.
/// Lifetime: must outlive its calls; keeps the alternatives. A call keeps the factory.
/// Resumption: where the last task ended.
/// Complexity: one frame per call and one per alternative that is tried.
/// Errors: that of the last alternative; the work's own where the predicate does not want another
///     way.
/// Example: examples/resilient_client.cpp
template <class... Alternatives>
class fallback {
    static_assert(sizeof...(Alternatives) != 0, "a fallback has at least one alternative");

public:
    explicit fallback(Alternatives... alternatives)
        : fallback(&any_error, std::move(alternatives)...) {}

    /// `mends` tells after which errors the alternatives are tried.
    explicit fallback(error_predicate mends, Alternatives... alternatives)
        : mends_(mends)
        , alternatives_(std::move(alternatives)...) {}

    fallback(fallback const&) = delete;
    fallback& operator=(fallback const&) = delete;
    ~fallback() = default;

    template <task_factory F>
        requires(std::same_as<factory_value_t<F>, detail::alternative_value_t<Alternatives>> && ...)
    [[nodiscard]] task<factory_value_t<F>> run(F factory) {
        detail::fallback_progress progress(mutex_, counters_);
        co_await detail::checkpoint();
        std::exception_ptr error;
        {
            detail::attempt_operation<factory_value_t<F>> work(factory);
            co_await work;
            if (work.was_stopped()) {
                co_await detail::end_as_stopped();
            }
            error = work.error();
            if (error == nullptr || !detail::concerns(mends_, error)) {
                progress.end(error == nullptr ? &fallback_counters::successes
                                              : &fallback_counters::not_tried);
                co_return work.take();
            }
        }
        auto rest = alternative<0, factory_value_t<F>>(progress, std::move(error));
        co_return co_await std::move(rest);
    }

    [[nodiscard]] fallback_counters counters() const noexcept {
        detail::scoped_lock const lock(mutex_);
        return counters_;
    }

private:
    template <std::size_t I, class T>
    task<T> alternative(detail::fallback_progress& progress, std::exception_ptr error) {
        {
            progress.begin_alternative();
            auto const give = [&] {
                return detail::try_alternative(std::get<I>(alternatives_), error);
            };
            detail::attempt_operation<T> work(give);
            co_await work;
            if (work.was_stopped()) {
                co_await detail::end_as_stopped();
            }
            error = work.error();
            if (error == nullptr) {
                progress.end(&fallback_counters::recoveries);
                co_return work.take();
            }
        }
        if constexpr (I + 1 < sizeof...(Alternatives)) {
            auto rest = alternative<I + 1, T>(progress, std::move(error));
            co_return co_await std::move(rest);
        } else {
            progress.end(&fallback_counters::failures);
            std::rethrow_exception(error);
        }
    }

    // --- constant after construction -------------------------------------------
    error_predicate mends_;
    std::tuple<Alternatives...> alternatives_;

    // --- any thread, under mutex_ ------------------------------------------------
    mutable detail::mutex mutex_;
    fallback_counters counters_;
};

template <class... Alternatives>
    requires(!(std::convertible_to<Alternatives, error_predicate> && ...))
fallback(Alternatives...) -> fallback<Alternatives...>;

template <class... Alternatives>
fallback(error_predicate, Alternatives...) -> fallback<Alternatives...>;

}  // namespace weft
