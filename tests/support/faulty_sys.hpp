#pragma once

/// The system calls of I/O, of which one can be made to fail. Included before everything else
/// (-include), it stands in the place of io/sys/sys.hpp: what is compiled so calls these.

#define sys real_sys
#include <weft/io/sys/sys.hpp>
#undef sys

#define WEFT_SYS_REPLACED

#include <atomic>
#include <cerrno>
#include <initializer_list>
#include <string>
#include <utility>

namespace weft::test {

/// Counts the system calls of a program, and fails one of them.
class faults {
public:
    /// The calls are counted from 1 on; 0: none fails. `pick` chooses among the errors that the
    /// call may give.
    static void arm(unsigned failing, unsigned pick) noexcept {
        calls_ = 0;
        failing_ = failing;
        pick_ = pick;
        name_ = nullptr;
    }

    /// The call that has failed, or null where there were fewer.
    [[nodiscard]] static char const* failed() noexcept { return name_; }

    [[nodiscard]] static unsigned calls() noexcept { return calls_; }

    /// 0, or the -errno that the call is to give.
    [[nodiscard]] static int next(char const* name, std::initializer_list<int> errors) noexcept {
        if (++calls_ != failing_ || errors.size() == 0) {
            return 0;
        }
        name_ = name;
        return -errors.begin()[pick_ % errors.size()];
    }

private:
    static inline std::atomic<unsigned> calls_{0};
    static inline std::atomic<unsigned> failing_{0};
    static inline std::atomic<unsigned> pick_{0};
    static inline std::atomic<char const*> name_{nullptr};
};

}  // namespace weft::test

/// A call that fails with one of these, and does nothing then.
#define WEFT_FAULTY(name, ...)                                                             \
    template <class... Arguments>                                                          \
    [[nodiscard]] auto name(Arguments&&... arguments) noexcept {                           \
        int const fault = ::weft::test::faults::next(#name, {__VA_ARGS__});                \
        return fault != 0 ? fault : real_sys::name(std::forward<Arguments>(arguments)...); \
    }                                                                                      \
    static_assert(true)

/// A call that this does not touch.
#define WEFT_SOUND(name)                                              \
    template <class... Arguments>                                     \
    auto name(Arguments&&... arguments) noexcept {                    \
        return real_sys::name(std::forward<Arguments>(arguments)...); \
    }                                                                 \
    static_assert(true)

namespace weft::detail::sys {

WEFT_SOUND(close);  // whatever it says, the descriptor is gone
WEFT_SOUND(duplicate);
WEFT_SOUND(monotonic_ns);
WEFT_SOUND(real_time_ns);
WEFT_SOUND(random_bytes);

WEFT_FAULTY(socket, EMFILE, ENOBUFS, EACCES);
WEFT_FAULTY(bind, EADDRINUSE, EACCES);
WEFT_FAULTY(listen, EADDRINUSE);
WEFT_FAULTY(accept, EMFILE, ECONNABORTED, EPERM, EINTR);
WEFT_FAULTY(connect, ECONNREFUSED, ENETUNREACH, EAGAIN, ETIMEDOUT);
WEFT_FAULTY(local_name, ENOBUFS);
WEFT_FAULTY(peer_name, ENOBUFS);
WEFT_FAULTY(option, ENOBUFS);
WEFT_FAULTY(set_option, ENOMEM, EINVAL);
WEFT_FAULTY(shutdown, ENOTCONN);
WEFT_FAULTY(receive, ECONNRESET, ETIMEDOUT, EINTR);
WEFT_FAULTY(send, EPIPE, ECONNRESET, EINTR);
WEFT_FAULTY(receive_message, ECONNRESET, EINTR);
WEFT_FAULTY(send_message, EPIPE, ENOMEM);
WEFT_FAULTY(unread_bytes, EINVAL);
WEFT_FAULTY(read, EIO, EINTR);
WEFT_FAULTY(write, EINTR);
WEFT_FAULTY(poll, ENOMEM, EINTR);
WEFT_FAULTY(event_counter, EMFILE);
WEFT_FAULTY(timer, EMFILE);
WEFT_SOUND(set_timer);
WEFT_FAULTY(block_signals, EINVAL);
WEFT_FAULTY(signal_descriptor, EMFILE);
WEFT_FAULTY(interface_index, ENODEV);
WEFT_FAULTY(epoll_set, EMFILE, ENOMEM);
WEFT_FAULTY(epoll_add, ENOMEM, ENOSPC);
WEFT_FAULTY(epoll_modify, ENOMEM);
WEFT_FAULTY(epoll_remove, ENOENT);
WEFT_FAULTY(epoll_wait, EINTR);
WEFT_FAULTY(epoll_wait_precisely, EINTR, ENOSYS);
WEFT_FAULTY(ring_setup, EPERM, ENOMEM, EINVAL);
WEFT_FAULTY(ring_map, ENOMEM);
WEFT_SOUND(ring_unmap);
WEFT_FAULTY(ring_hide_from_children, ENOMEM);
WEFT_SOUND(ring_probe);
WEFT_SOUND(ring_release_probe);
WEFT_SOUND(ring_enable);
WEFT_FAULTY(ring_register_descriptor, EBUSY);
WEFT_SOUND(ring_unregister_descriptor);
WEFT_FAULTY(ring_enter, EINTR, EAGAIN, EBUSY);

}  // namespace weft::detail::sys

#undef WEFT_FAULTY
#undef WEFT_SOUND
