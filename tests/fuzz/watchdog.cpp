#include <weft/tests/fuzz/watchdog.hpp>

#include <weft/runtime/base/config.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <unistd.h>

// Of the sanitizers, where there are any.
extern "C" [[gnu::weak]] void __sanitizer_set_death_callback(void (*callback)());

namespace weft::fuzz {
namespace {

using namespace std::chrono_literals;

/// However busy the machine is, and under a sanitizer.
constexpr auto longest_run = WEFT_ASAN || WEFT_TSAN ? 120s : 60s;

/// Printed by whatever ends the process; only written while no program runs.
std::string present_text;
std::string how_to_repeat_it;

void print_present() {
    (void)!::write(STDERR_FILENO, present_text.data(), present_text.size());
}

extern "C" void died(int number) {
    print_present();
    ::signal(number, SIG_DFL);
    ::raise(number);
}

class watchdog {
public:
    watchdog() : thread_([this] { watch(); }) {
        for (int const number : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
            if (number == SIGABRT || !(WEFT_ASAN || WEFT_TSAN)) {
                ::signal(number, died);
            }
        }
        if (__sanitizer_set_death_callback != nullptr) {
            __sanitizer_set_death_callback(print_present);
        }
    }

    ~watchdog() {
        {
            std::scoped_lock const lock(mutex_);
            closing_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    void begin(account& book) {
        std::scoped_lock const lock(mutex_);
        book_ = &book;
        ++run_;
        changed_.notify_all();
    }

    void end() {
        std::scoped_lock const lock(mutex_);
        book_ = nullptr;
        ++run_;
        changed_.notify_all();
    }

private:
    void watch() {
        std::unique_lock lock(mutex_);
        while (!closing_) {
            unsigned long const seen = run_;
            bool const changed = changed_.wait_for(
                lock, longest_run, [this, seen] { return closing_ || run_ != seen; });
            if (!changed && book_ != nullptr) {
                std::fprintf(stderr, "HANG: a program does not end\n");
                print_present();
                std::fprintf(stderr, "alive:\n%s", book_->who_is_alive().c_str());
                std::_Exit(exit_hang);
            }
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    account* book_ = nullptr;
    unsigned long run_ = 0;
    bool closing_ = false;
    std::thread thread_;
};

watchdog& the_watchdog() {
    static watchdog one;
    return one;
}

}  // namespace

void set_present_program(std::string const& how_to_repeat) {
    how_to_repeat_it = how_to_repeat;
}

watch_over::watch_over(node const& root, account& book) {
    present_text = "program, repeated by " + how_to_repeat_it + ":\n" + text_of(root);
    the_watchdog().begin(book);
}

watch_over::~watch_over() {
    the_watchdog().end();
}

}  // namespace weft::fuzz
