#pragma once

/// The family of operations on sockets: accepting, connecting, and moving bytes.

#include <weft/io/base/buffer.hpp>
#include <weft/io/op/descriptor_ops.hpp>
#include <weft/io/op/io_error.hpp>
#include <weft/io/op/op.hpp>

#include <cstddef>
#include <utility>

#include <sys/uio.h>

struct sockaddr;

namespace weft::detail {

extern io_kind const accept_kind;           // accept_op
extern io_kind const connect_kind;          // connect_op
extern io_kind const receive_kind;          // transfer: what is there, 0 at the end of the stream
extern io_kind const receive_exact_kind;    // transfer: the whole length, or unexpected end
extern io_kind const send_kind;             // transfer: the whole length
extern io_kind const receive_vectors_kind;  // vectored_transfer, as receive_kind
extern io_kind const send_vectors_kind;     // vectored_transfer: all of them

class accept_op : public io_op {
public:
    explicit accept_op(descriptor_state& listener) noexcept : io_op(accept_kind, listener) {}

    /// The connection, which the caller owns from now on; a second time, nothing.
    [[nodiscard]] result<unique_fd> take_descriptor() noexcept;

    /// Requires: the accept succeeded.
    [[nodiscard]] result<address> peer() const noexcept;

    [[nodiscard]] ::sockaddr* peer_name() noexcept {
        return reinterpret_cast<::sockaddr*>(peer_name_);
    }

    // --- for the kind --------------------------------------------------------------------
    unsigned peer_length = sizeof peer_name_;
    unique_fd accepted;  // until somebody takes it (op.hpp I3)

private:
    alignas(4) unsigned char peer_name_[28]{};  // a sockaddr_in6 or a sockaddr_in
};

class connect_op : public io_op {
public:
    /// The address must outlive the operation.
    connect_op(descriptor_state& socket, address const& to) noexcept
        : io_op(connect_kind, socket)
        , peer(&to) {}

    // --- for the kind --------------------------------------------------------------------
    address const* peer;
    bool is_under_way = false;  // where a driver makes the call
};

/// What to transfer: the plain and the result form of an operation are made from the same request.
struct transfer_request {
    io_kind const& kind;
    descriptor_state& stream;
    io_object peer;
    void* data = nullptr;
    std::size_t length = 0;
};

/// The part of a transfer that does not depend on its form.
class transfer : public io_op {
public:
    explicit transfer(transfer_request const& request) noexcept
        : io_op(request.kind, request.stream)
        , data(static_cast<unsigned char*>(request.data))
        , length(request.length)
        , peer_(request.peer) {}

    /// Requires: `unstarted` has not been started.
    transfer(transfer&& unstarted) noexcept : transfer(unstarted.request()) {}

    transfer& operator=(transfer&&) = delete;

    /// What it was made from. Requires: it has not been started.
    [[nodiscard]] transfer_request request() const noexcept {
        return {*kind, *descriptor, peer_, data, length};
    }

    [[nodiscard]] bool is_empty() const noexcept { return length == 0; }

    /// The wait for something to receive.
    [[nodiscard]] readiness until_ready() const noexcept { return readiness(*descriptor, peer_); }

    /// The number of bytes, or the error.
    [[nodiscard]] result<std::size_t> outcome() const noexcept;

    /// The number of bytes; throws what outcome() holds, naming the operation and the peer.
    [[nodiscard]] std::size_t count_or_throw() const;

    // --- for the kind --------------------------------------------------------------------
    unsigned char* data;
    std::size_t length;
    std::size_t done = 0;
    bool ended_early = false;  // the stream ended before all of it had come

private:
    io_object peer_;
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
    vectored_transfer(transfer_request const& request, vector_list&& taken) noexcept
        : transfer(request)
        , list_(std::move(taken)) {
        vectors = list_.begin();
        vector_count = list_.size();
    }

    vectored_transfer(vectored_transfer&& unstarted) noexcept
        : vectored_transfer(unstarted.request(), std::move(unstarted.list_)) {}

    vectored_transfer& operator=(vectored_transfer&&) = delete;

    [[nodiscard]] bool is_empty() const noexcept { return vector_count == 0; }

    // --- for the kind --------------------------------------------------------------------
    ::iovec* vectors;  // what is still to be transferred
    unsigned vector_count;
    /// A msghdr, of the request under way: the kernel may write into it until its answer.
    alignas(void*) unsigned char header[7 * sizeof(void*)];

private:
    vector_list list_;
};

/// The same for several places.
class vectored_receive : public vectored_transfer {
public:
    using vectored_transfer::vectored_transfer;
};

}  // namespace weft::detail
