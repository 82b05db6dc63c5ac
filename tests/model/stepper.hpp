#pragma once

/// Runs the threads of a model one step at a time, in every order that the bounds allow.
///
/// Protocol. An *execution* is one run of a model's body, which may start threads and joins them.
/// Before each operation on an atomic or a mutex the running thread calls point(), where another
/// one may go on instead; which one, and which store a load reads, are *choices*. An *exploration*
/// repeats the execution: first with all sequences of choices that differ from the plain run in a
/// bounded number of preemptions and of stale reads, depth first, then with random ones.
///
/// I1 Everything but the choices is determined, so a sequence of choices repeats an execution.
/// I2 A thread that spins says so (cpu_relax, sched_yield), or is noticed by the number of its
///    steps: it goes on when another thread has stored something, or when nobody else can, and its
///    next load reads the newest store. So no bound on the length of an execution is reached unless
///    threads wait for each other in vain.
/// I3 An execution that fails is abandoned where it stands: its fibers are not unwound.

#include <weft/tests/model/memory.hpp>

#include <cstdint>
#include <source_location>
#include <string>

namespace weft::model {

using site = std::source_location;

struct options {
    unsigned preemptions = 2;
    unsigned stale_reads = 2;
    bool membarrier = true;      // whether light fences are free and heavy ones reach every thread
    std::size_t patience = 150;  // steps after which a thread gives way even if nobody preempts it
    std::size_t step_max = 4000;
    bool reduce =
        true;  // leaves out executions that repeat others in another order (footprint.hpp)
};

/// Runs `body` in every way; false, with a report on stderr, when an execution failed. The name
/// selects it in WEFT_MODEL_REPLAY.
///
/// Environment: WEFT_MODEL_SECONDS bounds the exhaustive part, in seconds of processor time
/// (default 5, 0 is no bound), WEFT_MODEL_RANDOM is the number of random executions (default
/// 10000), WEFT_MODEL_EXPLORE names the explorations to run instead of all, with commas between.
[[nodiscard]] bool explore(char const* name, void (*body)(), options const& bounds = {});

/// How to repeat what failed in the last exploration (WEFT_MODEL_REPLAY), and what it was.
[[nodiscard]] std::string const& last_replay() noexcept;
[[nodiscard]] std::string const& last_failure() noexcept;

/// True while an execution is under way. Otherwise atomics are plain values.
[[nodiscard]] bool exploring() noexcept;

/// Ends the execution as failed, and does not return, unless the condition holds.
void expect(bool condition, char const* what, site where = site::current()) noexcept;
[[noreturn]] void fail(char const* what, site where = site::current()) noexcept;

/// A choice of the model's own among `count` possibilities, 0 being the plain one.
[[nodiscard]] std::size_t choose(std::size_t count) noexcept;

/// How often this execution has locked a mutex, or tried to change an atomic in one step.
[[nodiscard]] std::size_t heavy_steps() noexcept;

/// A thread of the model. Joined before it is destroyed.
class thread {
public:
    /// Runs `function`, which lives until the join.
    template <class Function>
    explicit thread(Function& function)
        : index_(start([](void* argument) noexcept { (*static_cast<Function*>(argument))(); },
                       &function)) {}

    thread(thread const&) = delete;
    thread& operator=(thread const&) = delete;

    ~thread() { join(); }

    void join() noexcept;

    static unsigned start(void (*function)(void*) noexcept, void* argument) noexcept;
    static void join(unsigned index) noexcept;

private:
    unsigned index_;
    bool joined_ = false;
};

// --- for the atomics ------------------------------------------------------------

/// Where an atomic's stores are kept, in the execution of that number. A location is given to it at
/// the first access, so that an array of which few elements are used costs little.
struct cell {
    static constexpr std::uint8_t unused = 0xFF;
    static constexpr std::uint8_t dead = 0xFE;

    /// What freed frames are filled with (heap_frames.cpp).
    static constexpr std::uint32_t buried = 0xDBDBDBDB;

    std::uint32_t execution = 0;
    std::uint16_t made = 0;  // the step of its construction, and whose it was
    std::uint8_t maker = 0;
    std::uint8_t location = unused;
};

void construct(cell& made) noexcept;
void destroy(cell& dead) noexcept;

/// A step: other threads may go first. Then an operation on the cell, which `initial` describes if
/// it has not been constructed in this execution, is executed by one of the following.
void begin(cell& target, std::uint64_t initial, site where) noexcept;

[[nodiscard]] std::uint64_t load(cell const& from, order how, site where) noexcept;
void store(cell const& to, std::uint64_t value, order how, site where) noexcept;

/// The value that modify() replaces.
[[nodiscard]] std::uint64_t newest(cell const& of) noexcept;
void modify(cell const& of, std::uint64_t value, order how, site where) noexcept;

struct exchange_orders {
    order success;
    order failure;
    bool is_weak;
};

/// True when `expected` was there and `value` is now; `expected` is what was read.
[[nodiscard]] bool compare_exchange(cell const& of,
                                    std::uint64_t& expected,
                                    std::uint64_t value,
                                    exchange_orders how,
                                    site where) noexcept;

enum class fence_kind : std::uint8_t { full, light, heavy };

void fence(fence_kind kind, site where) noexcept;
void yield() noexcept;

// --- for mutexes, conditions and plain data -------------------------------------

void lock(void const* mutex) noexcept;
void unlock(void const* mutex) noexcept;

/// The mutex is destroyed.
void forget(void const* mutex) noexcept;

inline constexpr std::uint64_t no_deadline = ~std::uint64_t{0};

/// Waits for notify(condition), with the mutex unlocked meanwhile; false when it ended because of
/// the deadline instead. That can happen at any time: the clock then jumps to the deadline.
bool wait(void const* condition, void const* mutex, std::uint64_t deadline) noexcept;
void notify(void const* condition) noexcept;

/// A step without an operation: other threads may go first.
void step() noexcept;

using condition_function = bool (*)(void const* argument) noexcept;

/// Waits until the condition is true, which nobody needs to announce; false when that ended because
/// of the deadline instead.
bool await(condition_function condition, void const* argument, std::uint64_t deadline) noexcept;

/// What the calling thread knows, and that another one knows it too: how what is passed on by other
/// means than atomics and mutexes is ordered.
[[nodiscard]] knowledge hand_over() noexcept;
void take_over(knowledge const& passed) noexcept;

/// The model's clock.
[[nodiscard]] std::uint64_t now() noexcept;

/// Who has accessed a piece of plain data.
struct access_record {
    std::uint16_t written = 0;
    std::uint8_t writer = 0;
    bool alive = true;
    clock read{};
};

void note_read(access_record& data, site where) noexcept;
void note_write(access_record& data, site where) noexcept;

/// The memory is freed: nobody may use it any more, and whoever has used it must be known.
void watch_end(void const* block, std::size_t size) noexcept;

/// Plain data of a model: an access that is not ordered with a write is a race and fails the
/// execution, and so is one after the destruction if the memory is still there.
template <class T>
class plain {
public:
    explicit plain(T value = T{}, site where = site::current()) noexcept : value_(value) {
        note_write(record_, where);
    }

    plain(plain const&) = delete;
    plain& operator=(plain const&) = delete;

    ~plain() {
        note_write(record_, site::current());
        record_.alive = false;
    }

    [[nodiscard]] T read(site where = site::current()) const noexcept {
        note_read(record_, where);
        return value_;
    }

    void write(T value, site where = site::current()) noexcept {
        note_write(record_, where);
        value_ = value;
    }

private:
    T value_;
    mutable access_record record_;
};

}  // namespace weft::model
