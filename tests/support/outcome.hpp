#pragma once

/// Outcomes as text, so that a test can compare all three kinds at once.

#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/detail/settle.hpp>
#include <weft/runtime/task/task.hpp>

#include <exception>
#include <string>
#include <system_error>
#include <utility>

namespace weft::test {

/// "timed out", "cancelled", or what the error says.
inline std::string text_of(std::exception_ptr const& error) {
    try {
        std::rethrow_exception(error);
    } catch (std::system_error const& failure) {
        if (failure.code() == std::errc::timed_out) {
            return "timed out";
        }
        return failure.code() == std::errc::operation_canceled ? "cancelled" : failure.what();
    } catch (std::exception const& failure) {
        return failure.what();
    }
}

/// "value 3", "error broken", or "stopped".
inline task<std::string> outcome_of(task<int> work) {
    detail::settle_operation<int> ended(std::move(work), detail::starts::always);
    co_await ended;
    if (ended.was_stopped()) {
        co_return "stopped";
    }
    if (std::exception_ptr const error = ended.error()) {
        co_return "error " + text_of(error);
    }
    co_return "value " + std::to_string(ended.take());
}

/// The outcome of a task whose surroundings are stopped through `token`.
inline task<std::string> outcome_under(stop_token token, task<int> work) {
    task<std::string> watched = outcome_of(std::move(work));
    std::string outcome = co_await with_stop_token(token, std::move(watched));
    co_return outcome;
}

}  // namespace weft::test
