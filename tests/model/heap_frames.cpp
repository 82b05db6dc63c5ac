/// Coroutine frames from the heap, for models that are not about the pool of frames. What is freed
/// in an execution is filled, and looked at when the execution has ended: whoever wrote to it had
/// no right to.

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/tests/model/machine.hpp>

#include <cstring>
#include <new>
#include <vector>

namespace weft::detail {

namespace {

constexpr unsigned char filling = 0xDB;

struct freed_frame {
    unsigned char* block;
    std::size_t size;
    std::size_t alignment;
};

std::vector<freed_frame> graveyard;

char const* inspect_graveyard() noexcept {
    char const* found = nullptr;
    for (auto const& [block, size, alignment] : graveyard) {
        for (std::size_t i = 0; i < size; ++i) {
            if (block[i] != filling) {
                found = "a frame was written to after its end";
            }
        }
        ::operator delete(block, std::align_val_t{alignment});
    }
    graveyard.clear();
    return found;
}

void* allocate(std::size_t size, std::size_t alignment) {
    return ::operator new(size, std::align_val_t{alignment});
}

void deallocate(void* block, std::size_t size, std::size_t alignment) noexcept {
    if (!model::exploring()) {
        ::operator delete(block, std::align_val_t{alignment});
        return;
    }
    model::the_machine().set_inspection(&inspect_graveyard);
    model::watch_end(block, size);
    std::memset(block, filling, size);
    graveyard.push_back({static_cast<unsigned char*>(block), size, alignment});
}

constexpr std::size_t usual_alignment = __STDCPP_DEFAULT_NEW_ALIGNMENT__;

}  // namespace

/// Always empty, so that every allocation takes the slow path.
WEFT_STATIC_TLS constinit thread_local frame_cache this_threads_frames{};

WEFT_SPARES_REGISTERS void* frame_pool::allocate_slowly(std::size_t index) noexcept {
    return detail::allocate((index + 1) * granularity, usual_alignment);
}

void frame_pool::throw_bad_alloc() {
    throw std::bad_alloc();
}

void* frame_pool::allocate_from_heap(std::size_t size, std::size_t alignment) {
    return detail::allocate(size, alignment);
}

void frame_pool::deallocate_slowly(void* block, std::size_t index) noexcept {
    detail::deallocate(block, (index + 1) * granularity, usual_alignment);
}

void frame_pool::deallocate_to_heap(void* block, std::size_t size, std::size_t alignment) noexcept {
    detail::deallocate(block, size, alignment);
}

}  // namespace weft::detail
