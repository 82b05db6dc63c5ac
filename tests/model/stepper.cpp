#include <weft/tests/model/stepper.hpp>

#include <weft/tests/model/machine.hpp>
#include <weft/tests/model/mutation.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>

#include <sys/time.h>
#include <unistd.h>

namespace weft::model {

// --- the interface --------------------------------------------------------------

void fail(char const* what, site where) noexcept {
    the_machine().fail(what, where);
}

void expect(bool condition, char const* what, site where) noexcept {
    if (!condition) {
        the_machine().fail(what, where);
    }
}

std::size_t choose(std::size_t count) noexcept {
    return the_machine().choose(count);
}

std::size_t heavy_steps() noexcept {
    return the_machine().heavy_steps();
}

unsigned thread::start(void (*function)(void*) noexcept, void* argument) noexcept {
    return the_machine().start(function, argument);
}

void thread::join(unsigned index) noexcept {
    the_machine().join(index);
}

void thread::join() noexcept {
    if (!joined_) {
        joined_ = true;
        join(index_);
    }
}

void construct(cell& made) noexcept {
    if (exploring()) {
        the_machine().construct(made);
    }
}

void destroy(cell& dead) noexcept {
    if (exploring()) {
        the_machine().destroy(dead);
    }
}

void begin(cell& target, std::uint64_t initial, site where) noexcept {
    the_machine().begin(target, initial, where);
}

std::uint64_t load(cell const& from, order how, site where) noexcept {
    return the_machine().load(from, how, where);
}

void store(cell const& to, std::uint64_t value, order how, site where) noexcept {
    the_machine().store(to, value, how, where);
}

std::uint64_t newest(cell const& of) noexcept {
    return the_machine().newest(of);
}

void modify(cell const& of, std::uint64_t value, order how, site where) noexcept {
    the_machine().modify(of, value, how, where);
}

bool compare_exchange(cell const& of,
                      std::uint64_t& expected,
                      std::uint64_t value,
                      exchange_orders how,
                      site where) noexcept {
    return the_machine().compare_exchange(of, expected, value, how, where);
}

void fence(fence_kind kind, site where) noexcept {
    if (exploring()) {
        the_machine().fence(kind, where);
    }
}

void yield() noexcept {
    if (exploring()) {
        the_machine().yield();
    }
}

void lock(void const* mutex) noexcept {
    the_machine().lock(mutex);
}

void unlock(void const* mutex) noexcept {
    the_machine().unlock(mutex);
}

void forget(void const* mutex) noexcept {
    the_machine().forget(mutex);
}

bool wait(void const* condition, void const* mutex, std::uint64_t deadline) noexcept {
    return the_machine().wait(condition, mutex, deadline);
}

void step() noexcept {
    the_machine().step();
}

bool await(condition_function condition, void const* argument, std::uint64_t deadline) noexcept {
    return the_machine().await(condition, argument, deadline);
}

knowledge hand_over() noexcept {
    return the_machine().hand_over();
}

void take_over(knowledge const& passed) noexcept {
    the_machine().take_over(passed);
}

std::uint64_t now() noexcept {
    return the_machine().now();
}

void notify(void const* condition) noexcept {
    the_machine().notify(condition);
}

void note_read(access_record& data, site where) noexcept {
    the_machine().note_read(data, where);
}

void note_write(access_record& data, site where) noexcept {
    the_machine().note_write(data, where);
}

// --- explorations ---------------------------------------------------------------

namespace {

std::uint64_t number_from(char const* variable, std::uint64_t otherwise) {
    char const* const text = std::getenv(variable);
    return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

double seconds_wanted() {
    char const* const text = std::getenv("WEFT_MODEL_SECONDS");
    return text != nullptr ? std::strtod(text, nullptr) : 5;
}

/// WEFT_MODEL_EXPLORE is not set, or has the name among those that it lists with commas between.
bool is_selected(std::string_view name) {
    char const* const text = std::getenv("WEFT_MODEL_EXPLORE");
    std::string const listed = text != nullptr ? "," + std::string(text) + "," : "";
    return text == nullptr || listed.find("," + std::string(name) + ",") != std::string::npos;
}

/// In seconds: how busy the machine is otherwise must not decide how much is searched.
double processor_time() noexcept {
    ::timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string found_failure;
std::string found_replay;

/// One exploration: its executions, and the report.
class exploration {
public:
    exploration(char const* name, void (*body)()) : name_(name), body_(body) {}

    [[nodiscard]] bool run() {
        begin_exploration(name_);
        watch_for_crashes();
        bool const good = run_all();
        ::itimerval const never{};
        ::setitimer(ITIMER_VIRTUAL, &never, nullptr);
        ::sigaction(SIGSEGV, &former_action, nullptr);
        under_way = nullptr;
        return good;
    }

private:
    [[nodiscard]] bool run_all() {
        // Not counted: the first execution fills what the library keeps from one to the next.
        machine_.set_bounded(true);
        machine_.next.start_search();
        if (!execute()) {
            return report("-");
        }
        length_ = machine_.steps();
        if (std::string const wish = replay(); !wish.empty()) {
            return repeat(wish);
        }
        return search() && draw();
    }

    void watch_for_crashes() {
        under_way = this;
        struct ::sigaction action{};
        action.sa_handler = &crashed;
        ::sigaction(SIGSEGV, &action, &former_action);
        action.sa_handler = &look_after;
        ::sigaction(SIGVTALRM, &action, nullptr);
        ::itimerval const often{{patience, 0}, {patience, 0}};
        ::setitimer(ITIMER_VIRTUAL, &often, nullptr);
    }

    /// A checked program that follows a dead pointer. What the C library does not allow in a
    /// handler does no harm here, since the crash was not in it.
    static void crashed(int) {
        under_way->tell("crash: an address that is not there", under_way->how());
        ::sigaction(SIGSEGV, &former_action, nullptr);
    }

    /// Ends a program that goes around in a circle without a step, as in a list that has become a
    /// ring.
    static void look_after(int) {
        exploration& self = *under_way;
        if (self.watched_ == self.machine_.execution()) {
            self.tell("no end in sight: a thread goes on without a step", self.how());
            ::_exit(1);
        }
        self.watched_ = self.machine_.execution();
    }

    /// What repeats the execution under way.
    [[nodiscard]] std::string how() const {
        return seed_.empty() ? machine_.next.written() : seed_;
    }

    [[nodiscard]] bool execute() {
        bool const good = machine_.execute(body_);
        steps_ += machine_.steps();
        ++executions_;
        return good;
    }

    [[nodiscard]] double elapsed() const noexcept { return processor_time() - begin_; }

    /// What WEFT_MODEL_REPLAY=<name>:<choices or seed> says for this name.
    [[nodiscard]] std::string replay() const {
        char const* const wish = std::getenv("WEFT_MODEL_REPLAY");
        std::string const text = wish != nullptr ? wish : "";
        std::string const prefix = std::string(name_) + ":";
        return text.compare(0, prefix.size(), prefix) == 0 ? text.substr(prefix.size()) : "";
    }

    [[nodiscard]] bool repeat(std::string const& wish) {
        if (wish[0] >= '0' && wish[0] <= '9') {
            machine_.set_bounded(false);
            machine_.next.start_random(std::strtoull(wish.c_str(), nullptr, 0), length_);
        } else if (!machine_.next.start_repeat(wish == "-" ? "" : wish)) {
            std::fprintf(stderr, "model %s: WEFT_MODEL_REPLAY cannot be read\n", name_);
            return false;
        }
        seed_ = wish;
        machine_.set_tracing(true);
        bool const good = execute();
        machine_.set_tracing(false);
        return good || report(wish);
    }

    [[nodiscard]] bool search() {
        double const budget = seconds_wanted();
        machine_.next.start_search();
        begin_ = processor_time();
        executions_ = steps_ = 0;
        bool more = true;
        bool in_time = true;
        while (more && in_time) {
            if (!execute()) {
                return report(machine_.next.written());
            }
            more = machine_.next.advance();
            in_time = budget == 0 || executions_ % 256 != 0 || elapsed() < budget;
        }
        std::printf("model %s: %llu executions, %s", name_, count(), more ? "cut short" : "all");
        print_rate();
        return true;
    }

    [[nodiscard]] bool draw() {
        std::uint64_t const wanted = number_from("WEFT_MODEL_RANDOM", 10'000);
        std::uint64_t const seed = test::fresh_seed();
        begin_ = processor_time();
        executions_ = steps_ = 0;
        machine_.set_bounded(false);
        while (executions_ < wanted) {
            std::uint64_t const own = seed + executions_;
            machine_.next.start_random(own, length_);
            seed_ = std::to_string(own);
            if (!execute()) {
                return report(seed_);
            }
        }
        seed_.clear();
        std::printf("model %s: %llu executions, random", name_, count());
        print_rate();
        return true;
    }

    [[nodiscard]] unsigned long long count() const noexcept { return executions_; }

    void print_rate() const {
        double const time = elapsed();
        std::printf(", %.1f s, %.2f million steps/s\n",
                    time,
                    time > 0 ? static_cast<double>(steps_) / time / 1e6 : 0.0);
        std::fflush(stdout);
    }

    /// Repeats the failed execution with a trace.
    [[nodiscard]] bool report(std::string const& how) {
        std::string const failure = machine_.failure();
        std::fprintf(stderr, "model %s, execution %llu:\n", name_, executions_);
        if (std::getenv("WEFT_MODEL_QUIET") == nullptr && replay().empty()) {
            machine_.set_tracing(true);
            machine_.next.start_repeat();
            (void)machine_.execute(body_);
            machine_.set_tracing(false);
        }
        tell(failure.c_str(), how);
        return false;
    }

    void tell(char const* failure, std::string const& how) const {
        found_failure = failure;
        found_replay = std::string(name_) + ":" + (how.empty() ? "-" : how);
        std::fprintf(stderr,
                     "model %s: %s\nrepeat it with WEFT_MODEL_REPLAY='%s'\n",
                     name_,
                     failure,
                     found_replay.c_str());
    }

    static inline exploration* under_way = nullptr;
    static inline struct ::sigaction former_action{};

    static constexpr int patience = 5;  // seconds of processor time that no execution needs

    char const* name_;
    void (*body_)();
    machine& machine_ = the_machine();
    double begin_ = processor_time();
    std::string seed_;        // of the execution, or its choices; empty while they are searched
    std::size_t length_ = 0;  // of the plain execution, in steps
    unsigned long long executions_ = 0;
    unsigned long long steps_ = 0;
    std::uint32_t watched_ = 0;  // the execution that was under way when it was last looked after
};

}  // namespace

std::string const& last_replay() noexcept {
    return found_replay;
}

std::string const& last_failure() noexcept {
    return found_failure;
}

bool explore(char const* name, void (*body)(), options const& bounds) {
    if (!is_selected(name)) {
        return true;
    }
    the_machine().set_bounds(bounds);
    return exploration(name, body).run();
}

}  // namespace weft::model
