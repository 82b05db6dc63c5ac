/// Operations that live on one worker: sleeps, timeouts, and what completes in a kernel.

#include <weft/runtime/sched/pinned_operation.hpp>
#include <weft/runtime/task/as_result.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <chrono>

namespace model = weft::model;
using namespace std::chrono_literals;

namespace {

// --- an operation in a kernel -------------------------------------------------------

enum class asked : std::uint8_t { nothing, to_run, to_cancel, answered };

/// The kernel writes into the operation, which must be there, and then reports to the home.
class kernel_operation : public weft::detail::pinned_operation {
public:
    explicit kernel_operation(model::plain<bool>& succeeded) noexcept
        : pinned_operation(&on_cancel)
        , succeeded_(&succeeded) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter);

    void await_resume() { model::expect(answer_.read() == 1, "a success without an answer"); }

    /// The kernel's thread.
    void answer() noexcept {
        bool const cancelled =
            state_.exchange(asked::answered, weft::detail::acq_rel) == asked::to_cancel;
        answer_.write(cancelled ? 2 : 1);
        home().post(report_);
    }

private:
    struct report : weft::detail::remote_request {
        explicit report(kernel_operation& of) noexcept : remote_request(&arrived), self(&of) {}

        kernel_operation* self;
    };

    static void on_cancel(pinned_operation& base) noexcept {
        auto& self = static_cast<kernel_operation&>(base);
        auto expected = asked::to_run;
        self.state_.compare_exchange_strong(
            expected, asked::to_cancel, weft::detail::acq_rel, weft::detail::acquire);
    }

    static void arrived(weft::detail::remote_request& request) noexcept {
        kernel_operation& self = *static_cast<report&>(request).self;
        bool const success = self.answer_.read() == 1;
        self.succeeded_->write(success);
        self.complete(!success);
    }

    weft::detail::atomic<asked> state_{asked::nothing};
    model::plain<int> answer_{0};
    model::plain<bool>* succeeded_;
    report report_{*this};
};

/// What the kernel has been given; not part of the model.
kernel_operation* given = nullptr;
model::knowledge given_with;
bool is_closed = false;

template <std::derived_from<weft::detail::promise_base> Promise>
void kernel_operation::await_suspend(std::coroutine_handle<Promise> waiter) {
    if (begin(weft::detail::require_worker("kernel"), waiter.promise())) {
        state_.store(asked::to_run, weft::detail::release);
        given_with = model::hand_over();
        given = this;
    } else {
        is_closed = true;
        refuse();
    }
}

auto kernel = [] {
    model::await([](void const*) noexcept { return given != nullptr || is_closed; },
                 nullptr,
                 model::no_deadline);
    if (given != nullptr) {
        model::take_over(given_with);
        given->answer();
    }
};

weft::task<> operate(model::plain<bool>& succeeded, model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await kernel_operation(succeeded);
}

/// The stop meets an operation that is starting, in the kernel, complete, or over; success wins.
template <unsigned Workers>
void completion_against_stop() {
    given = nullptr;
    is_closed = false;
    model::plain<bool> succeeded{false};
    model::plain<int> frames{0};
    {
        model::crew workers(Workers);
        model::job one(workers, operate(succeeded, frames));
        auto stops = [&] { one.request_stop(); };
        model::thread stopper(stops);
        model::thread device(kernel);
        workers.run();
        device.join();
        model::expect(one.has_value() == succeeded.read(), "success does not win");
        model::expect(one.has_value() || one.was_stopped(), "an operation does not end");
    }
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

/// A stop that was requested before the operation begins keeps it from starting.
void stopped_before() {
    given = nullptr;
    is_closed = false;
    model::plain<bool> succeeded{false};
    model::plain<int> frames{0};
    {
        model::crew workers(1);
        model::job one(workers, operate(succeeded, frames));
        one.request_stop();
        model::thread device(kernel);
        workers.run();
        model::expect(one.was_stopped() && given == nullptr, "a stopped operation starts");
    }
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

// --- sleeps -------------------------------------------------------------------------

weft::task<> sleep(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await weft::sleep_for(1ms);
}

template <unsigned Workers>
void timer_against_stop() {
    model::plain<int> frames{0};
    {
        model::crew workers(Workers);
        model::job one(workers, sleep(frames));
        auto stops = [&] { one.request_stop(); };
        model::thread stopper(stops);
        workers.run();
        model::expect(one.has_value() || one.was_stopped(), "a sleep fails");
    }
    model::expect(frames.read() == 1, "a frame is not destroyed once");
}

weft::task<> sleep_to_the_end(model::plain<int>& ended) {
    co_await weft::sleep_for(1ms);
    ended.write(1);
}

weft::task<> request(model::job& other) {
    other.request_stop();
    co_return;
}

/// The stop comes from a task on another worker.
void timer_against_sibling() {
    model::plain<int> ended{0};
    model::crew workers;
    model::job one(workers, sleep_to_the_end(ended));
    model::job other(workers, request(one));
    workers.run();
    model::expect(one.has_value() == (ended.read() == 1), "a stopped sleep goes on");
    model::expect(other.has_value(), "a request does not end");
}

// --- timeouts -----------------------------------------------------------------------

weft::task<> limited(model::plain<int>& frames) {
    auto operation = weft::timeout(1ms, sleep(frames));
    auto const result = co_await (std::move(operation) | weft::as_result);
    model::expect(model::is_gone(frames), "a timeout ends before its child does");
    (void)result;
}

/// Both timers are due at the same time.
template <unsigned Workers>
void timeout_against_end() {
    model::plain<int> frames{0};
    model::crew workers(Workers);
    model::job one(workers, limited(frames));
    workers.run();
    model::expect(one.has_value(), "a timeout does not end");
}

void timeout_against_end_and_stop() {
    model::plain<int> frames{0};
    model::crew workers;
    model::job one(workers, limited(frames));
    auto stops = [&] { one.request_stop(); };
    model::thread stopper(stops);
    workers.run();
    model::expect(model::is_gone(frames), "a frame is not destroyed");
}

weft::task<> hop(model::plain<int>& frames) {
    model::frame_end const tells(frames);
    co_await model::reschedule{};
}

weft::task<> limited_hop(model::plain<int>& frames) {
    auto operation = weft::timeout(1ms, hop(frames));
    auto const result = co_await (std::move(operation) | weft::as_result);
    model::expect(result.has_value() && frames.read() == 1, "a value is lost");
}

/// The child ends on another worker than the one whose wheel has the timer.
void timeout_of_migrant() {
    model::plain<int> frames{0};
    model::crew workers;
    model::job one(workers, limited_hop(frames));
    workers.run();
    model::expect(one.has_value(), "a timeout does not end");
}

}  // namespace

TEST_SUITE("model/pinned") {
    TEST_CASE("an operation that is stopped while it completes ends once, with what happened") {
        CHECK(model::explore("completion_against_stop", &completion_against_stop<1>));
        CHECK(model::explore(
            "completion_against_stop_on_two", &completion_against_stop<2>, {.stale_reads = 1}));
        CHECK(model::explore("stopped_before", &stopped_before));
    }

    TEST_CASE("a sleep that is stopped while its timer fires ends once") {
        CHECK(model::explore("timer_against_stop", &timer_against_stop<1>));
        CHECK(model::explore("timer_against_stop_on_two", &timer_against_stop<2>));
        CHECK(model::explore("timer_against_sibling", &timer_against_sibling));
    }

    TEST_CASE("a timeout ends once, whatever happens at its deadline") {
        CHECK(model::explore("timeout_against_end", &timeout_against_end<1>));
        CHECK(model::explore("timeout_against_end_on_two", &timeout_against_end<2>));
        CHECK(model::explore(
            "timeout_against_stop", &timeout_against_end_and_stop, {.stale_reads = 0}));
        CHECK(model::explore("timeout_of_migrant", &timeout_of_migrant));
    }
}
