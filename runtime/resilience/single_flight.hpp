#pragma once

/// Equal work that several callers want at once is done once.

#include <weft/runtime/pool/runtime_base.hpp>
#include <weft/runtime/resilience/detail/flight.hpp>
#include <weft/runtime/resilience/detail/kept_value.hpp>
#include <weft/runtime/resilience/policy.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/scope/this_task.hpp>

#include <concepts>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace weft {

/// Lets calls with equal keys share one run of their work and its outcome, as long as it lasts.
///
/// The first caller's factory gives the work; who comes while it runs waits for it. What comes
/// after its end runs anew: nothing is cached. The work runs under the root scope, so that a
/// caller's stop or deadline ends that caller's wait only. Nor does it see a caller's task-locals,
/// whose values end with that caller: what it needs of them the factory takes along.
///
/// Thread safety: every member may be called from any thread at the same time, except the
///     destructor.
/// Cancellation: a stop unwinds a caller and leaves the work to the others. The last caller's stop
///     stops the work and waits for its end; if it succeeds nevertheless, the value is delivered.
/// Lifetime: must outlive its calls. The work keeps the first caller's factory; what that refers to
///     must outlive the work, which may outlive that caller.
/// Resumption: through the ready queue of the worker where the work ended.
/// Complexity: one look into a hash table under a lock; one record and four frames per run, one
///     frame per call. A call inside of another's work looks through what its key's work waits for.
/// Errors: the work's own. All callers share the exception object, so they do not change it.
///     std::errc::resource_deadlock_would_occur for a call that would wait for itself: it is made
///     inside of the work of a key that waits, itself or by way of other keys, for this one.
/// Example: examples/virtual_time.cpp
template <class Key, class T, class Hash = std::hash<Key>>
    requires(std::is_void_v<T> || std::is_reference_v<T> || std::copy_constructible<T>)
class single_flight {
public:
    single_flight() = default;
    single_flight(single_flight const&) = delete;
    single_flight& operator=(single_flight const&) = delete;
    ~single_flight() = default;

    /// Joins the run of `key`'s work, or begins it.
    template <task_factory F>
        requires std::same_as<factory_value_t<F>, T>
    [[nodiscard]] task<T> run(Key key, F factory) {
        co_await this_task::stop_point();
        detail::flight* const* const inside = co_await detail::current_flight.find();
        detail::flight_edge dependence;
        detail::flight_reference const joined =
            join(std::move(key), factory, inside != nullptr ? *inside : nullptr, dependence);
        co_await detail::flight_wait(*joined);
        if ((*joined).ended_as() == detail::outcome::error) {
            std::rethrow_exception((*joined).take_error());
        }
        while ((*joined).ended_as() == detail::outcome::stopped) {
            co_await detail::end_as_stopped();  // and never comes back
        }
        co_return static_cast<entry&>(*joined).value.share();
    }

    /// The next call of `key` begins the work anew, whatever has become of a run that goes on: for
    /// when the world has changed, or work hangs. The run goes on for the callers that it has.
    void forget(Key const& key) {
        detail::scoped_lock const lock(board_.mutex_);
        if (auto const found = listed_.find(key); found != listed_.end()) {
            found->second->forget();
        }
    }

    /// One key as a policy for a pipeline.
    class keyed_policy {
    public:
        keyed_policy(single_flight& flights, Key key) : flights_(&flights), key_(std::move(key)) {}

        template <task_factory F>
            requires std::same_as<factory_value_t<F>, T>
        [[nodiscard]] task<T> run(F factory) {
            return flights_->run(key_, std::move(factory));
        }

        /// Of all keys together.
        [[nodiscard]] single_flight_counters counters() const noexcept {
            return flights_->counters();
        }

    private:
        single_flight* flights_;
        Key key_;
    };

    [[nodiscard]] keyed_policy keyed(Key key) { return keyed_policy(*this, std::move(key)); }

    [[nodiscard]] single_flight_counters counters() const noexcept {
        detail::scoped_lock const lock(board_.mutex_);
        return board_.counters;
    }

private:
    struct entry final : detail::flight {
        entry(single_flight& owner, Key const& own_key)
            : flight(owner.board_, &unlist, &dispose)
            , home(&owner)
            , key(own_key) {}

        static void unlist(detail::flight& base) noexcept {
            auto& self = static_cast<entry&>(base);
            self.home->listed_.erase(self.key);
        }

        /// Keeps the value, or puts the error into `error`. Cancelled work that was asked to stop
        /// is stopped.
        detail::outcome keep_outcome(detail::settle_operation<T>& work, std::exception_ptr& error) {
            if (work.was_stopped()) {
                return detail::outcome::stopped;
            }
            error = work.error();
            if (token().stop_requested() && error != nullptr &&
                error_code_in(error) == std::errc::operation_canceled) {
                error = nullptr;
                return detail::outcome::stopped;
            }
            if (error == nullptr) {
                try {
                    value.take_from(work);
                } catch (...) {
                    error = std::current_exception();
                }
            }
            return error == nullptr ? detail::outcome::value : detail::outcome::error;
        }

        static void dispose(detail::flight& base) noexcept { delete static_cast<entry*>(&base); }

        single_flight* home;
        Key key;
        detail::kept_value<T> value;
    };

    /// Gives a reference to the flight, which counts the caller as a participant. A caller `inside`
    /// of a flight's work makes that flight depend on this one.
    template <class F>
    detail::flight_reference join(Key key,
                                  F& factory,
                                  detail::flight* inside,
                                  detail::flight_edge& dependence) {
        entry* begun = nullptr;
        {
            detail::scoped_lock const lock(board_.mutex_);
            ++board_.counters.calls;
            if (auto const found = listed_.find(key); found != listed_.end()) {
                if (inside != nullptr && !dependence.connect(*inside, *found->second)) {
                    detail::throw_waits_for_itself();
                }
                found->second->join();
                found->second->share();
                ++board_.counters.shared;
                return detail::flight_reference(*found->second);
            }
            begun = list(std::move(key));
            if (inside != nullptr) {
                [[maybe_unused]] bool const is_new = dependence.connect(*inside, *begun);
                WEFT_ASSERT(is_new, "a flight that has not begun waits for another");
            }
        }
        detail::flight_reference joined(*begun);
        begun->share();
        detail::flight_reference pilots(*begun);
        std::exception_ptr error;
        try {
            weft::spawn(fly(std::move(pilots), std::move(factory)));
        } catch (...) {
            error = std::current_exception();
        }
        if (error != nullptr) {
            begun->land(detail::outcome::error, std::move(error));
        }
        return joined;
    }

    /// Requires: the board's mutex is held.
    [[nodiscard]] entry* list(Key key) {
        auto const [place, is_new] = listed_.try_emplace(std::move(key), nullptr);
        try {
            place->second = new entry(*this, place->first);
        } catch (...) {
            listed_.erase(place);
            throw;
        }
        ++board_.counters.flights;
        ++board_.counters.in_flight;
        return place->second;
    }

    template <class F>
    static task<> fly(detail::flight_reference reference, F factory) {
        detail::flight_pilot pilot(std::move(reference));
        auto& self = static_cast<entry&>(pilot.target());
        auto how = detail::outcome::error;
        std::exception_ptr error;
        try {
            detail::settle_operation<T> work(under(self, std::move(factory)));
            co_await work;
            how = self.keep_outcome(work, error);
        } catch (...) {
            error = std::current_exception();  // the work was not begun
        }
        pilot.land(how, std::move(error));
    }

    /// What the factory throws by itself becomes an error of the work here.
    template <class F>
    static task<T> under(entry& self, F factory) {
        auto work = detail::current_flight.with(&self, factory());
        co_return co_await with_stop_token(self.token(), std::move(work));
    }

    // --- any thread, under its guard ------------------------------------------------
    detail::flight_board board_;

    // --- any thread, under board_.mutex_ --------------------------------------------
    std::unordered_map<Key, entry*, Hash> listed_;
};

}  // namespace weft
