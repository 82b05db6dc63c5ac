#include <weft/io/ring/ring.hpp>

#include <weft/io/ring/uring_abi.hpp>
#include <weft/io/sys/sys.hpp>
#include <weft/runtime/base/assert.hpp>

#include <bit>
#include <cerrno>
#include <cstring>
#include <initializer_list>

namespace weft::detail {

namespace {

using enum uring_feature;

/// Without these the back end does not work at all, and epoll serves better.
constexpr unsigned required_features =
    IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL;

constexpr int required_operations[] = {
    IORING_OP_POLL_ADD,
    IORING_OP_SENDMSG,
    IORING_OP_ACCEPT,
    IORING_OP_ASYNC_CANCEL,
    IORING_OP_CONNECT,
    IORING_OP_CLOSE,
    IORING_OP_SEND,
    IORING_OP_RECV,
};

constexpr uring_features set_of(std::initializer_list<uring_feature> members) noexcept {
    uring_features set;
    for (uring_feature const each : members) {
        set.add(each);
    }
    return set;
}

/// What is asked for, from best to plain.
constexpr uring_features setup_steps[] = {
    set_of({single_issuer, defer_taskrun, taskrun_flag, submit_all, no_sqarray}),
    set_of({single_issuer, defer_taskrun, taskrun_flag, submit_all}),
    set_of({single_issuer, coop_taskrun, taskrun_flag, submit_all}),
    set_of({coop_taskrun, taskrun_flag, submit_all}),
    set_of({submit_all}),
    set_of({}),
};

/// A step without the masked features, and without what the kernel refuses in their absence.
constexpr uring_features reduced(uring_features step, uring_features allowed) noexcept {
    bool const wanted_defer = step.has(defer_taskrun);
    step = step & allowed;
    if (!step.has(single_issuer)) {
        step.remove(defer_taskrun);
    }
    if (wanted_defer && !step.has(defer_taskrun)) {
        step.set(coop_taskrun, allowed.has(coop_taskrun));
    }
    if (!step.has(defer_taskrun) && !step.has(coop_taskrun)) {
        step.remove(taskrun_flag);
    }
    return step;
}

constexpr unsigned setup_flags(uring_features step) noexcept {
    unsigned flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    flags |= step.has(single_issuer) ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED : 0U;
    flags |= step.has(defer_taskrun) ? IORING_SETUP_DEFER_TASKRUN : 0U;
    flags |= step.has(coop_taskrun) ? IORING_SETUP_COOP_TASKRUN : 0U;
    flags |= step.has(taskrun_flag) ? IORING_SETUP_TASKRUN_FLAG : 0U;
    flags |= step.has(submit_all) ? IORING_SETUP_SUBMIT_ALL : 0U;
    flags |= step.has(no_sqarray) ? uring_abi::setup_no_sqarray : 0U;
    return flags;
}

[[nodiscard]] char const* meaning_of(int error) noexcept {
    switch (error) {
        case EPERM:
        case EACCES:
            return "a seccomp filter, a security module or kernel.io_uring_disabled forbids it";
        case ENOSYS:
            return "the kernel has no io_uring, or a seccomp filter hides it";
        case ENOMEM:
            return "not enough memory for even the smallest ring: RLIMIT_MEMLOCK or the memory "
                   "control group";
        case EINVAL:
            return "the kernel is too old";
        case EMFILE:
        case ENFILE:
            return "no file descriptor is left";
        default:
            return "unexpected";
    }
}

[[nodiscard]] std::string describe_failure(int error) {
    char const* const name = ::strerrorname_np(error);
    return std::string("io_uring_setup failed with ") +
           (name != nullptr ? name : "an unknown error") + ": " + meaning_of(error);
}

}  // namespace

ring::~ring() {
    WEFT_ASSERT(!enabled_, "a ring is destroyed before its owner retired it");
    if (sq_entries_ != 0) {
        sys::ring_unmap(uring_);
    }
}

std::error_code ring::open(uring_options const& options, std::string& report) {
    WEFT_ASSERT(sq_entries_ == 0, "a ring is opened twice");
    if (int const error = set_up(options); error != 0) {
        report = describe_failure(error);
        return {error, std::system_category()};
    }
    if (std::string const missing = probe(options.allowed); !missing.empty()) {
        report = "the kernel's io_uring lacks " + missing;
        return std::make_error_code(std::errc::function_not_supported);
    }
    enter_fault_period_ = options.enter_fault_period;
    enter_fault_ = options.enter_fault;
    report = "io_uring: " + std::to_string(sq_entries_) + " submission and " +
             std::to_string(cq_entries_) + " completion entries; uses " + features_.names();
    if (auto const absent = options.allowed - features_; !absent.empty()) {
        report += "; not offered: " + absent.names();
    }
    if (auto const masked = uring_features::all() - options.allowed; !masked.empty()) {
        report += "; disabled: " + masked.names();
    }
    return {};
}

/// 0, or the errno of the last attempt.
int ring::set_up(uring_options const& options) noexcept {
    int error = EINVAL;
    for (uring_features const step : setup_steps) {
        error = set_up_with(reduced(step, options.allowed), options);
        if (error != EINVAL) {
            break;  // refused for a reason that fewer flags do not mend, or granted
        }
    }
    return error;
}

int ring::set_up_with(uring_features flags, uring_options const& options) noexcept {
    unsigned entries =
        options.entries > uring_options::entries_min ? options.entries : uring_options::entries_min;
    unsigned completions = options.completion_entries != 0
                               ? options.completion_entries
                               : entries * uring_options::completion_ratio;
    for (;;) {
        ::io_uring_params params{};
        params.flags = setup_flags(flags);
        params.cq_entries = completions > entries ? completions : entries;
        int const fd =
            options.setup_fault != 0 ? -options.setup_fault : sys::ring_setup(entries, params);
        if (fd >= 0 && map(fd, params)) {
            features_ = flags;
            return 0;
        }
        if (fd >= 0) {
            (void)sys::close(fd);
        }
        int const error = fd >= 0 ? ENOMEM : -fd;
        if (error != ENOMEM || entries <= uring_options::entries_min) {
            return error;
        }
        entries /= 2;
        completions /= 2;
    }
}

bool ring::map(int fd, ::io_uring_params& params) noexcept {
    if (sys::ring_map(fd, params, uring_) != 0) {
        return false;
    }
    uring_.features = params.features;
    setup_flags_ = params.flags;
    sq_entries_ = params.sq_entries;
    cq_entries_ = params.cq_entries;
    // A forked child that touched the shared queues would submit in our name; it faults instead. If
    // the kernel cannot do that, nothing else changes.
    (void)sys::ring_hide_from_children(uring_);
    if ((params.flags & uring_abi::setup_no_sqarray) == 0) {
        for (unsigned i = 0; i < sq_entries_; ++i) {
            uring_.sq.array[i] = i;
        }
    }
    return true;
}

/// Fills `features_`. Gives the names of what is missing and indispensable.
std::string ring::probe(uring_features allowed) {
    ::io_uring_probe* const table = sys::ring_probe(uring_);
    auto const offers = [table](int operation) {
        return table != nullptr && ::io_uring_opcode_supported(table, operation) != 0;
    };
    std::string missing;
    if ((uring_.features & required_features) != required_features) {
        missing = "one of NODROP, SUBMIT_STABLE, FAST_POLL";
    }
    for (int const operation : required_operations) {
        if (!offers(operation)) {
            missing +=
                (missing.empty() ? "operation " : ", operation ") + std::to_string(operation);
        }
    }
    auto const grant = [&](uring_feature feature, bool offered) {
        features_.set(feature, offered && allowed.has(feature));
    };
    grant(ext_arg, (uring_.features & IORING_FEAT_EXT_ARG) != 0);
    grant(no_iowait, (uring_.features & uring_abi::feat_no_iowait) != 0);
    // Where the kernel has no bit of its own for a feature, something that came with the same
    // release tells.
    grant(multishot_poll, (uring_.features & IORING_FEAT_RSRC_TAGS) != 0);
    grant(registered_ring_fd, offers(IORING_OP_MSG_RING));
    grant(poll_first, offers(IORING_OP_SOCKET));
    sys::ring_release_probe(table);

    enter_flags_ = has(no_iowait) ? uring_abi::enter_no_iowait : 0U;
    wants_enter_mask_ = IORING_SQ_CQ_OVERFLOW | (has(taskrun_flag) ? IORING_SQ_TASKRUN : 0U);
    flagless_ = (has(defer_taskrun) || has(coop_taskrun)) && !has(taskrun_flag);
    return missing;
}

void ring::enable() noexcept {
    WEFT_ASSERT(sq_entries_ != 0 && !enabled_, "only an opened ring is enabled, and once");
    owner_ = ::pthread_self();
    enabled_ = true;
    if ((setup_flags_ & IORING_SETUP_R_DISABLED) != 0) {
        WEFT_CHECK(sys::ring_enable(uring_) == 0, "the kernel does not enable its own ring");
    }
    // The registration belongs to the thread. It is refused when the thread has no slot left: then
    // we do without.
    if (has(registered_ring_fd) && sys::ring_register_descriptor(uring_) != 1) {
        features_.remove(registered_ring_fd);
    }
    enter_flags_ |= has(registered_ring_fd) ? IORING_ENTER_REGISTERED_RING : 0U;
}

void ring::retire() noexcept {
    assert_owner();
    if (has(registered_ring_fd)) {
        (void)sys::ring_unregister_descriptor(uring_);
        features_.remove(registered_ring_fd);
        enter_flags_ &= ~IORING_ENTER_REGISTERED_RING;
    }
    enabled_ = false;
}

::io_uring_sqe* ring::try_sqe() noexcept {
    assert_owner();
    if (unsubmitted() == sq_entries_) {
        return nullptr;
    }
    return &uring_.sq.sqes[sq_tail_++ & (sq_entries_ - 1)];
}

unsigned ring::unsubmitted() const noexcept {
    // acquire: observe that the kernel has read the entries before it moved the head; pairs with
    // the kernel
    return sq_tail_ - ::io_uring_smp_load_acquire(uring_.sq.khead);
}

int ring::enter(unsigned to_submit,
                unsigned wait_for,
                unsigned flags,
                nanoseconds_u64 limit) noexcept {
    assert_owner();
    // release: publish the entries; pairs with the kernel, which reads them when it is told how
    // many there are
    ::io_uring_smp_store_release(uring_.sq.ktail, sq_tail_);
    ++enter_count_;
    if (enter_fault_period_ != 0) [[unlikely]] {
        enter_fault_random_ = enter_fault_random_ * 1664525U + 1013904223U;
        if ((enter_fault_random_ >> 16U) % enter_fault_period_ == 0) {
            return -enter_fault_;
        }
    }
    flags |= enter_flags_;
    if (limit == no_deadline) {
        return sys::ring_enter(uring_, to_submit, wait_for, flags, nullptr);
    }
    WEFT_ASSERT(has(ext_arg), "a wait with a limit needs ext_arg");
    constexpr nanoseconds_u64 second = 1'000'000'000U;
    ::__kernel_timespec duration{};
    duration.tv_sec = static_cast<std::int64_t>(limit / second);
    duration.tv_nsec = static_cast<long long>(limit % second);
    ::io_uring_getevents_arg argument{};
    argument.ts = std::bit_cast<std::uintptr_t>(&duration);
    return sys::ring_enter(uring_, to_submit, wait_for, flags | IORING_ENTER_EXT_ARG, &argument);
}

bool ring::has_completions() const noexcept {
    // relaxed: hint — take() observes; only we move the head
    return IO_URING_READ_ONCE(*uring_.cq.ktail) != cq_head_;
}

bool ring::wants_enter() const noexcept {
    // relaxed: hint — the flags only tell that entering is worth it
    return flagless_ || (IO_URING_READ_ONCE(*uring_.sq.kflags) & wants_enter_mask_) != 0;
}

bool ring::has_overflow() const noexcept {
    // relaxed: hint — as above
    return (IO_URING_READ_ONCE(*uring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
}

unsigned ring::take(answer* answers, unsigned capacity) noexcept {
    assert_owner();
    // acquire: observe the completions below the tail; pairs with the kernel
    unsigned const available = ::io_uring_smp_load_acquire(uring_.cq.ktail) - cq_head_;
    unsigned const count = available < capacity ? available : capacity;
    for (unsigned i = 0; i < count; ++i) {
        ::io_uring_cqe const& each = uring_.cq.cqes[(cq_head_ + i) & (cq_entries_ - 1)];
        answers[i] = {each.user_data, each.res, each.flags};
    }
    cq_head_ += count;
    // release: hand back the places that have been read; pairs with the kernel
    ::io_uring_smp_store_release(uring_.cq.khead, cq_head_);
    return count;
}

void ring::assert_owner() const noexcept {
    WEFT_ASSERT(enabled_ && ::pthread_equal(owner_, ::pthread_self()) != 0,
                "a ring is used by a thread that does not own it");
}

}  // namespace weft::detail
