#include <weft/runtime/fiber/detail/fiber_core.hpp>

#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/fiber/detail/overflow_report.hpp>
#include <weft/runtime/fiber/detail/switch_marks.hpp>
#include <weft/runtime/fiber/fiber.hpp>
#include <weft/runtime/sched/make_ready.hpp>

#include <bit>
#include <concepts>
#include <coroutine>
#include <cstdio>
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

}  // namespace

/// The two ways onto a stack. Inlined, as suspend() is.
struct fiber_core::switching {
    /// On the stack of a thread, which stays the same: only the fiber may come back on another one.
    WEFT_ALWAYS_INLINE static void in(fiber_core& self) noexcept {
        fibers_of_thread& here = this_threads_fibers;
        if (here.exceptions == nullptr || self.left_at_ == nullptr) [[unlikely]] {
            self.prepare(here);
        }
        fiber_core* const outer = std::exchange(here.current, &self);
        self.exceptions_.exchange_with(*here.exceptions);
        name_this(self.driver_side_);
        leave(self.driver_side_, self.own_side_);
        name_next(self.own_side_);
        self.left_at_ = jump(self.jump_, self.left_at_, &self).left_at;
        arrive(self.driver_side_);
        self.exceptions_.exchange_with(*here.exceptions);
        here.current = outer;
    }

    /// Where the stack begins.
    static void begin(context_switch::transfer_t from) noexcept {
        fiber_core& self = *static_cast<fiber_core*>(from.data);
        arrive(self.own_side_, self.driver_side_);
        self.driver_at_ = from.fctx;
        self.run_function_of_user();
        self.has_ended_ = true;
        leave_for_good(self.driver_side_);
        name_next(self.driver_side_);
        (void)jump(self.jump_, self.driver_at_, nullptr);
        WEFT_UNREACHABLE("a fiber that has ended is resumed");
    }
};

/// What the driver awaits: the fiber's next turn. Yields whether it was the last one.
struct fiber_core::turn {
    fiber_core& self;

    explicit turn(fiber_core& owner) noexcept : self(owner) {}

    [[nodiscard]] WEFT_ALWAYS_INLINE bool await_ready() const noexcept {
        if (self.home_.home != nullptr && self.home_.home != this_threads_worker) [[unlikely]] {
            self.suspend_ = &go_home;
            return false;
        }
        switching::in(self);
        return self.has_ended_;
    }

    template <std::derived_from<promise_base> Promise>
    [[nodiscard]] WEFT_INLINE_SUSPENSION std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> driver) const noexcept {
        return self.suspend_(self, self.awaiter_, driver.promise());
    }

    [[nodiscard]] bool await_resume() const noexcept { return self.has_ended_; }

    static std::coroutine_handle<> go_home(fiber_core& self, void*, promise_base& driver) {
        self.send_home(driver);
        return std::noop_coroutine();
    }
};

fiber_core::fiber_core(run_function run, std::size_t stack_size, bool may_migrate)
    : run_(run)
    , jump_(std::bit_cast<jump_function>(&context_switch::jump_fcontext))
    , stack_(stack_size) {
    home_.home = may_migrate ? nullptr : current_worker();
}

fiber_core::~fiber_core() {
    WEFT_CHECK(left_at_ == nullptr || has_ended_, "a fiber is destroyed while it waits");
}

/// Not inlined: the fiber may have come from another thread, and reads what is this one's anew.
WEFT_NOINLINE fiber_core& fiber_core::current(char const* function) {
    fiber_core* const self = this_threads_fibers.current;
    asm volatile("" ::: "memory");  // keeps the compiler from treating the function as constant
    if (self == nullptr) [[unlikely]] {
        refuse_outside(function);
    }
    if (self->order_ != order::go_on) [[unlikely]] {
        self->obey();
    }
    return *self;
}

/// keeps I5
void fiber_core::obey() {
    if (order_ == order::rethrow) {
        order_ = order::go_on;
        std::rethrow_exception(std::exchange(error_, nullptr));
    }
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
        if (order_ != order::unwind) {
            error_ = std::current_exception();
        }
    }
}

/// On the fiber's stack, where a sanitizer looks at the switch.
WEFT_NOINLINE void fiber_core::switch_out() noexcept {
    leave(own_side_, driver_side_);
    name_next(driver_side_);
    driver_at_ = jump(jump_, driver_at_, nullptr).left_at;
    arrive(own_side_, driver_side_);
}

void fiber_core::prepare(fibers_of_thread& here) noexcept {
    if (here.exceptions == nullptr) {
        here.exceptions = reinterpret_cast<exceptions_in_hand*>(abi::__cxa_get_globals());
        watch_overflow();
    }
    if (left_at_ == nullptr) {
        left_at_ = context_switch::make_fcontext(stack_.top(), stack_.size(), &switching::begin);
        own_side_.bottom = stack_.bottom();
        own_side_.size = stack_.size();
        make_name(own_side_);
    }
}

void fiber_core::give_stack_back() noexcept {
    drop_name(own_side_);
    fiber_stack const given_back = std::move(stack_);  // keeps I4
}

bool fiber_core::is_away() const noexcept {
    return home_.home != nullptr && home_.home != current_worker();
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
    switching::in(*this);
    WEFT_CHECK(has_ended_, "a fiber that is unwound waits");
    give_stack_back();
}

void fiber_yield::requeue(promise_base& driver) noexcept {
    worker& here = require_worker("this_fiber::yield");
    yield_here(here, driver, unwind_if(driver.stop().stop_requested()));
}

task<> fiber_core::drive(fiber_core& self) {
    for (;;) {
        bool const has_ended = co_await turn(self);
        if (has_ended) {
            break;
        }
    }
    self.give_stack_back();
}

}  // namespace weft::detail
