#pragma once

/// The execution under way: its memory, its threads and whose turn it is. See stepper.hpp.

#include <weft/tests/model/choices.hpp>
#include <weft/tests/model/fiber.hpp>
#include <weft/tests/model/footprint.hpp>
#include <weft/tests/model/memory.hpp>
#include <weft/tests/model/stepper.hpp>

#include <array>
#include <string>
#include <vector>

namespace weft::model {

enum class thread_phase : std::uint8_t { runnable, waiting, yielded, finished };

struct thread_slot {
    fiber stack;
    void (*function)(void*) noexcept = nullptr;
    void* argument = nullptr;
    thread_phase phase = thread_phase::finished;
    void const* waits_for = nullptr;
    condition_function condition = nullptr;  // or until this is true of `waits_for`
    std::uint64_t deadline = no_deadline;    // while it waits: when the wait may end by itself
    bool timed_out = false;
    bool reads_newest = false;  // keeps I2
    bool has_yielded = false;   // and has not taken a step since
    bool is_asleep = false;     // preempted, and its step would make no difference (footprint.hpp)
    footprint ahead;            // of the step that it was preempted before
    footprint_limits known;     // what there was then
};

struct mutex_state {
    void const* address;
    std::size_t number;
    bool is_locked;
    knowledge released;
};

/// The one execution under way, and what it needs to be repeated.
class machine {
public:
    /// Runs the body once; false when it failed.
    [[nodiscard]] bool execute(void (*body)());

    void set_bounds(options const& bounds) noexcept {
        bounds_ = bounds;
        reduces_ = bounds.reduce;
        has_reduced_ = false;
    }

    /// Whether the bounds on preemptions and stale reads count; for random executions they do not.
    void set_bounded(bool on) noexcept { bounded_ = on; }

    [[nodiscard]] std::uint64_t now() noexcept;

    void set_tracing(bool on) noexcept { tracing_ = on; }

    [[nodiscard]] std::size_t steps() const noexcept { return steps_; }

    [[nodiscard]] std::size_t heavy_steps() const noexcept { return heavy_steps_; }

    [[nodiscard]] std::string const& failure() const noexcept { return failure_; }

    [[noreturn]] void fail(char const* what, site where);
    [[nodiscard]] std::size_t choose(std::size_t count);

    unsigned start(void (*function)(void*) noexcept, void* argument);
    void join(unsigned index);

    void construct(cell& made);
    void destroy(cell& dead);
    void begin(cell& target, std::uint64_t initial, site where);
    [[nodiscard]] std::uint64_t load(cell const& from, order how, site where);
    void store(cell const& to, std::uint64_t value, order how, site where);
    [[nodiscard]] std::uint64_t newest(cell const& of) const noexcept;
    void modify(cell const& of, std::uint64_t value, order how, site where);
    [[nodiscard]] bool compare_exchange(cell const& of,
                                        std::uint64_t& expected,
                                        std::uint64_t value,
                                        exchange_orders how,
                                        site where);
    void fence(fence_kind kind, site where);
    void yield();

    void lock(void const* mutex);
    void unlock(void const* mutex);
    void forget(void const* mutex);
    bool wait(void const* condition, void const* mutex, std::uint64_t deadline);
    void notify(void const* channel) noexcept;

    void step();

    bool await(condition_function condition, void const* argument, std::uint64_t deadline);
    [[nodiscard]] knowledge hand_over();

    void take_over(knowledge const& passed) noexcept { memory_.learn(current_, passed); }

    /// Called when an execution has ended well: null, or what is wrong all the same.
    void set_inspection(char const* (*inspect)() noexcept) noexcept { inspect_ = inspect; }

    void note_read(access_record& data, site where);
    void note_write(access_record& data, site where);

    /// The same without a step: false when the access is a race, or comes too late.
    [[nodiscard]] bool watch_read(access_record& data) noexcept;
    [[nodiscard]] bool watch_write(access_record& data) noexcept;

    [[nodiscard]] std::uint32_t execution() const noexcept { return execution_; }

    choices next;

private:
    static void run_thread() noexcept;
    void point();
    void block(void const* channel,
               std::uint64_t deadline = no_deadline,
               condition_function condition = nullptr);
    void go_on_elsewhere();
    void switch_to(unsigned thread);
    [[nodiscard]] std::size_t gather(unsigned* able) const noexcept;
    [[nodiscard]] static bool holds(thread_slot const& waiting) noexcept;
    void release_yielded() noexcept;
    void end_step() noexcept;
    void stop_reducing();
    void note_load(cell const& of, order how) noexcept;
    void note_store(cell const& of, order how) noexcept;
    void fall_asleep(std::size_t decision) noexcept;
    void wake(void const* channel) noexcept;
    [[nodiscard]] std::uint32_t asleep_among(unsigned const* able,
                                             std::size_t count) const noexcept;
    [[nodiscard]] std::size_t choose_age(std::size_t count);
    [[nodiscard]] mutex_state& state_of(void const* mutex);
    void trace(char const* operation, std::uint64_t value, site where) const;

    [[nodiscard]] thread_slot& running() noexcept { return threads_[current_]; }

    memory memory_;
    std::array<thread_slot, thread_max> threads_;
    unsigned thread_count_ = 0;
    unsigned current_ = 0;
    std::uint32_t execution_ = 0;
    bool bounded_ = true;
    bool tracing_ = false;
    std::size_t steps_ = 0;
    std::size_t heavy_steps_ = 0;
    std::uint64_t now_ = 0;
    options bounds_;
    std::size_t streak_ = 0;  // steps since another thread ran
    unsigned preemptions_left_ = 0;
    unsigned stale_reads_left_ = 0;
    std::vector<mutex_state> mutexes_;
    std::size_t mutex_count_ = 0;                // ever made in this execution
    footprint step_;                             // of the running thread, so far
    std::size_t step_decision_ = choices::none;  // which led to it, if the thread could have waited
    bool reduces_ = true;
    bool has_reduced_ = false;
    std::string failure_;
    char const* (*inspect_)() noexcept = nullptr;
};

/// Null before the first use of the one that there is, and whether an execution is under way.
extern constinit machine* machine_in_use;
extern constinit bool machine_is_active;

[[nodiscard]] machine& make_machine();

/// A mere question, exploring(), does not make it.
[[nodiscard]] inline machine& the_machine() {
    return machine_in_use != nullptr ? *machine_in_use : make_machine();
}

}  // namespace weft::model
