#include <weft/tests/model/machine.hpp>

#include <weft/tests/model/mutation.hpp>

#include <cstdio>
#include <cstdlib>

namespace weft::model {

constinit machine* machine_in_use = nullptr;
constinit bool machine_is_active = false;

machine& make_machine() {
    static machine instance;
    machine_in_use = &instance;
    return instance;
}

bool exploring() noexcept {
    return machine_is_active;
}

// --- executions -----------------------------------------------------------------

bool machine::execute(void (*body)()) {
    memory_.reset();
    mutexes_.clear();
    mutex_count_ = 0;
    step_ = {};
    step_decision_ = choices::none;
    failure_.clear();
    thread_count_ = 0;
    current_ = 0;
    steps_ = 0;
    heavy_steps_ = 0;
    now_ = 0;
    streak_ = 0;
    ++execution_;
    preemptions_left_ = bounded_ ? bounds_.preemptions : ~0U;
    stale_reads_left_ = bounded_ ? bounds_.stale_reads : ~0U;
    auto run_body = [](void* argument) noexcept { reinterpret_cast<void (*)()>(argument)(); };
    (void)start(run_body, reinterpret_cast<void*>(body));
    machine_is_active = true;
    fiber::switch_to(nullptr, &running().stack);
    machine_is_active = false;
    char const* const left = failure_.empty() && inspect_ != nullptr ? inspect_() : nullptr;
    if (left != nullptr) {
        failure_ = left;
    }
    return failure_.empty();
}

void machine::run_thread() noexcept {
    machine& self = the_machine();
    self.running().function(self.running().argument);
    (void)self.memory_.tick(self.current_);
    self.step_.end_thread(self.current_);
    self.running().phase = thread_phase::finished;
    self.wake(&self.running());
    self.go_on_elsewhere();
}

void machine::fail(char const* what, site where) {
    failure_ = std::string(file_of(where)) + ":" + std::to_string(where.line()) + ": " + what;
    if (tracing_) {
        std::fprintf(stderr, "  T%u fails: %s\n", current_, failure_.c_str());
    }
    fiber::switch_to(&running().stack, nullptr);
    std::abort();
}

unsigned machine::start(void (*function)(void*) noexcept, void* argument) {
    if (thread_count_ == thread_max) {
        fail("more threads than a model may have", site::current());
    }
    unsigned const index = thread_count_++;
    thread_slot& slot = threads_[index];
    slot.function = function;
    slot.argument = argument;
    slot.phase = thread_phase::runnable;
    slot.reads_newest = false;
    slot.has_yielded = false;
    slot.is_asleep = false;
    step_.touch_everything();
    slot.stack.prepare(&run_thread);
    if (index != 0) {
        (void)memory_.tick(current_);
        memory_.learn(index, memory_.known_by(current_));
    }
    return index;
}

void machine::join(unsigned index) {
    point();
    step_.wait_for_thread(index);
    while (threads_[index].phase != thread_phase::finished) {
        block(&threads_[index]);
        step_.wait_for_thread(index);
    }
    memory_.learn(current_, memory_.known_by(index));
}

// --- who runs -------------------------------------------------------------------

/// The threads that can go on: the running one, others, and those whose waits may end by
/// themselves.
std::size_t machine::gather(unsigned* able) const noexcept {
    std::size_t count = 0;
    if (threads_[current_].phase == thread_phase::runnable) {
        able[count++] = current_;
    }
    for (unsigned i = 0; i < thread_count_; ++i) {
        if (i != current_ && threads_[i].phase == thread_phase::runnable) {
            able[count++] = i;
        }
    }
    for (unsigned i = 0; i < thread_count_; ++i) {
        thread_slot const& each = threads_[i];
        if (each.phase == thread_phase::waiting && (holds(each) || each.deadline != no_deadline)) {
            able[count++] = i;
        }
    }
    return count;
}

/// What the thread waits for is true.
bool machine::holds(thread_slot const& waiting) noexcept {
    return waiting.condition != nullptr && waiting.condition(waiting.waits_for);
}

void machine::point() {
    if (++steps_ > bounds_.step_max) {
        fail("no end in sight: the threads wait for each other in vain", site::current());
    }
    running().has_yielded = false;
    if (++streak_ > bounds_.patience) {
        step_.touch_everything();
        yield();  // keeps I2
        return;
    }
    end_step();
    unsigned able[thread_max];
    std::size_t const count = gather(able);
    if (count == 1 || preemptions_left_ == 0) {
        return;
    }
    std::size_t chosen = 0;
    if (!next.choose_thread(able, count, true, asleep_among(able, count), chosen)) {
        fail("the model does not repeat itself", site::current());
    }
    if (chosen == 0) {
        step_decision_ = next.last();
    } else {
        --preemptions_left_;
        fall_asleep(next.last());
        switch_to(able[chosen]);
    }
}

/// Where others may go first: tells the search what the step touched, and those that it matters to.
void machine::end_step() noexcept {
    if (step_decision_ != choices::none) {
        next.step_after(step_decision_).join(step_);
        step_decision_ = choices::none;
    }
    for (unsigned i = 0; i < thread_count_; ++i) {
        thread_slot& each = threads_[i];
        each.is_asleep = each.is_asleep && !each.ahead.conflicts(step_, each.known);
    }
    step_ = {};
}

void machine::fall_asleep(std::size_t decision) noexcept {
    if (reduces_ && next.searches() && decision != choices::none) {
        has_reduced_ = true;
        running().is_asleep = true;
        running().ahead = next.step_after(decision);
        running().known = {memory_.location_count(), mutex_count_};
    }
}

std::uint32_t machine::asleep_among(unsigned const* able, std::size_t count) const noexcept {
    std::uint32_t asleep = 0;
    for (std::size_t i = 0; i < count; ++i) {
        asleep |= threads_[able[i]].is_asleep ? 1U << i : 0U;
    }
    return asleep;
}

/// The threads of this model meet in places that no step tells of.
void machine::stop_reducing() {
    reduces_ = false;
    if (has_reduced_) {
        fail("a reduced search meets a queue of the stepper's own", site::current());
    }
}

void machine::go_on_elsewhere() {
    end_step();
    unsigned able[thread_max];
    std::size_t count = gather(able);
    if (count == 0) {
        release_yielded();
        count = gather(able);
    }
    if (count == 0) {
        for (unsigned i = 0; i < thread_count_; ++i) {
            if (threads_[i].phase != thread_phase::finished) {
                fail("deadlock: every thread waits for another", site::current());
            }
        }
        fiber::switch_to(&running().stack, nullptr);
    }
    std::size_t chosen = 0;
    if (!next.choose_thread(able, count, false, asleep_among(able, count), chosen)) {
        fail("the model does not repeat itself", site::current());
    }
    switch_to(able[chosen]);
}

void machine::switch_to(unsigned thread) {
    thread_slot& to = threads_[thread];
    if (to.phase == thread_phase::waiting) {
        to.phase = thread_phase::runnable;
        to.timed_out = !holds(to);
        step_.touch_conditions();
        if (to.timed_out && to.deadline > now_) {
            step_.change_clock();
            now_ = to.deadline;
        }
    }
    to.is_asleep = false;
    if (thread != current_) {
        streak_ = 0;
        thread_slot& from = running();
        current_ = thread;
        fiber::switch_to(&from.stack, &to.stack);
    }
}

void machine::block(void const* channel, std::uint64_t deadline, condition_function condition) {
    running().phase = thread_phase::waiting;
    running().waits_for = channel;
    running().deadline = deadline;
    running().condition = condition;
    go_on_elsewhere();
}

void machine::notify(void const* condition) noexcept {
    step_.touch_conditions();
    wake(condition);
}

void machine::wake(void const* channel) noexcept {
    for (unsigned i = 0; i < thread_count_; ++i) {
        thread_slot& each = threads_[i];
        if (each.phase == thread_phase::waiting && each.waits_for == channel) {
            each.phase = thread_phase::runnable;
        }
    }
}

void machine::yield() {
    if (running().has_yielded) {
        return;  // a pause of several hints is one
    }
    if (++steps_ > bounds_.step_max) {
        fail("no end in sight: a thread spins in vain", site::current());
    }
    streak_ = 0;
    step_.spin();
    running().phase = thread_phase::yielded;
    running().reads_newest = true;
    running().has_yielded = true;
    next.defer(current_);
    go_on_elsewhere();
}

void machine::release_yielded() noexcept {
    for (unsigned i = 0; i < thread_count_; ++i) {
        if (threads_[i].phase == thread_phase::yielded) {
            threads_[i].phase = thread_phase::runnable;
        }
    }
}

// --- atomics --------------------------------------------------------------------

void machine::trace(char const* operation, std::uint64_t value, site where) const {
    if (tracing_) {
        std::fprintf(stderr,
                     "  T%u %s:%u %s %#llx\n",
                     current_,
                     file_of(where),
                     where.line(),
                     operation,
                     static_cast<unsigned long long>(value));
    }
}

std::size_t machine::choose(std::size_t count) {
    std::size_t chosen = 0;
    if (!next.choose(count, chosen)) {
        fail("the model does not repeat itself", site::current());
    }
    return chosen;
}

std::size_t machine::choose_age(std::size_t count) {
    if (count <= 1 || stale_reads_left_ == 0) {
        return 0;
    }
    std::size_t const age = choose(count);
    stale_reads_left_ -= age != 0 ? 1U : 0U;
    return age;
}

void machine::construct(cell& made) {
    made.execution = execution_;
    made.maker = static_cast<std::uint8_t>(current_);
    made.made = memory_.tick(current_);
    made.location = cell::unused;
}

void machine::destroy(cell& dead) {
    if (dead.execution == cell::buried) {
        fail("an atomic is destroyed with its frame, and again", site::current());
    }
    if (dead.execution != execution_) {
        return;
    }
    if (dead.location == cell::dead ||
        (dead.location != cell::unused && !memory_.destroy(current_, dead.location))) {
        fail("an atomic is destroyed while another thread may use it", site::current());
    }
    if (dead.location != cell::unused) {
        step_.change_location(dead.location);
    }
    dead.location = cell::dead;
}

void machine::begin(cell& target, std::uint64_t initial, site where) {
    point();
    if (target.execution == cell::buried) {
        fail("an atomic is used after the end of its frame", where);
    }
    if (target.execution != execution_) {
        target = {execution_, 0, 0, cell::unused};  // constructed before the execution
    }
    if (target.location == cell::unused) {
        std::size_t const location = memory_.create(initial);
        if (location == location_max) {
            fail("more atomics than a model may have", where);
        }
        target.location = static_cast<std::uint8_t>(location);
    }
    if (target.location == cell::dead || !memory_.knows(current_, target.maker, target.made) ||
        !memory_.access(current_, target.location)) {
        fail("an atomic is used after its end, or before its construction is known", where);
    }
}

void machine::note_load(cell const& of, order how) noexcept {
    step_.read_location(of.location);
    if (how == order::seq_cst) {
        step_.change_location(of.location);
        step_.use_consistent_order();
    }
}

void machine::note_store(cell const& of, order how) noexcept {
    step_.write_location(of.location);
    if (how == order::seq_cst) {
        step_.use_consistent_order();
    }
}

std::uint64_t machine::load(cell const& from, order how, site where) {
    how = mutate(how, "load", where);
    std::size_t const count = memory_.readable(current_, from.location, how);
    std::size_t const age = running().reads_newest ? 0 : choose_age(count);
    running().reads_newest = false;
    note_load(from, how);
    std::uint64_t const value = memory_.load(current_, from.location, age, how);
    trace(age == 0 ? "loads" : "loads a stale", value, where);
    return value;
}

void machine::store(cell const& to, std::uint64_t value, order how, site where) {
    trace("stores", value, where);
    how = mutate(how, "store", where);
    note_store(to, how);
    if (!memory_.store(current_, to.location, value, how)) {
        fail("more stores to an atomic than a model may have", where);
    }
    release_yielded();
}

std::uint64_t machine::newest(cell const& of) const noexcept {
    return memory_.peek(of.location, 0);
}

void machine::modify(cell const& of, std::uint64_t value, order how, site where) {
    ++heavy_steps_;
    trace("modifies to", value, where);
    how = mutate(how, "modify", where);
    note_store(of, how);
    if (!memory_.modify(current_, of.location, value, how)) {
        fail("more stores to an atomic than a model may have", where);
    }
    release_yielded();
}

bool machine::compare_exchange(
    cell const& of, std::uint64_t& expected, std::uint64_t value, exchange_orders how, site where) {
    ++heavy_steps_;
    how = mutate(how, where);
    std::size_t const count = memory_.readable(current_, of.location, how.failure);
    bool const newest_fits = newest(of) == expected;
    std::size_t age = choose_age(count);
    // An older store can only make the exchange fail: one that fits counts as the newest.
    if (age != 0 && memory_.peek(of.location, age) == expected) {
        age = 0;
    }
    bool done = age == 0 && newest_fits;
    if (done && how.is_weak && stale_reads_left_ != 0 && choose(2) != 0) {
        --stale_reads_left_;
        done = false;
    }
    if (!done) {
        note_load(of, how.failure);
        expected = memory_.load(current_, of.location, age, how.failure);
        trace("finds", expected, where);
        return false;
    }
    trace("exchanges for", value, where);
    note_store(of, how.success);
    if (!memory_.modify(current_, of.location, value, how.success)) {
        fail("more stores to an atomic than a model may have", where);
    }
    release_yielded();
    return true;
}

void machine::fence(fence_kind kind, site where) {
    fence_change const change = mutate(kind, where);
    if (change == fence_change::none || (kind == fence_kind::light && bounds_.membarrier)) {
        return;
    }
    point();
    trace("fences", static_cast<std::uint64_t>(kind), where);
    if (kind == fence_kind::heavy && bounds_.membarrier && change != fence_change::own) {
        step_.touch_everything();
        memory_.fence_everywhere(current_, thread_count_);
    } else {
        step_.change_consistent_order();
        memory_.fence(current_);
    }
}

// --- mutexes and plain data -----------------------------------------------------

mutex_state& machine::state_of(void const* mutex) {
    for (mutex_state& each : mutexes_) {
        if (each.address == mutex) {
            return each;
        }
    }
    mutexes_.push_back({mutex, mutex_count_++, false, {}});
    return mutexes_.back();
}

void machine::lock(void const* mutex) {
    ++heavy_steps_;
    point();
    step_.touch_mutex(state_of(mutex).number);
    while (state_of(mutex).is_locked) {
        block(mutex);
        step_.touch_mutex(state_of(mutex).number);
    }
    mutex_state& state = state_of(mutex);
    state.is_locked = true;
    memory_.learn(current_, state.released);
}

void machine::unlock(void const* mutex) {
    mutex_state& state = state_of(mutex);
    if (!state.is_locked) {
        fail("a mutex is unlocked that is not locked", site::current());
    }
    (void)memory_.tick(current_);
    step_.touch_mutex(state.number);
    step_.note_store();
    state.is_locked = false;
    state.released = memory_.known_by(current_);
    wake(mutex);
    release_yielded();
}

void machine::forget(void const* mutex) {
    for (mutex_state& each : mutexes_) {
        if (each.address == mutex) {
            if (each.is_locked) {
                fail("a mutex is destroyed while it is locked", site::current());
            }
            step_.touch_mutex(each.number);
            each = mutexes_.back();
            mutexes_.pop_back();
            return;
        }
    }
}

bool machine::wait(void const* condition, void const* mutex, std::uint64_t deadline) {
    unlock(mutex);
    step_.touch_conditions();
    running().timed_out = false;
    block(condition, deadline);
    bool const timed_out = running().timed_out;
    lock(mutex);
    return !timed_out;
}

void machine::step() {
    stop_reducing();
    point();
}

std::uint64_t machine::now() noexcept {
    step_.read_clock();
    return now_;
}

bool machine::await(condition_function condition, void const* argument, std::uint64_t deadline) {
    stop_reducing();
    point();
    if (condition(argument)) {
        return true;
    }
    running().timed_out = false;
    block(argument, deadline, condition);
    return !running().timed_out;
}

knowledge machine::hand_over() {
    (void)memory_.tick(current_);
    return memory_.known_by(current_);
}

void machine::note_read(access_record& data, site where) {
    if (data.writer >= thread_max) {
        fail("plain data is read after the end of its frame", where);
    }
    if (!data.alive || memory_.known_by(current_).before.at[data.writer] < data.written) {
        fail("plain data is read while another thread may write or destroy it", where);
    }
    data.read.at[current_] = memory_.tick(current_);
}

void machine::note_write(access_record& data, site where) {
    if (data.writer >= thread_max) {
        fail("plain data is written after the end of its frame", where);
    }
    clock const& before = memory_.known_by(current_).before;
    if (!data.alive || before.at[data.writer] < data.written || !before.covers(data.read)) {
        fail("plain data is written or destroyed while another thread may use it", where);
    }
    data.writer = static_cast<std::uint8_t>(current_);
    data.written = memory_.tick(current_);
}

/// An access lies between the thread's last counted step and the next one, which every hand-over
/// counts before it takes place.
bool machine::watch_read(access_record& data) noexcept {
    clock const& before = memory_.known_by(current_).before;
    data.read.at[current_] = static_cast<std::uint16_t>(before.at[current_] + 1);
    return data.alive && (data.writer == current_ || before.at[data.writer] >= data.written);
}

bool machine::watch_write(access_record& data) noexcept {
    clock const& before = memory_.known_by(current_).before;
    bool ordered = data.writer == current_ || before.at[data.writer] >= data.written;
    for (unsigned i = 0; i < thread_count_; ++i) {
        ordered = ordered && (i == current_ || before.at[i] >= data.read.at[i]);
    }
    data.writer = static_cast<std::uint8_t>(current_);
    data.written = static_cast<std::uint16_t>(before.at[current_] + 1);
    return ordered && data.alive;
}

}  // namespace weft::model
