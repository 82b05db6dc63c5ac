#include <weft/runtime/values/error_hook.hpp>

#include <weft/runtime/values/stderr_line.hpp>

namespace weft::detail {

namespace {

void write_lost_error(std::exception_ptr const& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (std::exception const& e) {
        write_stderr_line("a spawned task ended with an exception: ", e.what());
    } catch (...) {
        write_stderr_line("a spawned task ended with an exception of unknown type");
    }
}

}  // namespace

error_listener& error_listener::share() noexcept {
    // relaxed: count — the caller's share keeps it alive
    owners_.fetch_add(1, relaxed);
    return *this;
}

void error_listener::drop() noexcept {
    // acq_rel: count — the last owner observes what all others did; pairs with itself
    if (owners_.fetch_sub(1, acq_rel) == 1) {
        free_(*this);
    }
}

void error_listener::tell(std::exception_ptr const& error) noexcept {
    try {
        call_(*this, error);
    } catch (...) {
        write_lost_error(error);
        write_lost_error(std::current_exception());
    }
}

void report_lost_error(error_listener* listener, std::exception_ptr const& error) noexcept {
    if (listener != nullptr) {
        listener->tell(error);
    } else {
        write_lost_error(error);
    }
}

}  // namespace weft::detail
