#pragma once

/// Coroutines on the stepper: how to model a primitive or a combinator whose waiters are
/// coroutines.
///
///     task<> add(weft::mutex& lock, model::plain<int>& value) {
///         auto const guard = co_await lock.scoped_lock();
///         value.write(value.read() + 1);          // a race here fails the execution
///     }
///
///     void two_lockers() {                        // one execution
///         weft::mutex lock;
///         model::plain<int> value{0};
///         model::crew workers;                    // two of them
///         model::job one(workers, add(lock, value));    // worker 0 starts with it
///         model::job other(workers, add(lock, value));  // worker 1
///         workers.run();                          // until both have ended; else: deadlock
///         model::expect(value.read() == 2, "a locker is lost");
///     }
///
///     CHECK(model::explore("two_lockers", &two_lockers));
///
/// How to add a model: write tests/model/<name>_model.cpp in this form, and list it in
/// tests/model/meson.build: among `coroutine_models` if it includes this header. Tasks are free
/// functions with parameters; what they share is declared before the crew, and what the model looks
/// at is a model::plain. Operations that the checked code does between two atomics, locks or
/// scheduled coroutines are one step. Worth checking, each in a body of its own of 10 to 40 steps:
/// every pair of operations that can meet; a stop against each of them (job::request_stop(), from
/// another job's task or a model::thread); the last user destroys the primitive. A plain that lives
/// in the task's frame tells of a frame that is used after its end.
///
/// What is real: promises, tasks, contexts, stop states, and everything of the library that does
/// not queue. What is replaced, by headers of the same names under stand_in/: worker and scheduler.
/// Every ready coroutine stands in one queue of which any worker takes the oldest; forks are taken
/// by their worker youngest first and by others oldest first; requests and timers belong to one
/// worker, and which of what it has to do comes first is a choice. Time passes when a worker has
/// nothing else to do, or when it pleases the stepper; an idle worker costs no step.
///
/// I1 To become ready passes on what the thread knows, to whoever runs the coroutine.
/// I2 There is a step in front of, and one behind, each time a coroutine is made ready: it can have
///    ended, and its frame be gone, when schedule() returns. Freed frames are filled, and kept
///    until the execution ends, so that whoever writes to them is found.

#include <weft/runtime/sched/scheduler.hpp>
#include <weft/runtime/task/task.hpp>
#include <weft/tests/model/stepper.hpp>

#include <concepts>
#include <coroutine>
#include <vector>

namespace weft::model {

class job;

/// The workers of an execution.
class crew {
public:
    explicit crew(unsigned worker_count = 2) : scheduler_(worker_count) {}

    /// Runs every job to its end, worker 0 on the calling thread. Once.
    void run();

    /// Keeps the workers from leaving until close(), for coroutines that are nobody's job.
    void keep_open() noexcept { ++unfinished_; }

    void close() noexcept { --unfinished_; }

    [[nodiscard]] detail::scheduler& sched() noexcept { return scheduler_; }

    /// Before run(): what worker.io() gives.
    void set_io(unsigned worker, detail::io_backend* backend) noexcept {
        scheduler_.worker_at(worker).io_ = backend;
    }

private:
    friend class job;

    [[nodiscard]] bool is_over() const noexcept { return unfinished_ == 0; }

    void add(detail::promise_base& promise);
    void work(detail::worker& here) noexcept;
    static void run_one(detail::promise_base& promise) noexcept;
    void serve(detail::worker& here) noexcept;
    [[nodiscard]] detail::promise_base* take(detail::worker& here) noexcept;
    [[nodiscard]] bool has_forks() const noexcept;
    [[nodiscard]] static bool has_work(void const* worker) noexcept;

    detail::scheduler scheduler_;
    std::vector<detail::promise_base*> first_;
    unsigned unfinished_ = 0;
};

/// A task that a crew runs, and its end.
class job : private detail::end_hook {
public:
    /// Worker 0 starts with the first job, and so on; a job without a worker is ready.
    job(crew& workers, task<> work, detail::stop_state* parent = nullptr);

    job(job const&) = delete;
    job& operator=(job const&) = delete;

    /// Any thread, before the job's crew has ended.
    bool request_stop() noexcept { return context_.own_stop.request_stop(); }

    [[nodiscard]] stop_token token() noexcept { return stop_token(&context_.own_stop); }

    /// After run().
    [[nodiscard]] bool has_value() const noexcept { return ended_ == detail::outcome::value; }

    [[nodiscard]] bool was_stopped() const noexcept { return ended_ == detail::outcome::stopped; }

    [[nodiscard]] bool has_error() const noexcept { return ended_ == detail::outcome::error; }

private:
    static std::coroutine_handle<> done(end_hook& base, detail::promise_base& promise) noexcept;

    crew* crew_;
    detail::stop_context context_;
    task<> work_;
    detail::outcome ended_ = detail::outcome::pending;
};

/// co_await reschedule{}: goes on in whichever worker takes it.
struct reschedule {
    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    void await_suspend(std::coroutine_handle<Promise> waiter) const noexcept {
        detail::promise_base& promise = waiter.promise();
        promise.context_->sched->schedule(promise);
    }

    void await_resume() const noexcept {}
};

/// Where one coroutine waits for what no stop brings: what it holds meanwhile is held until another
/// one opens the gate.
class gate {
public:
    gate() noexcept = default;
    gate(gate const&) = delete;
    gate& operator=(gate const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return suspend(waiter.promise());
    }

    void await_resume() const noexcept {}

    void open() noexcept;

private:
    /// False when the gate is open.
    [[nodiscard]] bool suspend(detail::promise_base& waiter) noexcept;

    /// Steps lie in front of all accesses, since others wait for the gate.
    detail::promise_base* waiter_ = nullptr;
    knowledge known_;
    bool is_open_ = false;
};

/// Opens a gate at the end of the frame that it lives in.
class gate_opener {
public:
    explicit gate_opener(gate& opened) noexcept : gate_(&opened) {}

    gate_opener(gate_opener const&) = delete;
    gate_opener& operator=(gate_opener const&) = delete;

    ~gate_opener() { gate_->open(); }

private:
    gate* gate_;
};

/// Counts the frame that it lives in: 2 while it lives, 1 when it has ended.
class frame_end {
public:
    explicit frame_end(plain<int>& count) noexcept : count_(&count) {
        count.write(count.read() + 2);
    }

    frame_end(frame_end const&) = delete;
    frame_end& operator=(frame_end const&) = delete;

    ~frame_end() { count_->write(count_->read() - 1); }

private:
    plain<int>* count_;
};

/// No frame of the one that a frame_end counts is left. There may have been none: nothing starts on
/// a task that is stopped already (promise.hpp, S2).
[[nodiscard]] inline bool is_gone(plain<int> const& frame) noexcept {
    return frame.read() <= 1;
}

}  // namespace weft::model
