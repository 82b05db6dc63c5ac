/// Watches every access of the library to plain data. The library is compiled as for
/// ThreadSanitizer, which calls these functions; its own runtime is not linked. An access that is
/// not ordered with a write fails the execution, and so does one to memory that was freed.
///
/// What is watched is known by the address at which an access begins, so accesses that overlap
/// without beginning together are missed. Memory that is freed in an execution is used again in a
/// later one only.

#include <weft/tests/model/machine.hpp>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include <malloc.h>

extern char const __executable_start;

namespace weft::model {

namespace {

constexpr std::size_t word = 8;

/// The records of an execution, by address; those of earlier ones are overwritten.
class shadow {
public:
    /// What is known of the bytes of one word.
    struct entry {
        static constexpr std::size_t record_max = 4;

        struct item {
            std::uint8_t offset;
            access_record record;
        };

        std::uintptr_t key;
        std::uint32_t execution;
        std::uint32_t count;
        item items[record_max];
    };

    /// Null when there are too many: then the rest is not watched.
    [[nodiscard]] access_record* at(void const* address) noexcept {
        auto const number = reinterpret_cast<std::uintptr_t>(address);
        entry* const found = place_of(number / word);
        if (found == nullptr) {
            return nullptr;
        }
        if (found->execution != the_machine().execution()) {
            used_[used_count()] = static_cast<std::uint16_t>(found - entries_);
            ++used_count_;
            found->key = number / word;
            found->execution = the_machine().execution();
            found->count = 0;
        }
        auto const offset = static_cast<std::uint8_t>(number % word);
        for (std::uint32_t i = 0; i < found->count; ++i) {
            if (found->items[i].offset == offset) {
                return &found->items[i].record;
            }
        }
        if (found->count == entry::record_max) {
            return nullptr;
        }
        entry::item& made = found->items[found->count++];
        made = {offset, {}};
        return &made.record;
    }

    /// Calls `look` with the entry of every known word among `count` from `first` on.
    template <class Look>
    void visit(std::uintptr_t first, std::size_t count, Look look) noexcept {
        if (std::size_t const known = used_count(); known < count) {
            for (std::size_t i = 0; i < known; ++i) {
                entry& each = entries_[used_[i]];
                if (each.key - first < count) {
                    look(each);
                }
            }
            return;
        }
        for (std::uintptr_t key = first; key < first + count; ++key) {
            if (entry* const found = find(key); found != nullptr) {
                look(*found);
            }
        }
    }

private:
    static constexpr std::size_t size = std::size_t{1} << 12U;
    static_assert(size <= 0xFFFF);
    static constexpr std::size_t probe_max = 64;

    /// Null when nothing is known of the word.
    [[nodiscard]] entry* find(std::uintptr_t key) noexcept {
        entry* const found = place_of(key);
        return found != nullptr && found->execution == the_machine().execution() ? found : nullptr;
    }

    [[nodiscard]] std::size_t used_count() noexcept {
        if (last_use_ != the_machine().execution()) {
            last_use_ = the_machine().execution();
            used_count_ = 0;
        }
        return used_count_;
    }

    /// Where the word is, or would be.
    [[nodiscard]] entry* place_of(std::uintptr_t key) noexcept {
        std::uint32_t const now = the_machine().execution();
        std::size_t const start = key + (key >> 12U) * 0x9E5;
        for (std::size_t i = 0; i < probe_max; ++i) {
            entry& each = entries_[(start + i) % size];
            if (each.execution != now || each.key == key) {
                return &each;
            }
        }
        return nullptr;
    }

    entry entries_[size] = {};
    std::uint16_t used_[size] = {};  // the entries of this execution
    std::size_t used_count_ = 0;
    std::uint32_t last_use_ = 0;
};

constinit shadow all_shadow;

shadow& the_shadow() noexcept {
    return all_shadow;
}

[[noreturn]] void fail_at(char const* what, void const* caller) noexcept {
    auto const offset = static_cast<char const*>(caller) - std::addressof(__executable_start);
    char text[160];
    std::snprintf(text, sizeof text, "%s (addr2line %#tx)", what, offset);
    fail(text);
}

void read_at(void const* address, void const* caller) noexcept {
    access_record* const record = exploring() ? the_shadow().at(address) : nullptr;
    if (record != nullptr && !the_machine().watch_read(*record)) {
        fail_at(record->alive ? "plain data of the library is read while another thread writes it"
                              : "freed memory is read",
                caller);
    }
}

void write_at(void const* address, void const* caller) noexcept {
    access_record* const record = exploring() ? the_shadow().at(address) : nullptr;
    if (record != nullptr && !the_machine().watch_write(*record)) {
        fail_at(record->alive ? "plain data of the library is written while another thread uses it"
                              : "freed memory is written",
                caller);
    }
}

void read_range(void const* address, std::size_t size, void const* caller) noexcept {
    for (std::size_t i = 0; i < size; i += word) {
        read_at(static_cast<char const*>(address) + i, caller);
    }
}

void write_range(void const* address, std::size_t size, void const* caller) noexcept {
    for (std::size_t i = 0; i < size; i += word) {
        write_at(static_cast<char const*>(address) + i, caller);
    }
}

// --- freed memory -----------------------------------------------------------------------

struct buried {
    buried* next;
    void* block;
};

buried* graveyard = nullptr;
std::uint32_t graveyard_execution = 0;

/// Blocks of earlier executions.
void empty_graveyard() noexcept {
    while (graveyard != nullptr) {
        buried* const each = graveyard;
        graveyard = each->next;
        std::free(each->block);
        std::free(each);
    }
}

void release(void* block) noexcept {
    if (block == nullptr || !exploring()) {
        std::free(block);
        return;
    }
    if (graveyard_execution != the_machine().execution()) {
        empty_graveyard();
        graveyard_execution = the_machine().execution();
    }
    watch_end(block, ::malloc_usable_size(block));
    auto* const grave = static_cast<buried*>(std::malloc(sizeof(buried)));
    *grave = {graveyard, block};
    graveyard = grave;
}

[[nodiscard]] void* acquire_memory(std::size_t size, std::size_t alignment) {
    void* const block =
        alignment <= alignof(std::max_align_t)
            ? std::malloc(size != 0 ? size : 1)
            : std::aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
    if (block == nullptr) {
        throw std::bad_alloc();
    }
    return block;
}

}  // namespace

void watch_end(void const* block, std::size_t size) noexcept {
    auto const first = reinterpret_cast<std::uintptr_t>(block);
    std::uintptr_t const key = first / word;
    void const* const caller = __builtin_return_address(0);
    the_shadow().visit(key, (first + size + word - 1) / word - key, [caller](shadow::entry& found) {
        for (std::uint32_t i = 0; i < found.count; ++i) {
            access_record& record = found.items[i].record;
            if (!the_machine().watch_write(record)) {
                fail_at(record.alive ? "memory is freed while another thread uses it"
                                     : "memory is freed twice",
                        caller);
            }
            record.alive = false;
        }
    });
}

}  // namespace weft::model

// --- what the compiler calls ----------------------------------------------------------------

// NOLINTBEGIN(bugprone-reserved-identifier): the names are the compiler's
#define WEFT_WATCHED(size)                                           \
    void __tsan_read##size(void* address) noexcept {                 \
        weft::model::read_at(address, __builtin_return_address(0));  \
    }                                                                \
    void __tsan_write##size(void* address) noexcept {                \
        weft::model::write_at(address, __builtin_return_address(0)); \
    }                                                                \
    void __tsan_unaligned_read##size(void* address) noexcept {       \
        weft::model::read_at(address, __builtin_return_address(0));  \
    }                                                                \
    void __tsan_unaligned_write##size(void* address) noexcept {      \
        weft::model::write_at(address, __builtin_return_address(0)); \
    }

extern "C" {

WEFT_WATCHED(1)
WEFT_WATCHED(2)
WEFT_WATCHED(4)
WEFT_WATCHED(8)

void __tsan_read16(void* address) noexcept {
    weft::model::read_range(address, 16, __builtin_return_address(0));
}

void __tsan_write16(void* address) noexcept {
    weft::model::write_range(address, 16, __builtin_return_address(0));
}

void __tsan_unaligned_read16(void* address) noexcept {
    weft::model::read_range(address, 16, __builtin_return_address(0));
}

void __tsan_unaligned_write16(void* address) noexcept {
    weft::model::write_range(address, 16, __builtin_return_address(0));
}

void __tsan_vptr_update(void** address, void*) noexcept {
    weft::model::write_at(address, __builtin_return_address(0));
}

void __tsan_vptr_read(void** address) noexcept {
    weft::model::read_at(address, __builtin_return_address(0));
}

void* __tsan_memcpy(void* target, void const* source, std::size_t size) noexcept {
    weft::model::read_range(source, size, __builtin_return_address(0));
    weft::model::write_range(target, size, __builtin_return_address(0));
    return std::memcpy(target, source, size);
}

void* __tsan_memmove(void* target, void const* source, std::size_t size) noexcept {
    weft::model::read_range(source, size, __builtin_return_address(0));
    weft::model::write_range(target, size, __builtin_return_address(0));
    return std::memmove(target, source, size);
}

void* __tsan_memset(void* target, int value, std::size_t size) noexcept {
    weft::model::write_range(target, size, __builtin_return_address(0));
    return std::memset(target, value, size);
}

void __tsan_init() noexcept {}

void __tsan_func_entry(void*) noexcept {}

void __tsan_func_exit() noexcept {}

void __tsan_acquire(void*) noexcept {}

void __tsan_release(void*) noexcept {}

}  // extern "C"

// NOLINTEND(bugprone-reserved-identifier)

// --- memory -----------------------------------------------------------------------------------

void* operator new(std::size_t size) {
    return weft::model::acquire_memory(size, 1);
}

void* operator new(std::size_t size, std::align_val_t alignment) {
    return weft::model::acquire_memory(size, static_cast<std::size_t>(alignment));
}

void operator delete(void* block) noexcept {
    weft::model::release(block);
}

void operator delete(void* block, std::size_t) noexcept {
    weft::model::release(block);
}

void operator delete(void* block, std::align_val_t) noexcept {
    weft::model::release(block);
}

void operator delete(void* block, std::size_t, std::align_val_t) noexcept {
    weft::model::release(block);
}
