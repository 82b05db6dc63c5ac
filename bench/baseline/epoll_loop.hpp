#pragma once

#include <weft/bench/baseline/sockets.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include <sys/epoll.h>

namespace baseline {

/// An epoll set and the loop over its events. Descriptors are watched with a tag of the caller's
/// choice.
class epoll_loop {
public:
    epoll_loop() : set_(checked(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

    void watch(int fd, std::uint32_t interest, void* tag) {
        control(EPOLL_CTL_ADD, fd, interest, tag);
    }

    /// Reports again at once what is already true of `fd`, edge-triggered or not.
    void rewatch(int fd, std::uint32_t interest, void* tag) {
        control(EPOLL_CTL_MOD, fd, interest, tag);
    }

    /// Hands each event to `handle(tag, events)` until `stop` is called from there. A descriptor
    /// has at most one event in a batch, so its handler may destroy what the tag points to.
    template <class Handle>
    void run(Handle handle) {
        std::array<::epoll_event, 256> events;
        while (!stopped_) {
            int const count = ::epoll_wait(
                set_.value(), events.data(), static_cast<int>(events.size()), /*timeout=*/-1);
            if (count < 0 && errno != EINTR) {
                fail("epoll_wait", errno);
            }
            for (int i = 0; i < count; ++i) {
                auto const& event = events[static_cast<std::size_t>(i)];
                handle(event.data.ptr, event.events);
            }
        }
    }

    void stop() noexcept { stopped_ = true; }

private:
    void control(int operation, int fd, std::uint32_t interest, void* tag) {
        ::epoll_event event{};
        event.events = interest;
        event.data.ptr = tag;
        checked(::epoll_ctl(set_.value(), operation, fd, &event), "epoll_ctl");
    }

    owned_fd const set_;
    bool stopped_ = false;
};

}  // namespace baseline
