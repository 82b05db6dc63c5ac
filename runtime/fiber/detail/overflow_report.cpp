#include <weft/runtime/fiber/detail/overflow_report.hpp>

#include <weft/runtime/fiber/detail/fiber_core.hpp>

#include <cerrno>
#include <csignal>
#include <cstddef>

#include <sys/mman.h>
#include <unistd.h>

namespace weft::detail {

WEFT_STATIC_TLS constinit thread_local fibers_of_thread this_threads_fibers{nullptr, nullptr};

namespace {

/// For the handler that was there before, too.
constexpr std::size_t signal_stack_size = std::size_t{64} * 1024;

struct sigaction handler_before;

/// Text that is put together in a signal handler.
class line {
public:
    void add(char const* text) noexcept {
        while (*text != '\0' && length_ != sizeof text_) {
            text_[length_++] = *text++;
        }
    }

    void add(std::size_t number) noexcept {
        char digits[24];
        char* place = digits + sizeof digits;
        *--place = '\0';
        do {
            *--place = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        add(place);
    }

    void write() const noexcept {
        [[maybe_unused]] auto const count = ::write(STDERR_FILENO, text_, length_);
    }

private:
    char text_[512];
    std::size_t length_ = 0;
};

void report(std::size_t size) noexcept {
    line text;
    text.add("weft: a fiber has used up its stack of ");
    text.add(size);
    text.add(" bytes: give it more, by weft::fiber(f, {.stack_size = ");
    text.add(size * 4);
    text.add("}), or let it recurse less deeply\n");
    text.write();
}

/// What would have happened without our handler.
void pass_on(int signal, ::siginfo_t* info, void* interrupted) noexcept {
    bool const takes_info = (handler_before.sa_flags & SA_SIGINFO) != 0;
    if (takes_info) {
        handler_before.sa_sigaction(signal, info, interrupted);
    } else if (handler_before.sa_handler == SIG_DFL || handler_before.sa_handler == SIG_IGN) {
        std::signal(signal, SIG_DFL);  // the access is made again when we return
    } else {
        handler_before.sa_handler(signal);
    }
}

void on_fault(int signal, ::siginfo_t* info, void* interrupted) noexcept {
    int const error = errno;
    fiber_core const* const current = this_threads_fibers.current;
    if (current != nullptr && current->stack().guards(info->si_addr)) {
        report(current->stack().size());
    }
    pass_on(signal, info, interrupted);
    errno = error;
}

/// Once per process.
void install_handler() noexcept {
    [[maybe_unused]] static int const installed = [] {
        struct sigaction ours = {};
        ours.sa_sigaction = &on_fault;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
        ::sigemptyset(&ours.sa_mask);
        ::sigaction(SIGSEGV, nullptr, &handler_before);
        return ::sigaction(SIGSEGV, &ours, nullptr);
    }();
}

/// The thread's stack for signals, until the thread ends.
class signal_stack {
public:
    signal_stack() noexcept {
        ::stack_t before = {};
        if (::sigaltstack(nullptr, &before) != 0 || (before.ss_flags & SS_DISABLE) == 0) {
            return;
        }
        void* const mapped = ::mmap(nullptr,
                                    signal_stack_size,
                                    PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
                                    -1,
                                    0);
        if (mapped == MAP_FAILED) {
            return;
        }
        ::stack_t ours = {};
        ours.ss_sp = mapped;
        ours.ss_size = signal_stack_size;
        if (::sigaltstack(&ours, nullptr) == 0) {
            mapped_ = mapped;
        } else {
            ::munmap(mapped, signal_stack_size);
        }
    }

    signal_stack(signal_stack const&) = delete;
    signal_stack& operator=(signal_stack const&) = delete;

    ~signal_stack() {
        ::stack_t now = {};
        if (mapped_ == nullptr || ::sigaltstack(nullptr, &now) != 0) {
            return;
        }
        if (now.ss_sp == mapped_) {
            now.ss_flags = SS_DISABLE;
            ::sigaltstack(&now, nullptr);
        }
        ::munmap(mapped_, signal_stack_size);
    }

private:
    void* mapped_ = nullptr;
};

}  // namespace

void watch_overflow() noexcept {
    install_handler();
    thread_local signal_stack const own;
}

}  // namespace weft::detail
