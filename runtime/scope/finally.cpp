#include <weft/runtime/scope/finally.hpp>

#include <weft/runtime/task/exception_group.hpp>

namespace weft::detail {

task<> clean_up(time_span limit, task<> work, std::source_location asked_at) {
    deadline_request const request{limit, true, asked_at};
    timeout_guard const guard{request, stop_from::nobody};
    co_await timeout_operation<void>(guard, std::move(work));
}

void rethrow_errors(std::exception_ptr body, std::exception_ptr cleanup) {
    std::exception_ptr const errors[] = {std::move(body), std::move(cleanup)};
    if (std::exception_ptr const all = group_errors(errors)) {
        std::rethrow_exception(all);
    }
}

}  // namespace weft::detail
