#pragma once

namespace weft::detail {

class stop_node;

/// A request to a worker from any thread. Stands in at most one queue; `run` is called on the
/// worker's thread. Before that it may stand in a stop state's list, as the base of a stop_node.
struct remote_request {
    using run_function = void (*)(remote_request&) noexcept;
    using stop_function = void (*)(stop_node&) noexcept;

    explicit remote_request(run_function f) noexcept : run(f) {}

    explicit remote_request(stop_function f) noexcept : notice(f) {}

    remote_request(remote_request const&) = delete;
    remote_request& operator=(remote_request const&) = delete;

    union {
        run_function run;      // what a worker calls
        stop_function notice;  // what a stop calls, until it sets `run` and posts the request
    };

    remote_request* next = nullptr;
};

}  // namespace weft::detail
