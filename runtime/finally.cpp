#include <weft/runtime/finally.hpp>

namespace weft::detail {

task<> clean_up(clock::duration limit, task<> work, std::source_location asked_at) {
    co_await timeout_operation<void>(
        {to_nanoseconds(limit), true, asked_at}, std::move(work), stop_from::nobody);
}

void rethrow_errors(std::exception_ptr body, std::exception_ptr cleanup) {
    if (body) {
        std::rethrow_exception(std::move(body));
    }
    if (cleanup) {
        std::rethrow_exception(std::move(cleanup));
    }
}

}  // namespace weft::detail
