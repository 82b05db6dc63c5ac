#pragma once

/// Scopes and their handles, and what stands around one task.

#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/blocking.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/task/call.hpp>
#include <weft/runtime/task/task_local.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/await_subject.hpp>

#include <functional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace weft::test {

namespace subjects {

// --- scopes --------------------------------------------------------------------------------------

/// Bodies: what they capture lives as long as the scope.
inline auto spawning(cast& c) {
    return [&c](nursery& n) -> task<> {
        for (auto& each : c) {
            n.spawn(std::move(each));
        }
        co_return;
    };
}

inline task<> scope_spawn(cast c) {
    co_await scope(spawning(c));
}

inline task<> scope_result(cast c) {
    auto ended = co_await (scope(spawning(c)) | as_result);
    co_await as_plain(std::move(ended));
}

inline task<> supervisor(cast c) {
    co_await supervisor_scope(spawning(c));
}

inline task<> scope_start(cast c) {
    auto body = [&c](nursery& n) -> task<> {
        auto forget = [](task<int> child) -> task<> { co_await std::move(child); };
        for (auto& each : c) {
            n.spawn_without_handle(forget(std::move(each)));
        }
        co_return;
    };
    co_await scope(std::ref(body));
}

inline task<> scope_limited(cast c) {
    auto body = [&c](nursery& n) -> task<> {
        n.set_limit(1);
        for (auto& each : c) {
            co_await n.spawn_when_free(std::move(each));
        }
    };
    co_await scope(std::ref(body));
}

inline task<> scope_remote(cast c) {
    auto body = [&c](nursery& n) -> task<> {
        auto other = n.remote();
        for (auto& each : c) {
            other.spawn(std::move(each));
        }
        co_return;
    };
    co_await scope(std::ref(body));
}

inline task<> scope_join(cast c) {
    auto body = [&c](nursery& n) -> task<> {
        std::vector<join_handle<int>> handles;
        for (auto& each : c) {
            handles.push_back(n.spawn(named("child"), std::move(each)));
        }
        for (auto& each : handles) {
            co_await each;
        }
    };
    co_await scope(std::ref(body));
}

inline task<> scope_join_result(cast c) {
    auto body = [&c](nursery& n) -> task<> {
        std::vector<join_handle<int>> handles;
        for (auto& each : c) {
            handles.push_back(n.spawn(std::move(each)));
        }
        for (auto& each : handles) {
            auto ended = co_await (each.join() | as_result);
            co_await as_plain(std::move(ended));
        }
    };
    co_await supervisor_scope(std::ref(body));
}

inline task<> scope_in_scope(cast c) {
    auto outer = [&c](nursery& n) -> task<> {
        n.spawn(scope_spawn(std::move(c)));
        co_return;
    };
    co_await scope(std::ref(outer));
}

// --- around one task -----------------------------------------------------------------------------

inline task<> plain_await(cast c) {
    co_await std::move(c[0]);
}

inline task<> of_call(cast c) {
    auto called = call([](cast& own) { return std::move(own[0]); }, std::move(c));
    co_await std::move(called);
}

inline task<> of_as_result(cast c) {
    auto ended = co_await (std::move(c[0]) | as_result);
    co_await as_plain(std::move(ended));
}

inline constexpr auto timeout_of = [](cast& c) { return timeout(for_ever, std::move(c[0])); };
inline constexpr auto deadline_of = [](cast& c) {
    return with_deadline(clock::now() + for_ever, std::move(c[0]));
};
inline constexpr auto token_of = [](cast& c) {
    return with_stop_token(stop_token(), std::move(c[0]));
};
inline constexpr auto soft_of = [](cast& c) { return until_soft_stop(std::move(c[0])); };
inline constexpr auto shielded_of = [](cast& c) {
    return shielded(clock::duration::zero(), std::move(c[0]));
};

inline task<> give_way() {
    co_await yield();
}

inline constexpr auto finally_of = [](cast& c) { return finally(std::move(c[0]), give_way()); };

inline constinit task_local<int> some_key;

inline constexpr auto local_of = [](cast& c) { return some_key.with(1, std::move(c[0])); };

// --- without children ----------------------------------------------------------------------------

inline task<> waits_for_time(cast) {
    co_await sleep_for(for_ever);
}

inline task<> waits_for_point_in_time(cast) {
    co_await sleep_until(clock::now() + for_ever);
}

inline task<> waits_for_handle(cast) {
    auto body = [](nursery& n) -> task<> {
        auto child = n.spawn(sleep_long());
        co_await child;
    };
    co_await scope(std::ref(body));
}

inline task<> waits_for_place(cast) {
    auto body = [](nursery& n) -> task<> {
        n.set_limit(1);
        co_await n.spawn_when_free(sleep_long());
        co_await n.spawn_when_free(sleep_long());
    };
    co_await scope(std::ref(body));
}

/// One call blocks its thread until it sees the stop, the other waits for that thread.
inline task<> waits_for_thread(cast) {
    blocking_pool pool({.threads_max = 1});
    auto hold = [](stop_token token) {
        while (!token.stop_requested()) {
            std::this_thread::yield();
        }
    };
    auto both = when_all(blocking(pool, hold), blocking(pool, hold));
    (void)co_await both;
    co_await this_task::stop_point();
}

}  // namespace subjects

/// All of them.
[[nodiscard]] inline std::span<await_subject const> scope_subjects() {
    using namespace subjects;
    using enum await_subject::family;
    static constexpr await_subject list[] = {
        {"scope", all, 0, 3, scope_spawn},
        {"scope, result", all, 0, 3, scope_result},
        {"scope, start", all, 0, 3, scope_start},
        {"scope, limited", in_turn, 0, 3, scope_limited},
        {"scope, remote", all, 0, 3, scope_remote},
        {"scope, joins", all, 0, 3, scope_join},
        {"scope, joins, result", all, 0, 3, scope_join_result},
        {"scope in a scope", all, 0, 3, scope_in_scope},
        {"supervisor_scope", all, 0, 3, supervisor},
        {"await", all, 1, 1, plain_await},
        {"call", all, 1, 1, of_call},
        {"as_result", all, 1, 1, of_as_result},
        {"timeout", all, 1, 1, plain<timeout_of>},
        {"timeout, result", all, 1, 1, result_form<timeout_of>},
        {"with_deadline", all, 1, 1, plain<deadline_of>},
        {"with_stop_token", all, 1, 1, plain<token_of>},
        {"with_stop_token, result", all, 1, 1, result_form<token_of>},
        {"until_soft_stop", all, 1, 1, plain<soft_of>},
        {"shielded", all, 1, 1, plain<shielded_of>},
        {"finally", all, 1, 1, plain<finally_of>},
        {"finally, result", all, 1, 1, result_form<finally_of>},
        {"task_local", all, 1, 1, plain<local_of>},
        {"sleep_for", waits, 0, 0, waits_for_time},
        {"sleep_until", waits, 0, 0, waits_for_point_in_time},
        {"join_handle", waits, 0, 0, waits_for_handle},
        {"spawn_when_free", waits, 0, 0, waits_for_place},
        {"blocking", waits, 0, 0, waits_for_thread},
    };
    return list;
}

}  // namespace weft::test
