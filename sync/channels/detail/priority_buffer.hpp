#pragma once

/// The buffer of a priority_channel: the greatest value leaves first, equal ones in the order in
/// which they came. See channel_buffer.hpp for the members.
///
/// Values stay where they were constructed; a binary heap of their places is sorted instead, so
/// that nothing is moved but in and out.

#include <weft/sync/channels/detail/channel_buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace weft::detail {

template <class T, class Less>
class priority_buffer {
public:
    static constexpr char const* channel_name = "a priority_channel";

    explicit priority_buffer(std::size_t capacity, Less less)
        : less_(std::move(less))
        , capacity_(capacity)
        , slots_(capacity)
        , heap_(new entry[capacity]) {
        for (std::size_t i = 0; i < capacity; ++i) {
            heap_[i].slot = i;
        }
    }

    priority_buffer(priority_buffer const&) = delete;
    priority_buffer& operator=(priority_buffer const&) = delete;

    ~priority_buffer() {
        while (!empty()) {
            pop_front();
        }
        delete[] heap_;
    }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    [[nodiscard]] bool has_room() const noexcept { return size_ != capacity_; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    template <class U>
    void push(U&& value) {
        slots_.construct(heap_[size_].slot, static_cast<U&&>(value));
        heap_[size_].order = next_order_++;
        rise(size_++);
    }

    [[nodiscard]] T& front() noexcept { return slots_[heap_[0].slot]; }

    void pop_front() noexcept {
        slots_.destroy(heap_[0].slot);
        std::swap(heap_[0], heap_[--size_]);
        sink();
    }

private:
    struct entry {
        std::size_t slot = 0;
        std::uint64_t order = 0;
    };

    [[nodiscard]] bool leaves_later(entry const& a, entry const& b) noexcept {
        T const& left = slots_[a.slot];
        T const& right = slots_[b.slot];
        if (less_(left, right)) {
            return true;
        }
        return !less_(right, left) && a.order > b.order;
    }

    void rise(std::size_t child) noexcept {
        while (child != 0) {
            std::size_t const parent = (child - 1) / 2;
            if (!leaves_later(heap_[parent], heap_[child])) {
                return;
            }
            std::swap(heap_[parent], heap_[child]);
            child = parent;
        }
    }

    void sink() noexcept {
        std::size_t parent = 0;
        for (;;) {
            std::size_t child = 2 * parent + 1;
            if (child >= size_) {
                return;
            }
            if (child + 1 < size_ && leaves_later(heap_[child], heap_[child + 1])) {
                ++child;
            }
            if (!leaves_later(heap_[parent], heap_[child])) {
                return;
            }
            std::swap(heap_[parent], heap_[child]);
            parent = child;
        }
    }

    Less less_;
    std::size_t capacity_;
    std::size_t size_ = 0;
    std::uint64_t next_order_ = 0;
    raw_slots<T> slots_;
    entry* heap_;  // the first size_ are a heap, the others have free slots
};

}  // namespace weft::detail
