#pragma once

/// Where a channel keeps its values. Each buffer has the same members:
///   push(value)  constructs a value in it; may throw, and is unchanged then. Requires: has_room().
///   front()      the value that leaves next; pop_front() destroys it
///   has_room(), empty(), size(), capacity()
///   channel_name: what a message calls a channel that has such a buffer
/// Not thread safe: a channel's lock protects it.

#include <weft/runtime/base/assert.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace weft::detail {

/// Memory for `count` objects of `T`, none of them alive.
template <class T>
class raw_slots {
public:
    /// Throws std::bad_alloc when there is no memory for so many.
    explicit raw_slots(std::size_t count) : first_(count == 0 ? nullptr : allocate(count)) {}

    raw_slots(raw_slots&& other) noexcept : first_(std::exchange(other.first_, nullptr)) {}

    raw_slots& operator=(raw_slots&&) = delete;

    ~raw_slots() { ::operator delete(first_, std::align_val_t(alignof(T))); }

    [[nodiscard]] T& operator[](std::size_t index) noexcept { return first_[index]; }

    template <class U>
    void construct(std::size_t index, U&& value) {
        ::new (static_cast<void*>(first_ + index)) T(static_cast<U&&>(value));
    }

    void destroy(std::size_t index) noexcept { first_[index].~T(); }

private:
    static T* allocate(std::size_t count) {
        if (count > ~std::size_t{0} / sizeof(T)) {
            throw std::bad_array_new_length();
        }
        return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(alignof(T))));
    }

    T* first_;
};

/// First in, first out, of a fixed capacity; 0 is one of them.
template <class T>
class ring_buffer {
public:
    static constexpr char const* channel_name = "a channel";

    explicit ring_buffer(std::size_t capacity) : capacity_(capacity), slots_(capacity) {}

    ring_buffer(ring_buffer const&) = delete;
    ring_buffer& operator=(ring_buffer const&) = delete;

    ~ring_buffer() {
        while (!empty()) {
            pop_front();
        }
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    [[nodiscard]] bool has_room() const noexcept { return size_ != capacity_; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    template <class U>
    void push(U&& value) {
        slots_.construct(tail_, static_cast<U&&>(value));
        tail_ = after(tail_);
        ++size_;
    }

    [[nodiscard]] T& front() noexcept { return slots_[head_]; }

    void pop_front() noexcept {
        slots_.destroy(head_);
        head_ = after(head_);
        --size_;
    }

private:
    [[nodiscard]] std::size_t after(std::size_t index) const noexcept {
        return index + 1 == capacity_ ? 0 : index + 1;
    }

    std::size_t size_ = 0;
    std::size_t head_ = 0;
    std::size_t tail_ = 0;
    std::size_t capacity_;
    raw_slots<T> slots_;
};

/// First in, first out, in blocks that are allocated as it grows and freed as it shrinks, but for
/// one in reserve.
template <class T>
class growing_buffer {
public:
    static constexpr char const* channel_name = "an unbounded_channel";

    growing_buffer() noexcept = default;
    growing_buffer(growing_buffer const&) = delete;
    growing_buffer& operator=(growing_buffer const&) = delete;

    ~growing_buffer() {
        while (!empty()) {
            pop_front();
        }
        delete first_;
        delete reserve_;
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    [[nodiscard]] bool has_room() const noexcept { return true; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::size_t capacity() const noexcept { return ~std::size_t{0}; }

    template <class U>
    void push(U&& value) {
        if (last_ == nullptr || tail_ == block_size) {
            append_block();
        }
        last_->slots.construct(tail_, static_cast<U&&>(value));
        ++tail_;
        ++size_;
    }

    [[nodiscard]] T& front() noexcept { return first_->slots[head_]; }

    void pop_front() noexcept {
        first_->slots.destroy(head_);
        ++head_;
        --size_;
        if (head_ == block_size) {
            drop_first_block();
        }
    }

private:
    static constexpr std::size_t block_size = sizeof(T) >= 1024 ? 4 : 4096 / sizeof(T);

    struct block {
        block() : slots(block_size) {}

        raw_slots<T> slots;
        block* next = nullptr;
    };

    void append_block() {
        block* const fresh = reserve_ != nullptr ? std::exchange(reserve_, nullptr) : new block;
        (last_ == nullptr ? first_ : last_->next) = fresh;
        last_ = fresh;
        tail_ = 0;
    }

    void drop_first_block() noexcept {
        block* const spent = first_;
        first_ = spent->next;
        head_ = 0;
        if (first_ == nullptr) {
            last_ = nullptr;
        }
        spent->next = nullptr;
        delete std::exchange(reserve_, spent);
    }

    block* first_ = nullptr;
    block* last_ = nullptr;
    block* reserve_ = nullptr;
    std::size_t head_ = 0;  // in the first block
    std::size_t tail_ = 0;  // in the last one
    std::size_t size_ = 0;
};

}  // namespace weft::detail
