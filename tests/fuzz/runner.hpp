#pragma once

/// Runs programs and judges what was seen.

#include <weft/io/runtime.hpp>
#include <weft/tests/fuzz/generator.hpp>

#include <memory>
#include <string>

namespace weft::fuzz {

struct run_settings {
    setting where = setting::virtual_time;
    driver_kind driver = driver_kind::automatic;
    unsigned workers = 0;  ///< 0: as the program says
};

/// What a run has broken, a promise a line; empty where all is well.
using complaints = std::string;

class runner {
public:
    explicit runner(run_settings const& settings);
    runner(runner const&) = delete;
    runner& operator=(runner const&) = delete;
    ~runner();

    [[nodiscard]] complaints run(program const& what);

    /// How many of the runs so far came to what the rules foretell.
    [[nodiscard]] unsigned long foretold() const noexcept { return foretold_; }

private:
    class real_runtime;

    [[nodiscard]] complaints run_in_virtual_time(program const& what);
    [[nodiscard]] complaints run_in_real_time(program const& what);

    run_settings settings_;
    std::unique_ptr<real_runtime> runtime_;  // for some programs
    unsigned programs_left_ = 0;             // of the runtime
    unsigned long foretold_ = 0;
};

}  // namespace weft::fuzz
