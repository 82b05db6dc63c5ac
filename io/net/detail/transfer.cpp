#include <weft/io/net/detail/transfer.hpp>

#include <weft/io/net/detail/tcp_socket.hpp>

#include <algorithm>
#include <utility>

namespace weft::detail {

namespace {

[[nodiscard]] char const* name_of(io_kind kind) noexcept {
    return kind == io_kind::send_all || kind == io_kind::send_vec_all ? "write to" : "read from";
}

}  // namespace

transfer::transfer(transfer_request const& request) noexcept
    : io_op(request.kind, request.socket->state)
    , stream_(request.socket) {
    data = request.data;
    length = request.length;
}

transfer::transfer(transfer&& unstarted) noexcept
    : transfer(
          transfer_request(unstarted.kind, *unstarted.stream_, unstarted.data, unstarted.length)) {}

std::size_t transfer::count_or_throw() const {
    auto const count = outcome();
    if (!count) [[unlikely]] {
        throw_io_error(count.error(), name_of(kind), &stream_->address);
    }
    return *count;
}

readiness transfer::until_ready() const noexcept {
    return readiness(stream_->state, stream_->address);
}

result<void> readiness::outcome() const noexcept {
    if (auto const ended = io_op::outcome(); !ended) {
        return failure(ended.error());
    }
    return {};
}

void readiness::count_or_throw() const {
    if (auto const ended = io_op::outcome(); !ended) [[unlikely]] {
        throw_io_error(ended.error(), operation_, named_);
    }
}

vector_list::vector_list(vector_list&& other) noexcept
    : heap_(std::exchange(other.heap_, nullptr))
    , count_(std::exchange(other.count_, 0)) {
    std::copy_n(other.inline_, inline_count, inline_);
}

void vector_list::append(void const* data, std::size_t size) noexcept {
    if (size != 0) {
        begin()[count_++] = {const_cast<void*>(data), size};  // a send only reads
    }
}

vectored_transfer::vectored_transfer(transfer_request const& request, vector_list&& taken) noexcept
    : transfer(request)
    , list_(std::move(taken)) {
    point_at_list();
}

vectored_transfer::vectored_transfer(vectored_transfer&& unstarted) noexcept
    : transfer(static_cast<transfer&&>(unstarted))  // its own part only
    , list_(std::move(unstarted.list_)) {
    point_at_list();
}

void vectored_transfer::point_at_list() noexcept {
    vectors = list_.begin();
    vector_count = list_.size();
}

}  // namespace weft::detail
