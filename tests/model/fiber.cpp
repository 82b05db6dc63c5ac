#include <weft/tests/model/fiber.hpp>

#include <cerrno>
#include <new>
#include <system_error>

#include <sys/auxv.h>
#include <sys/mman.h>

#if !defined(__x86_64__)
#error "fibers of the model checker are written for x86-64"
#endif

/// Saves the callee-saved registers on the stack and the stack pointer in `*save`; takes those of
/// `load` and the thread pointer. Without the instruction for the latter it asks the kernel.
extern "C" void weft_model_switch(void** save,
                                  void* load,
                                  void* thread_pointer,
                                  bool has_instruction) noexcept;

asm(R"(
    .text
    .p2align 4
    .type weft_model_switch, @function
weft_model_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    testb %cl, %cl
    je 1f
    wrfsbase %rdx
    jmp 2f
1:
    movl $158, %eax     # arch_prctl
    movl $0x1002, %edi  # ARCH_SET_FS
    movq %rdx, %rsi
    syscall
2:
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size weft_model_switch, . - weft_model_switch
)");

namespace weft::model {

namespace {

constexpr std::size_t saved_registers = 6;

bool const has_instruction = (::getauxval(AT_HWCAP2) & 2U) != 0;

/// The kernel thread's own stack and thread pointer.
void* home_stack = nullptr;
void* home_thread_pointer = nullptr;

void wait_for(::sem_t& semaphore) noexcept {
    while (::sem_wait(&semaphore) != 0) {
    }
}

}  // namespace

fiber::fiber()
    : memory_(::mmap(nullptr,
                     stack_size_bytes,
                     PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                     -1,
                     0)) {
    if (memory_ == MAP_FAILED) {
        throw std::system_error(errno, std::generic_category(), "mmap of a fiber's stack");
    }
    ::sem_init(&lent_, 0, 0);
    ::sem_init(&returned_, 0, 0);
    lender_ = std::thread([this] {
        thread_pointer_ = __builtin_thread_pointer();
        ::sem_post(&lent_);
        wait_for(returned_);
    });
    wait_for(lent_);
}

fiber::~fiber() {
    ::sem_post(&returned_);
    lender_.join();
    ::sem_destroy(&lent_);
    ::sem_destroy(&returned_);
    ::munmap(memory_, stack_size_bytes);
}

void fiber::prepare(entry_function entry) noexcept {
    auto** top = reinterpret_cast<void**>(static_cast<char*>(memory_) + stack_size_bytes);
    *--top = nullptr;  // where `entry` would return to; aligns the stack as a call does
    *--top = reinterpret_cast<void*>(entry);
    for (std::size_t i = 0; i < saved_registers; ++i) {
        *--top = nullptr;
    }
    stack_ = top;
}

void fiber::switch_to(fiber* from, fiber* to) noexcept {
    if (from == nullptr) {
        home_thread_pointer = __builtin_thread_pointer();
    }
    weft_model_switch(from == nullptr ? &home_stack : &from->stack_,
                      to == nullptr ? home_stack : to->stack_,
                      to == nullptr ? home_thread_pointer : to->thread_pointer_,
                      has_instruction);
}

}  // namespace weft::model
