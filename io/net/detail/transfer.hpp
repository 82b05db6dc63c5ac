#pragma once

/// What reading from and writing to a stream waits in.

#include <weft/io/base/address.hpp>
#include <weft/io/base/buffer.hpp>
#include <weft/io/op/op.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <system_error>
#include <utility>

#include <sys/uio.h>

namespace weft {

namespace detail {

struct tcp_socket;

/// What to transfer: the plain and the result form of an operation are made from the same request.
struct transfer_request {
    transfer_request(io_kind what, tcp_socket& where, void const* bytes, std::size_t count) noexcept
        : kind(what)
        , socket(&where)
        , data(static_cast<unsigned char*>(const_cast<void*>(bytes)))  // a send only reads
        , length(count) {}

    io_kind kind;
    tcp_socket* socket;
    unsigned char* data;
    std::size_t length;
};

/// The wait for something to read.
class readiness : public io_op {
public:
    /// An error names the address.
    readiness(socket_state& where, weft::address const& named) noexcept
        : readiness(where, &named, "wait for") {}

    /// Of what has no address: an error names `operation` alone.
    readiness(socket_state& where, char const* operation) noexcept
        : readiness(where, nullptr, operation) {}

    /// Requires: `unstarted` has not been started.
    readiness(readiness&& unstarted) noexcept
        : readiness(*unstarted.socket, unstarted.named_, unstarted.operation_) {}

    readiness& operator=(readiness&&) = delete;

    [[nodiscard]] bool is_empty() const noexcept { return false; }

    [[nodiscard]] result<void> outcome() const noexcept;

    void count_or_throw() const;

private:
    readiness(socket_state& where, weft::address const* named, char const* operation) noexcept
        : io_op(io_kind::readable, where)
        , named_(named)
        , operation_(operation) {}

    weft::address const* named_;
    char const* operation_;
};

/// The part of a transfer that does not depend on its form.
class transfer : public io_op {
public:
    explicit transfer(transfer_request const& request) noexcept;

    /// Requires: `unstarted` has not been started.
    transfer(transfer&& unstarted) noexcept;
    transfer& operator=(transfer&&) = delete;

    [[nodiscard]] bool is_empty() const noexcept { return length == 0; }

    /// The wait for something to receive.
    [[nodiscard]] readiness until_ready() const noexcept;

    /// The number of bytes; throws what outcome() holds, naming the operation and the peer.
    [[nodiscard]] std::size_t count_or_throw() const;

private:
    tcp_socket* stream_;
};

/// A transfer that takes what is there, if only some: it can be waited for without being done.
class receive : public transfer {
public:
    using transfer::transfer;
};

/// The vectors of a transfer from or to several places; the transfer uses them up.
class vector_list {
public:
    static constexpr std::size_t inline_count = 8;

    template <class Buffer>
    explicit vector_list(buffer_sequence<Buffer> buffers) : vector_list(buffers.size()) {
        for (Buffer const& each : buffers) {
            append(each.data(), each.size());
        }
    }

    vector_list(vector_list&& other) noexcept;
    vector_list& operator=(vector_list&&) = delete;

    ~vector_list() { delete[] heap_; }

    [[nodiscard]] ::iovec* begin() noexcept { return heap_ != nullptr ? heap_ : inline_; }

    /// How many there are; empty buffers are left out.
    [[nodiscard]] unsigned size() const noexcept { return count_; }

private:
    explicit vector_list(std::size_t capacity)
        : heap_(capacity > inline_count ? new ::iovec[capacity] : nullptr) {}

    void append(void const* data, std::size_t size) noexcept;

    ::iovec* heap_;
    unsigned count_ = 0;
    ::iovec inline_[inline_count];
};

/// The part of a vectored transfer that does not depend on its form.
class vectored_transfer : public transfer {
public:
    vectored_transfer(transfer_request const& request, vector_list&& taken) noexcept;
    vectored_transfer(vectored_transfer&& unstarted) noexcept;
    vectored_transfer& operator=(vectored_transfer&&) = delete;

    [[nodiscard]] bool is_empty() const noexcept { return vector_count == 0; }

private:
    void point_at_list() noexcept;

    vector_list list_;
};

/// The same for several places.
class vectored_receive : public vectored_transfer {
public:
    using vectored_transfer::vectored_transfer;
};

}  // namespace detail

/// What reading and writing wait in. Yields the number of bytes, or with `as_result` a result of
/// it.
template <class Transfer, bool ResultForm>
class [[nodiscard]] basic_transfer : private Transfer {
    static constexpr bool takes_what_is_there =
        std::derived_from<Transfer, detail::receive> ||
        std::derived_from<Transfer, detail::vectored_receive>;

public:
    /// As a branch of a select: a wait that takes nothing may lose.
    static constexpr bool leaves_no_trace = std::same_as<Transfer, detail::readiness>;

    template <class... Arguments>
    explicit basic_transfer(Arguments&&... arguments) noexcept
        : Transfer(static_cast<Arguments&&>(arguments)...) {
        if constexpr (ResultForm) {
            this->tell_when_stopped();
        }
    }

    basic_transfer(basic_transfer const&) = delete;
    basic_transfer& operator=(basic_transfer const&) = delete;

    [[nodiscard]] bool await_ready() const noexcept {
        return this->is_empty() && detail::spend_budget();
    }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        if (this->is_empty() && !waiter.promise().stop().stop_requested()) [[unlikely]] {
            return detail::give_way(waiter.promise());
        }
        return this->start(waiter.promise());
    }

    auto await_resume() {
        detail::io_op::last_use const ends(*this);
        if constexpr (ResultForm) {
            return this->outcome();
        } else {
            return this->count_or_throw();
        }
    }

    [[nodiscard]] basic_transfer<Transfer, true> as_result() && noexcept
        requires(!ResultForm)
    {
        return basic_transfer<Transfer, true>(static_cast<Transfer&&>(*this));
    }

    // --- as a branch of a select, which waits without effect, and then tries ---------------------
    [[nodiscard]] basic_transfer<detail::readiness, true> until_ready() const noexcept
        requires takes_what_is_there
    {
        return basic_transfer<detail::readiness, true>(Transfer::until_ready());
    }

    [[nodiscard]] bool try_complete(std::error_code waited) noexcept
        requires takes_what_is_there
    {
        return this->is_empty() || Transfer::try_complete(waited);
    }

    [[nodiscard]] auto take() { return await_resume(); }

    /// The same of a wait for readiness, which takes nothing.
    [[nodiscard]] bool completes_now() noexcept
        requires leaves_no_trace
    {
        return Transfer::try_complete(std::error_code());
    }
};

/// Yields nothing, or with `as_result` a result<void>.
using readiness_operation = basic_transfer<detail::readiness, false>;
using transfer_operation = basic_transfer<detail::transfer, false>;
using vectored_transfer_operation = basic_transfer<detail::vectored_transfer, false>;
using receive_operation = basic_transfer<detail::receive, false>;
using vectored_receive_operation = basic_transfer<detail::vectored_receive, false>;

}  // namespace weft
