#include <weft/runtime/resilience/policy.hpp>

namespace weft {

std::error_code error_code_in(std::exception_ptr const& error) noexcept {
    if (error == nullptr) {
        return {};
    }
    try {
        std::rethrow_exception(error);
    } catch (std::system_error const& known) {
        return known.code();
    } catch (...) {
        return {};
    }
}

bool any_error(std::exception_ptr const& error) {
    return error_code_in(error) != std::errc::operation_canceled;
}

bool transient_error(std::exception_ptr const& error) {
    std::error_code const code = error_code_in(error);
    if (code == errc::unexpected_eof) {
        return true;
    }
    constexpr std::errc transient[] = {std::errc::timed_out,
                                       std::errc::connection_refused,
                                       std::errc::connection_reset,
                                       std::errc::connection_aborted,
                                       std::errc::broken_pipe,
                                       std::errc::not_connected,
                                       std::errc::network_down,
                                       std::errc::network_reset,
                                       std::errc::network_unreachable,
                                       std::errc::host_unreachable,
                                       std::errc::resource_unavailable_try_again,
                                       std::errc::device_or_resource_busy,
                                       std::errc::too_many_files_open,
                                       std::errc::too_many_files_open_in_system,
                                       std::errc::no_buffer_space};
    for (std::errc const each : transient) {
        if (code == each) {
            return true;
        }
    }
    return false;
}

rejected::rejected(errc why, clock::duration retry_after, std::exception_ptr cause)
    : std::system_error(make_error_code(why), "rejected")
    , retry_after_(retry_after)
    , cause_(std::move(cause)) {}

namespace detail {

clock::time_point policy_now(char const* policy) noexcept {
    return to_time_point(require_worker(policy).now());
}

void throw_rejected(errc why, clock::duration retry_after, std::exception_ptr const& cause) {
    throw rejected(why, retry_after, cause);
}

}  // namespace detail

}  // namespace weft
