#pragma once

/// The combinators, in their forms.

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/as_completed.hpp>
#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/ranges/for_each.hpp>
#include <weft/runtime/ranges/in_batches.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/runtime/ranges/map_reduce.hpp>
#include <weft/runtime/ranges/sequence.hpp>
#include <weft/tests/support/await_subject.hpp>

#include <functional>
#include <span>
#include <utility>
#include <vector>

namespace weft::test {

namespace subjects {

/// `Make` takes the children as arguments.
template <auto Make>
task<> plain_tuple(cast c) {
    if (c.size() == 1) {
        (void)co_await Make(std::move(c[0]));
    } else if (c.size() == 2) {
        (void)co_await Make(std::move(c[0]), std::move(c[1]));
    } else {
        (void)co_await Make(std::move(c[0]), std::move(c[1]), std::move(c[2]));
    }
}

template <auto Make>
task<> result_form_tuple(cast c) {
    if (c.size() == 1) {
        auto ended = co_await (Make(std::move(c[0])) | as_result);
        co_await as_plain(std::move(ended));
    } else if (c.size() == 2) {
        auto ended = co_await (Make(std::move(c[0]), std::move(c[1])) | as_result);
        co_await as_plain(std::move(ended));
    } else {
        auto ended = co_await (Make(std::move(c[0]), std::move(c[1]), std::move(c[2])) | as_result);
        co_await as_plain(std::move(ended));
    }
}

inline constexpr auto when_all_of = [](auto&&... c) { return when_all(std::move(c)...); };
inline constexpr auto all_settled_of = [](auto&&... c) { return all_settled(std::move(c)...); };
inline constexpr auto when_any_of = [](auto&&... c) { return when_any(std::move(c)...); };
inline constexpr auto race_of = [](auto&&... c) { return race(std::move(c)...); };
inline constexpr auto first_success_of = [](auto&&... c) { return first_success(std::move(c)...); };
inline constexpr auto sequence_of = [](auto&&... c) { return sequence(std::move(c)...); };

/// On several workers a stop may reach the children first, whose outcomes are delivered then.
inline task<> collect(completions<int>& results) {
    while (auto const each = co_await results.next()) {
    }
    co_await this_task::stop_point();
}

inline constexpr auto as_completed_of = [](cast& c) { return as_completed(std::move(c), collect); };

inline task<int> await_child(task<int>& child) {
    co_return co_await std::move(child);
}

inline task<int> await_batch(std::span<task<int>> children) {
    int sum = 0;
    for (auto& each : children) {
        sum += co_await std::move(each);
    }
    co_return sum;
}

inline constexpr auto for_each_of = [](cast& c) { return for_each(c, await_child, {.limit = 8}); };
inline constexpr auto for_each_one = [](cast& c) { return for_each(c, await_child, {.limit = 1}); };
inline constexpr auto map_of = [](cast& c) { return map(c, await_child, {.limit = 8}); };
inline constexpr auto map_unordered_of = [](cast& c) {
    return map_unordered(c, await_child, {.limit = 8});
};
inline constexpr auto map_reduce_of = [](cast& c) {
    return map_reduce(c, await_child, 0, std::plus<int>(), {.limit = 8});
};
inline constexpr auto batches_of_eight = [](cast& c) {
    return in_batches(std::move(c), {.size = 8});
};
inline constexpr auto batches_of_one = [](cast& c) {
    return in_batches(std::move(c), {.size = 1});
};
inline constexpr auto cut_batches = [](cast& c) { return in_batches(c, await_batch, {.size = 2}); };
inline constexpr auto sequence_made = [](cast& c) { return sequence(c, await_child); };

inline task<> when_all_span(cast c) {
    std::vector<int> values(c.size());
    co_await when_all(std::span(c), std::span(values));
}

inline task<> when_all_span_result(cast c) {
    std::vector<int> values(c.size());
    auto ended = co_await (when_all(std::span(c), std::span(values)) | as_result);
    co_await as_plain(std::move(ended));
}

inline task<> waits_for_outcome(cast) {
    cast children;
    children.push_back(sleep_long());
    co_await as_completed(std::move(children), collect);
}

}  // namespace subjects

/// All of them.
[[nodiscard]] inline std::span<await_subject const> combinator_subjects() {
    using namespace subjects;
    using enum await_subject::family;
    static constexpr await_subject list[] = {
        {"when_all", all, 1, 3, plain_tuple<when_all_of>},
        {"when_all, result", all, 1, 3, result_form_tuple<when_all_of>},
        {"when_all, range", all, 0, 3, plain<when_all_of>},
        {"when_all, range, result", all, 0, 3, result_form<when_all_of>},
        {"when_all, span", all, 0, 3, when_all_span},
        {"when_all, span, result", all, 0, 3, when_all_span_result},
        {"all_settled", settled, 1, 3, plain_tuple<all_settled_of>},
        {"all_settled, result", settled, 1, 3, result_form_tuple<all_settled_of>},
        {"all_settled, range", settled, 0, 3, plain<all_settled_of>},
        {"all_settled, range, result", settled, 0, 3, result_form<all_settled_of>},
        {"when_any", first, 1, 3, plain_tuple<when_any_of>},
        {"when_any, result", first, 1, 3, result_form_tuple<when_any_of>},
        {"when_any, range", first, 0, 3, plain<when_any_of>},
        {"when_any, range, result", first, 0, 3, result_form<when_any_of>},
        {"race", first, 1, 3, plain_tuple<race_of>},
        {"race, result", first, 1, 3, result_form_tuple<race_of>},
        {"race, range", first, 0, 3, plain<race_of>},
        {"race, range, result", first, 0, 3, result_form<race_of>},
        {"first_success", first_success, 1, 3, plain_tuple<first_success_of>},
        {"first_success, result", first_success, 1, 3, result_form_tuple<first_success_of>},
        {"first_success, range", first_success, 0, 3, plain<first_success_of>},
        {"first_success, range, result", first_success, 0, 3, result_form<first_success_of>},
        {"as_completed", settled, 0, 3, plain<as_completed_of>},
        {"as_completed, result", settled, 0, 3, result_form<as_completed_of>},
        {"sequence", in_turn, 1, 3, plain_tuple<sequence_of>},
        {"sequence, result", in_turn, 1, 3, result_form_tuple<sequence_of>},
        {"sequence, range", in_turn, 0, 3, plain<sequence_of>},
        {"sequence, range, result", in_turn, 0, 3, result_form<sequence_of>},
        {"sequence, made", in_turn, 0, 3, plain<sequence_made>},
        {"for_each", all, 0, 3, plain<for_each_of>},
        {"for_each, one", in_turn, 0, 3, plain<for_each_one>},
        {"map", all, 0, 3, plain<map_of>},
        {"map_unordered", all, 0, 3, plain<map_unordered_of>},
        {"map_reduce", all, 0, 3, plain<map_reduce_of>},
        {"in_batches", all, 0, 3, plain<batches_of_eight>},
        {"in_batches, of one", in_turn, 0, 3, plain<batches_of_one>},
        {"in_batches, cut", in_turn, 0, 3, plain<cut_batches>},
        {"in_batches, cut, result", in_turn, 0, 3, result_form<cut_batches>},
        {"completions", waits, 0, 0, waits_for_outcome},
    };
    return list;
}

}  // namespace weft::test
