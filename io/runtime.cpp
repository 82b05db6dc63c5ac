#include <weft/io/runtime.hpp>

#include <weft/io/driver/epoll_driver.hpp>
#include <weft/io/driver/uring_driver.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/values/stderr_line.hpp>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace weft {

namespace {

[[noreturn]] void reject(char const* variable, std::string_view value, char const* expected) {
    throw std::system_error(
        std::make_error_code(std::errc::invalid_argument),
        std::string(variable) + "=" + std::string(value) + ": expected " + expected);
}

/// The variable's value, or nothing when it is unset or empty.
std::string_view environment(char const* variable) noexcept {
    char const* const value = std::getenv(variable);
    return value != nullptr ? std::string_view(value) : std::string_view();
}

unsigned number_from_environment(char const* variable, unsigned otherwise) {
    std::string_view const text = environment(variable);
    if (text.empty()) {
        return otherwise;
    }
    unsigned number = 0;
    auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number == 0) {
        reject(variable, text, "a positive number");
    }
    return number;
}

driver_kind kind_from_environment(driver_kind wish) {
    std::string_view const text = environment("WEFT_DRIVER");
    if (!text.empty() && text != "uring" && text != "epoll") {
        reject("WEFT_DRIVER", text, "uring or epoll");
    }
    if (wish != driver_kind::automatic || text.empty()) {
        return wish;
    }
    return text == "uring" ? driver_kind::uring : driver_kind::epoll;
}

int fault_from_environment() {
    struct named_error {
        std::string_view name;
        int code;
    };

    static constexpr named_error known[] = {{"EPERM", EPERM},
                                            {"EACCES", EACCES},
                                            {"ENOSYS", ENOSYS},
                                            {"ENOMEM", ENOMEM},
                                            {"EINVAL", EINVAL}};
    std::string_view const text = environment("WEFT_URING_FAULT");
    if (text.empty()) {
        return 0;
    }
    for (named_error const& each : known) {
        if (text == each.name) {
            return each.code;
        }
    }
    reject("WEFT_URING_FAULT", text, "EPERM, EACCES, ENOSYS, ENOMEM or EINVAL");
}

detail::uring_options ring_options(runtime_options const& options) {
    detail::uring_options ring;
    ring.entries = number_from_environment("WEFT_URING_ENTRIES", options.ring_entries);
    ring.completion_entries =
        number_from_environment("WEFT_CQ_ENTRIES", options.completion_entries);
    ring.setup_fault = fault_from_environment();
    std::string const unknown = ring.disable(environment("WEFT_URING_DISABLE"));
    if (!unknown.empty()) {
        reject("WEFT_URING_DISABLE", unknown, "names of features, see io/README.md");
    }
    return ring;
}

unsigned wanted_workers(runtime_options const& options) {
    return detail::idle_set::checked(options.workers != 0 ? options.workers
                                                          : available_processors());
}

void log(std::string const& report) {
    if (!environment("WEFT_LOG").empty()) {
        detail::write_stderr_line(report.c_str());
    }
}

}  // namespace

/// The drivers of all workers, made before the first worker starts, so that either all of them are
/// rings or none.
class runtime::driver_set {
public:
    explicit driver_set(runtime_options const& options) {
        driver_kind const wish = kind_from_environment(options.driver);
        detail::uring_options const ring = ring_options(options);  // rejects nonsense in any case
        drivers_.reserve(wanted_workers(options));
        std::string reason;
        if (wish != driver_kind::epoll && make_rings(ring, options, reason)) {
            report_ = reason;
            return;
        }
        if (wish == driver_kind::uring) {
            throw std::system_error(error_,
                                    "cannot start the runtime on io_uring (" + reason + ")");
        }
        make_epoll_sets(options);
        report_ = reason.empty() ? "epoll: by request" : "epoll: " + reason;
    }

    [[nodiscard]] unsigned count() const noexcept { return static_cast<unsigned>(drivers_.size()); }

    [[nodiscard]] detail::driver* release(unsigned index) noexcept {
        return drivers_[index].release();
    }

    [[nodiscard]] bool uses_uring() const noexcept { return uses_uring_; }

    [[nodiscard]] std::string const& report() const noexcept { return report_; }

private:
    bool make_rings(detail::uring_options const& ring,
                    runtime_options const& options,
                    std::string& report) {
        for (unsigned i = wanted_workers(options); i != 0; --i) {
            auto made = detail::uring_driver::create(ring, report);
            if (!made) {
                error_ = made.error();
                drivers_.clear();
                return false;
            }
            drivers_.emplace_back(*made);
        }
        uses_uring_ = true;
        return true;
    }

    void make_epoll_sets(runtime_options const& options) {
        for (unsigned i = wanted_workers(options); i != 0; --i) {
            auto made = detail::epoll_driver::create();
            if (!made) {
                throw std::system_error(made.error(), "cannot start the runtime on epoll");
            }
            drivers_.emplace_back(*made);
        }
    }

    std::vector<std::unique_ptr<detail::driver>> drivers_;
    std::error_code error_;
    std::string report_;
    bool uses_uring_ = false;
};

runtime::runtime(runtime_options const& options)
    : runtime(driver_set(options), options.on_unhandled_error) {}

runtime::runtime(driver_set&& drivers, error_hook const& on_unhandled_error)
    : runtime_base(
          drivers.count(),
          [&](unsigned index) { return drivers.release(index); },
          on_unhandled_error)
    , report_(drivers.report())
    , uses_uring_(drivers.uses_uring()) {
    log(report_);
}

std::size_t runtime::operations_in_flight() noexcept {
    std::size_t sum = 0;
    for (unsigned i = 0; i < worker_count(); ++i) {
        sum += sched().worker_at(i).io()->in_flight();
    }
    return sum;
}

}  // namespace weft
