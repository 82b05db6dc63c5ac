#pragma once

/// What reading from and writing to a stream waits in.

#include <weft/io/buffer.hpp>
#include <weft/io/op.hpp>

#include <concepts>
#include <coroutine>
#include <cstddef>
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

/// The part of a transfer that does not depend on its form.
class transfer : public io_op {
public:
    explicit transfer(transfer_request const& request) noexcept;

    [[nodiscard]] transfer_request request() const noexcept;

    /// The number of bytes; throws what outcome() holds, naming the operation and the peer.
    [[nodiscard]] std::size_t count_or_throw() const;

private:
    tcp_socket* stream_;
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

    [[nodiscard]] bool is_empty() const noexcept { return vector_count == 0; }

    [[nodiscard]] vector_list& list() noexcept { return list_; }

private:
    vector_list list_;
};

}  // namespace detail

/// What read_some, read_exact and write_all wait in. Yields the number of bytes, or with
/// `as_result` a result of it.
template <bool ResultForm>
class [[nodiscard]] basic_transfer : private detail::transfer {
public:
    explicit basic_transfer(detail::transfer_request const& request) noexcept : transfer(request) {
        if constexpr (ResultForm) {
            resume_when_stopped();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return length == 0; }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return start(waiter.promise());
    }

    auto await_resume() {
        last_use const ends(*this);
        if constexpr (ResultForm) {
            return outcome();
        } else {
            return count_or_throw();
        }
    }

    [[nodiscard]] basic_transfer<true> as_result() && noexcept
        requires(!ResultForm)
    {
        return basic_transfer<true>(request());
    }
};

/// What the vectored forms wait in.
template <bool ResultForm>
class [[nodiscard]] basic_vectored_transfer : private detail::vectored_transfer {
public:
    basic_vectored_transfer(detail::transfer_request const& request,
                            detail::vector_list&& list) noexcept
        : vectored_transfer(request, std::move(list)) {
        if constexpr (ResultForm) {
            resume_when_stopped();
        }
    }

    [[nodiscard]] bool await_ready() const noexcept { return is_empty(); }

    template <std::derived_from<detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> waiter) noexcept {
        return start(waiter.promise());
    }

    auto await_resume() {
        last_use const ends(*this);
        if constexpr (ResultForm) {
            return outcome();
        } else {
            return count_or_throw();
        }
    }

    [[nodiscard]] basic_vectored_transfer<true> as_result() && noexcept
        requires(!ResultForm)
    {
        return basic_vectored_transfer<true>(request(), std::move(list()));
    }
};

using transfer_operation = basic_transfer<false>;
using vectored_transfer_operation = basic_vectored_transfer<false>;

}  // namespace weft
