#include <weft/runtime/fiber/detail/fiber_core.hpp>

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/fiber/detail/overflow_report.hpp>
#include <weft/runtime/fiber/detail/switch_marks.hpp>
#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/sched/make_ready.hpp>
#include <weft/runtime/time/sleep.hpp>

#include <cstdio>
#include <cstring>
#include <utility>

#include <boost/context/detail/fcontext.hpp>
#include <cxxabi.h>

namespace weft::detail {

namespace {

namespace context_switch = boost::context::detail;

/// How often a fiber may go on after a stop and await again. What has not ended by then is an
/// endless loop around a catch (...).
constexpr std::uint32_t stops_thrown_max = 100'000;

[[noreturn]] void refuse_outside(char const* function) noexcept {
    char text[256];
    std::snprintf(
        text,
        sizeof text,
        "this_fiber::%s is called where no fiber runs: in a coroutine, use co_await; in a "
        "plain function, let weft::fiber(f) call it",
        function);
    panic(__FILE__, __LINE__, "outside of a fiber", text);
}

/// On the stack of a fiber, which may have come from another thread: reads the thread anew.
WEFT_NOINLINE fiber_core* running_fiber() noexcept {
    fiber_core* const current = this_threads_fibers.current;
    asm volatile("" ::: "memory");  // keeps the compiler from treating the function as constant
    return current;
}

}  // namespace

/// Where the stack begins.
struct fiber_core::entry {
    static void enter(context_switch::transfer_t from) noexcept {
        fiber_core& self = *static_cast<fiber_core*>(from.data);
        arrive(self.own_side_, self.driver_side_);
        self.driver_at_ = from.fctx;
        self.run_function_of_user();
        self.has_ended_ = true;
        leave_for_good(self.driver_side_);
        name_next(self.driver_side_);
        context_switch::jump_fcontext(self.driver_at_, nullptr);
        WEFT_UNREACHABLE("a fiber that has ended is resumed");
    }
};

fiber_core::fiber_core(run_function run, std::size_t stack_size, bool may_migrate)
    : run_(run)
    , stack_(stack_size) {
    home_.home = may_migrate ? nullptr : current_worker();
}

fiber_core::~fiber_core() {
    WEFT_CHECK(left_at_ == nullptr || has_ended_, "a fiber is destroyed while it waits");
}

fiber_core& fiber_core::current(char const* function) {
    fiber_core* const self = running_fiber();
    if (self == nullptr) [[unlikely]] {
        refuse_outside(function);
    }
    if (self->order_ != order::go_on) [[unlikely]] {
        self->obey();
    }
    return *self;
}

void fiber_core::suspend(void* awaiter, suspend_function function) {
    awaiter_ = awaiter;
    suspend_ = function;
    switch_out();
    if (order_ != order::go_on) [[unlikely]] {
        obey();
    }
    if (error_ != nullptr) [[unlikely]] {
        std::rethrow_exception(std::exchange(error_, nullptr));
    }
}

/// keeps I5
void fiber_core::obey() {
    WEFT_CHECK(std::uncaught_exceptions() == 0,
               "a fiber awaits in a destructor while a stop or an error unwinds its stack, and is "
               "stopped: let clean-ups that await stand behind the fiber, by "
               "weft::finally(weft::fiber(f), cleanup), and not in destructors");
    WEFT_CHECK(++stops_thrown_ <= stops_thrown_max,
               "a fiber that is stopped goes on for ever, since a catch (...) in a loop takes the "
               "stop: put before it catch (weft::fiber_stopped const&) { throw; }");
    throw fiber_stopped();
}

void fiber_core::run_function_of_user() noexcept {
    try {
        run_(*this);
    } catch (...) {
        if (order_ == order::go_on) {
            error_ = std::current_exception();
        }
    }
}

/// On the fiber's stack.
WEFT_NOINLINE void fiber_core::switch_out() noexcept {
    leave(own_side_, driver_side_);
    name_next(driver_side_);
    driver_at_ = context_switch::jump_fcontext(driver_at_, nullptr).fctx;
    arrive(own_side_, driver_side_);
}

/// On the stack of a thread, which stays the same: only the fiber may come back on another one.
WEFT_NOINLINE void fiber_core::switch_in() noexcept {
    fibers_of_thread& here = this_threads_fibers;
    if (!here.is_watched) [[unlikely]] {
        watch_overflow(here);
    }
    if (left_at_ == nullptr) [[unlikely]] {
        left_at_ = context_switch::make_fcontext(stack_.top(), stack_.size(), &entry::enter);
        own_side_.bottom = stack_.bottom();
        own_side_.size = stack_.size();
        make_name(own_side_);
    }
    fiber_core* const outer = std::exchange(here.current, this);
    void* const in_hand = abi::__cxa_get_globals();
    exceptions_in_hand of_thread;
    std::memcpy(&of_thread, in_hand, sizeof of_thread);
    std::memcpy(in_hand, &exceptions_, sizeof exceptions_);
    name_this(driver_side_);
    leave(driver_side_, own_side_);
    name_next(own_side_);
    left_at_ = context_switch::jump_fcontext(left_at_, this).fctx;
    arrive(driver_side_);
    std::memcpy(&exceptions_, in_hand, sizeof exceptions_);
    std::memcpy(in_hand, &of_thread, sizeof of_thread);
    here.current = outer;
    if (has_ended_) [[unlikely]] {
        drop_name(own_side_);
        fiber_stack const given_back = std::move(stack_);  // keeps I4
    }
}

WEFT_NOINLINE bool fiber_core::is_away() const noexcept {
    return home_.home != nullptr && home_.home != this_threads_worker;
}

bool fiber_core::run_turn() noexcept {
    if (is_away()) [[unlikely]] {
        suspend_ = [](fiber_core& self, void*, promise_base& driver) -> std::coroutine_handle<> {
            self.send_home(driver);
            return std::noop_coroutine();
        };
        return false;
    }
    switch_in();
    return has_ended_;
}

/// keeps I2. A thread that is none of the scheduler's goes through its queue first, which knows how
/// to end while somebody is in it; a worker posts.
void fiber_core::send_home(promise_base& waiter) noexcept {
    worker* const here = current_worker();
    if (here == nullptr || &here->sched() != &home_.home->sched()) {
        make_ready(waiter);
        return;
    }
    home_.traveller = &waiter;
    home_.home->post(home_);
}

void fiber_core::way_home::arrived(remote_request& request) noexcept {
    auto& self = static_cast<way_home&>(request);
    make_ready_here(*self.home, *self.traveller);
}

void fiber_core::unwind() noexcept {
    order_ = order::unwind;
    switch_in();
    WEFT_CHECK(has_ended_, "a fiber that is unwound waits");
}

task<> drive_fiber(fiber_core& fiber) {
    for (;;) {
        bool const has_ended = co_await fiber_turn(fiber);
        if (has_ended) {
            break;
        }
    }
}

}  // namespace weft::detail

namespace weft::this_fiber {

void yield() {
    detail::await_in_fiber(weft::yield(), "yield");
}

}  // namespace weft::this_fiber
