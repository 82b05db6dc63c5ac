/// Coroutine frames from the heap, for models that are not about the pool of frames.

#include <weft/runtime/core/frame_pool.hpp>

#include <new>

namespace weft::detail {

void* frame_pool::allocate_class(std::size_t index) {
    return ::operator new((index + 1) * granularity);
}

void* frame_pool::allocate_from_heap(std::size_t size, std::size_t alignment) {
    return ::operator new(size, std::align_val_t{alignment});
}

void frame_pool::deallocate_class(void* block, std::size_t) noexcept {
    ::operator delete(block);
}

void frame_pool::deallocate_to_heap(void* block, std::size_t, std::size_t alignment) noexcept {
    ::operator delete(block, std::align_val_t{alignment});
}

}  // namespace weft::detail
