#include <weft/io/driver/uring_driver.hpp>

#include <weft/io/ring/ring.hpp>
#include <weft/io/ring/ring_entry.hpp>
#include <weft/io/sys/sys.hpp>
#include <weft/runtime/base/assert.hpp>
#include <weft/runtime/base/tsan.hpp>

#include <bit>
#include <cerrno>
#include <ctime>
#include <new>
#include <utility>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

// Protocol
//
// Actors: the owner (a worker), the kernel, and anybody who calls wake(). Everything but wake() is
// the owner's.
//
// A turn (poll, park): hand over cancellations, then postponed operations, as far as the submission
// queue takes them → one io_uring_enter, which in park() waits and carries the deadline → copy the
// completions out → deal with them. Dealing with a completion resumes nobody: a finished operation
// puts its coroutine into the worker's ready queue.
//
// Where an operation is:    in_kernel  linked in              left by
//   postponed                  0       postponed_             an entry becomes free; cancel()
//   in the kernel              1       -                      its completion; cancel()
//   cancellation waits         1       postponed_cancels_     an entry becomes free; its completion
//   being cancelled            2       -                      its completion and the cancellation's
//   over                       0       -                      finish()
//
// I1 An operation finishes when in_kernel is 0: neither it nor a cancellation aimed at it is in the
//    kernel or in the submission queue, so its address may be used again. A prepared entry counts
//    as in the kernel even while enter fails, because a later enter hands it over.
// I2 Postponed operations start in the order in which they came, and no newer one overtakes them.
// I3 The operation's own completion decides its outcome. What the cancellation answers (0, -ENOENT,
//    -EALREADY) only tells that it has left the kernel. One that has found nothing (-ENOENT), while
//    the operation's completion has not come, met it between two parts of a transfer, where the
//    kernel does not look: it is asked again, since the next part may wait for ever.
// I4 Before the owner blocks, the wake-up descriptor is watched. The watch is level-triggered when
//    it is armed and edge-triggered afterwards, so that a write is seen whether it comes before or
//    after.
// I5 Nothing blocks while work is refused: with something postponed, a wait is limited to
//    retry_interval. Where the kernel refuses the wait, too, the worker sleeps that long instead;
//    if that lasts, or for an error that does not pass, the process ends with the error's name.
//
// Rejected: holding operations back so that completions never exceed the completion queue.
// Operations on sockets wait for other operations; if the receives held all places, the send that
// ends them would wait for ever. The kernel keeps what does not fit in a list (NODROP, a required
// feature), and we enter as soon as the flag of that list is up.

namespace weft::detail {

using enum uring_feature;

/// What an entry's user_data means: an operation's address with one of these in the low bits, or
/// just one of these.
enum class uring_driver::tag : std::uint64_t { operation, cancellation, wake, timer };

namespace {

constexpr std::uint64_t tag_mask = 3;
static_assert(alignof(io_op) > tag_mask);

/// How long to wait before the kernel is asked again to take entries that it refused for lack of
/// memory.
constexpr nanoseconds_u64 retry_interval = 1'000'000;

constexpr unsigned batch_size = 64;

template <class Tag>
[[nodiscard]] std::uint64_t pack(io_op& op, Tag name) noexcept {
    return reinterpret_cast<std::uintptr_t>(&op) | static_cast<std::uint64_t>(name);
}

[[nodiscard]] io_op& operation_of(std::uint64_t user_data) noexcept {
    return *std::bit_cast<io_op*>(static_cast<std::uintptr_t>(user_data & ~tag_mask));
}

[[nodiscard]] bool is_transient(int error) noexcept {
    return error == EAGAIN || error == EBUSY || error == ENOMEM;
}

}  // namespace

result<uring_driver*> uring_driver::create(uring_options const& options, std::string& report) {
    auto opened = std::make_unique<ring>();
    if (auto const error = opened->open(options, report); error) {
        return failure(error);
    }
    int answer = sys::event_counter(EFD_CLOEXEC | EFD_NONBLOCK);
    unique_fd wake_fd(answer);
    unique_fd timer_fd;
    if (wake_fd && !opened->has(ext_arg)) {
        answer = sys::timer(TFD_CLOEXEC | TFD_NONBLOCK);
        timer_fd.reset(answer);
    }
    if (answer < 0) {
        std::error_code const error(-answer, std::system_category());
        report = "io_uring: no descriptor to wake a worker with: " + error.message();
        return failure(error);
    }
    return new uring_driver(std::move(opened), std::move(wake_fd), std::move(timer_fd));
}

uring_driver::uring_driver(std::unique_ptr<ring> opened, unique_fd wake_fd, unique_fd timer_fd)
    : ring_(std::move(opened))
    , wake_{std::move(wake_fd)}
    , timer_{std::move(timer_fd)}
    , multishot_(ring_->has(multishot_poll)) {
    io_ = this;
}

uring_driver::~uring_driver() {
    WEFT_ASSERT(in_flight_ == 0, "a driver is destroyed while the kernel has operations of it");
}

void uring_driver::attach() noexcept {
    ring_->enable();
    hand_over();
    (void)accepted(ring_->submit());
}

void uring_driver::detach() noexcept {
    WEFT_CHECK(in_flight_ == 0, "a driver is detached while the kernel has operations of it");
    ring_->retire();
}

// --- a turn ---------------------------------------------------------------------------

void uring_driver::poll() noexcept {
    hand_over();
    collect();
    reap();
}

void uring_driver::park(nanoseconds_u64 deadline) noexcept {
    hand_over();
    if (woken_ || ring_->has_completions()) {
        collect();
    } else {
        block(deadline);
    }
    reap();
    woken_ = false;
}

bool uring_driver::has_pending() const noexcept {
    return ring_->has_completions() || ring_->unsubmitted() != 0 || ring_->wants_enter() ||
           !postponed_cancels_.empty() || !postponed_.empty();
}

/// Puts into the submission queue what waits for a place in it, cancellations first: they free the
/// kernel of others.
void uring_driver::hand_over() noexcept {
    arm(wake_, tag::wake);
    if (timer_.fd) {
        arm(timer_, tag::timer);
    }
    while (io_op* const op = postponed_cancels_.front()) {
        if (!submit_cancel(*op)) {
            return;
        }
    }
    while (io_op* const op = postponed_.front()) {
        if (!submit(*op)) {
            return;
        }
    }
}

/// Enters if there is a reason to: entries to hand over, or completions that the kernel has put
/// off.
void uring_driver::collect() noexcept {
    if (ring_->unsubmitted() == 0 && !ring_->wants_enter()) {
        return;
    }
    if (!accepted(ring_->collect())) {
        (void)accepted(ring_->collect_only());  // EBUSY: the overflow list has to be emptied first
    }
}

void uring_driver::block(nanoseconds_u64 deadline) noexcept {
    bool const refused = !wake_.armed || !postponed_cancels_.empty() || !postponed_.empty();
    nanoseconds_u64 limit = refused ? retry_interval : no_deadline;  // keeps I4, I5
    if (deadline != no_deadline) {
        nanoseconds_u64 const time = now();
        if (deadline <= time) {
            collect();
            return;
        }
        limit = deadline - time < limit ? deadline - time : limit;
    }
    if (timer_.fd && limit != no_deadline) {
        if (!timer_.armed) {
            collect();  // nothing would end the wait
            return;
        }
        set_timer(refused ? now() + limit : deadline);
        limit = no_deadline;
    }
    if (accepted(ring_->wait(limit))) {
        return;
    }
    bool const can_wait =
        accepted(timer_.fd ? ring_->collect_only()
                           : ring_->wait_only(limit < retry_interval ? limit : retry_interval));
    if (!can_wait) {
        (void)sys::poll(nullptr, 0U, 1);  // keeps I5; in milliseconds
    }
}

/// The clock of a kernel whose waits carry no deadline. A time in the past makes the descriptor
/// readable at once.
void uring_driver::set_timer(nanoseconds_u64 deadline) noexcept {
    if (deadline == timer_deadline_) {
        return;
    }
    timer_deadline_ = deadline;
    constexpr nanoseconds_u64 second = 1'000'000'000U;
    ::itimerspec when{};
    when.it_value.tv_sec = static_cast<std::time_t>(deadline / second);
    when.it_value.tv_nsec = static_cast<long>(deadline % second);
    WEFT_CHECK(sys::set_timer(timer_.fd.value(), when) == 0,
               "the deadline of a wait cannot be set");
}

/// Judges an enter: true when the kernel did what it was told, or was merely interrupted. False
/// when it took nothing and has to be asked again later. Anything else ends the process (I5).
bool uring_driver::accepted(int answer) noexcept {
    if (answer >= 0 || answer == -ETIME) [[likely]] {
        errors_.note_success();
        return true;
    }
    if (answer == -EINTR) {
        errors_.note_interruption();
        return true;
    }
    WEFT_CHECK(answer != -EBADR,
               "the kernel lost completions for lack of memory; operations would never end");
    if (!is_transient(-answer)) {
        errors_.note_failure(-answer);
    }
    errors_.note_refusal(-answer);
    ++statistics_.refused;
    return false;
}

// --- submission -------------------------------------------------------------------------

::io_uring_sqe* uring_driver::next_sqe() noexcept {
    ::io_uring_sqe* sqe = ring_->try_sqe();
    if (sqe == nullptr) [[unlikely]] {
        (void)accepted(ring_->submit());
        sqe = ring_->try_sqe();
    }
    statistics_.submissions += sqe != nullptr ? 1 : 0;
    return sqe;
}

bool uring_driver::try_now(io_op&) noexcept {
    return false;
}

void uring_driver::start(io_op& op) noexcept {
    WEFT_ASSERT(op.in_kernel == 0 && !op.is_over, "an operation is started twice");
    ++in_flight_;
    submit_or_postpone(op);
}

void uring_driver::submit_or_postpone(io_op& op) noexcept {
    if (postponed_.empty() && submit(op)) [[likely]] {  // keeps I2
        return;
    }
    ++statistics_.postponed;
    postponed_.push_back(op);
}

/// False when there is no entry; then nothing has changed.
bool uring_driver::submit(io_op& op) noexcept {
    ::io_uring_sqe* const sqe = next_sqe();
    if (sqe == nullptr) {
        return false;
    }
    if (list_hook(op).is_linked()) {
        list_hook(op).unlink();
    }
    op.kind->prepare(op, {sqe, ring_->features()});
    sqe->user_data = pack(op, tag::operation);
    op.in_kernel = 1;
    tsan_release(&op);
    return true;
}

/// Watches a descriptor unless it is watched already or there is no entry for it.
void uring_driver::arm(watch& watched, tag name) noexcept {
    if (watched.armed) [[likely]] {
        return;
    }
    ::io_uring_sqe* const sqe = next_sqe();
    if (sqe == nullptr) {
        return;
    }
    if (multishot_) {
        ::io_uring_prep_poll_multishot(sqe, watched.fd.value(), POLLIN);
    } else {
        ::io_uring_prep_poll_add(sqe, watched.fd.value(), POLLIN);
    }
    sqe->user_data = static_cast<std::uint64_t>(name);
    watched.armed = true;
    watched.lasts = multishot_;
}

// --- cancellation -----------------------------------------------------------------------

void uring_driver::cancel(io_op& op) noexcept {
    WEFT_ASSERT(!op.is_over, "an operation that is over is cancelled");
    op.cancel_wanted = true;
    if (op.in_kernel == 0) {
        list_hook(op).unlink();
        WEFT_CHECK(op.absorb({-ECANCELED}), "a cancelled operation goes on");
        finish(op);
    } else if (!submit_cancel(op)) {
        ++statistics_.postponed;
        postponed_cancels_.push_back(op);
    }
}

/// False when there is no entry; then nothing has changed.
bool uring_driver::submit_cancel(io_op& op) noexcept {
    WEFT_ASSERT(op.in_kernel == 1, "a cancellation is aimed at what is not in the kernel");
    ::io_uring_sqe* const sqe = next_sqe();
    if (sqe == nullptr) {
        return false;
    }
    if (list_hook(op).is_linked()) {
        list_hook(op).unlink();
    }
    ::io_uring_prep_cancel64(sqe, pack(op, tag::operation), 0);
    sqe->user_data = pack(op, tag::cancellation);
    op.in_kernel = 2;
    ++statistics_.cancellations;
    return true;
}

// --- completion -------------------------------------------------------------------------

/// Takes what is there, but no more than a queueful, so that operations which are asked for again
/// and answer at once cannot keep the worker here.
void uring_driver::reap() noexcept {
    ring::answer batch[batch_size];
    statistics_.overflows += ring_->has_overflow() ? 1 : 0;
    for (unsigned taken = 0; taken < ring_->completion_entries();) {
        unsigned const count = ring_->take(batch, batch_size);
        if (count == 0) {
            break;
        }
        for (unsigned i = 0; i < count; ++i) {
            take_answer(batch[i].user_data, batch[i].result, batch[i].flags);
        }
        taken += count;
        statistics_.completions += count;
    }
}

void uring_driver::take_answer(std::uint64_t user_data, int result, unsigned flags) noexcept {
    switch (static_cast<tag>(user_data & tag_mask)) {
        case tag::operation:
            on_answer(operation_of(user_data), result, flags);
            break;
        case tag::cancellation:
            on_cancel_answer(operation_of(user_data), result);
            break;
        case tag::wake:
            woken_ = true;
            on_watch(wake_, result, flags);
            break;
        case tag::timer:
            on_watch(timer_, result, flags);
            break;
    }
}

/// A watch that has ended is armed again by the next turn. The descriptor is emptied first, or it
/// would fire at once. A kernel that refuses the multishot form is asked for the plain one.
void uring_driver::on_watch(watch& watched, int result, unsigned flags) noexcept {
    if ((flags & IORING_CQE_F_MORE) != 0) [[likely]] {
        return;
    }
    watched.armed = false;
    if (result < 0) {
        if (!watched.lasts && !is_transient(-result)) {
            panic_of_error("the watch of a worker's descriptor", -result);
        }
        multishot_ = false;
        return;
    }
    std::uint64_t count = 0;
    (void)sys::read(watched.fd.value(), &count, sizeof count);
}

void uring_driver::on_answer(io_op& op, int result, unsigned flags) noexcept {
    tsan_acquire(&op);
    WEFT_ASSERT(op.in_kernel != 0 && !op.is_over,
                "an answer for an operation that is not in the kernel");
    io_answer const answer{result, flags};
    bool const is_last = !answer.has(io_answer::more);
    if (is_last) {
        --op.in_kernel;
    }
    if (!op.absorb(answer)) {
        if (is_last) {
            WEFT_ASSERT(!op.cancel_wanted, "a cancelled operation goes on");
            submit_or_postpone(op);
        }
        return;
    }
    if (list_hook(op).is_linked()) {
        list_hook(op).unlink();  // it ended before its cancellation found a place
    }
    if (op.in_kernel == 0) {
        finish(op);
    }
}

/// keeps I3
void uring_driver::on_cancel_answer(io_op& op, int result) noexcept {
    WEFT_ASSERT(op.in_kernel != 0, "an answer for a cancellation that is not in the kernel");
    --op.in_kernel;
    if (op.in_kernel == 0) {
        finish(op);
    } else if (result == -ENOENT && !submit_cancel(op)) {
        ++statistics_.postponed;
        postponed_cancels_.push_back(op);
    }
}

void uring_driver::finish(io_op& op) noexcept {
    WEFT_ASSERT(op.is_over && op.in_kernel == 0,
                "an operation finishes while the kernel has it");  // keeps I1
    --in_flight_;
    op.finish();
}

// --- wake-up and clock ------------------------------------------------------------------

void uring_driver::wake() noexcept {
    std::uint64_t const one = 1;
    // The counter would have to reach 2^64 - 1 for this to fail, and it would be readable then.
    while (sys::write(wake_.fd.value(), &one, sizeof one) == -EINTR) {
    }
}

nanoseconds_u64 uring_driver::now() const noexcept {
    return sys::monotonic_ns();
}

uring_statistics uring_driver::statistics() const noexcept {
    uring_statistics copy = statistics_;
    copy.enters = ring_->enter_count();
    return copy;
}

uring_features uring_driver::features() const noexcept {
    return ring_->features();
}

}  // namespace weft::detail
