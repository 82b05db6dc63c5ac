// says: thread_pool_options

#include <weft/runtime/pool/thread_pool.hpp>

int workers() {
    weft::thread_pool pool(4);
    return static_cast<int>(pool.worker_count());
}
