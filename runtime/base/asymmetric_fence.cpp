#include <weft/runtime/base/asymmetric_fence.hpp>

#include <weft/runtime/base/assert.hpp>

#include <cerrno>
#include <cstdlib>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace weft::detail {

namespace {

int membarrier(int command) noexcept {
    return static_cast<int>(::syscall(SYS_membarrier, command, 0, 0));
}

/// WEFT_MEMBARRIER=0 forces the portable fences, so that both are tested on one kernel.
bool register_process() noexcept {
    if (tsan_enabled) {
        return false;
    }
    char const* const wish = std::getenv("WEFT_MEMBARRIER");
    if (wish != nullptr && wish[0] == '0') {
        return false;
    }
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

}  // namespace

atomic<bool> light_fence_is_free{false};

bool init_asymmetric_fence() noexcept {
    static bool const registered = [] {
        bool const ok = register_process();
        // relaxed: publish — ordered before its readers by the start of the threads that read it
        light_fence_is_free.store(ok, relaxed);
        return ok;
    }();
    return registered;
}

void fence_heavy() noexcept {
    fence_seq_cst();
    // relaxed: hint — constant since before the first heavy fence
    if (light_fence_is_free.load(relaxed)) {
        int const rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        WEFT_CHECK(rc == 0, "membarrier failed after a successful registration");
    }
}

}  // namespace weft::detail
