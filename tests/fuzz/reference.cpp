#include <weft/tests/fuzz/reference.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace weft::fuzz {
namespace {

int value_in(outcome const& how) {
    if (how.was_stopped()) {
        return value_of_stop;
    }
    return how.has_value() ? how.value() : value_of_error(how.errors().front());
}

/// An error that carries no code passes through as_result.
bool has_code(outcome const& how) {
    return how.errors().size() == 1 && how.errors().front() < odd_errors;
}

}  // namespace

reference::reference(node const& root, std::int64_t stop_us) {
    surroundings around;
    around.stop = stop_us < 0 ? never : stop_us;
    root_ = run(root, 0, around);
}

bool reference::before(time left, time right) {
    if (std::max(left, right) >= never) {
        return left < right;
    }
    if (left - right < margin && right - left < margin) {
        be_unsure();
    }
    return left < right;
}

void reference::forget_since(std::size_t count, std::vector<std::uint32_t> const& runs) {
    endings_.erase(endings_.begin() + static_cast<std::ptrdiff_t>(count), endings_.end());
    runs_ = runs;
}

reference::ended reference::run(node const& what, time start, surroundings around) {
    if (around.stop <= start && !what.is_leaf()) {
        be_unsure();  // whether it begins at all is told by what came first
    }
    unsigned long const waits = waits_;
    ended is = judge(what, start, around);
    is.has_waited = waits != waits_;
    endings_.push_back({what.id, is.end, is.how});
    return is;
}

reference::ended reference::judge(node const& what, time start, surroundings around) {
    if (what.what <= kind::stop_point) {
        return leaf(what, start, around);
    }
    if (what.what >= kind::sequence && what.what <= kind::batches) {
        return join(what, start, around);
    }
    return surrounded(what, start, around);
}

// --- leaves ----------------------------------------------------------------------------

reference::ended reference::leaf(node const& what, time start, surroundings around) {
    bool const waits = what.what == kind::sleep || what.what == kind::sleep_error ||
                       what.what == kind::yields || what.what == kind::stop_point;
    waits_ += waits ? 1 : 0;
    switch (what.what) {
        case kind::sleep:
        case kind::sleep_error: {
            time const end = start + what.a;
            if (around.stop <= start) {
                return {start, outcome::stopped()};
            }
            if (before(around.stop, end)) {
                return {around.stop, outcome::stopped()};
            }
            return {end,
                    what.what == kind::sleep ? outcome::of_value(static_cast<int>(what.b))
                                             : outcome::of_error(static_cast<int>(what.b))};
        }
        case kind::yields:
        case kind::stop_point:
            if (around.stop == start) {
                be_unsure();
            }
            return {start,
                    around.stop <= start ? outcome::stopped()
                                         : outcome::of_value(static_cast<int>(what.b))};
        case kind::error:
            return {start, outcome::of_error(static_cast<int>(what.a))};
        case kind::odd_error:
            return {start, outcome::of_error(odd_errors + static_cast<int>(what.a))};
        default:
            break;
    }
    if (runs_.size() <= what.id) {
        runs_.resize(what.id + 1);
    }
    bool const fails = what.what == kind::flaky && runs_[what.id] < what.b;
    ++runs_[what.id];
    return {start,
            fails ? outcome::of_error(static_cast<int>(what.a))
                  : outcome::of_value(static_cast<int>(what.a))};
}

// --- joins -----------------------------------------------------------------------------

template <class Decides>
reference::list reference::race(children const& all,
                                time start,
                                surroundings around,
                                Decides decides) {
    std::size_t const count = endings_.size();
    std::vector<std::uint32_t> const runs = runs_;
    std::optional<std::size_t> first;
    list alone;
    for (node const& each : all) {
        alone.push_back(run(each, start, around));
        ended const& last = alone.back();
        if (!decides(last.how)) {
            continue;
        }
        if (!first.has_value() || last.end < alone[*first].end) {
            first = alone.size() - 1;
        }
    }
    if (!first.has_value()) {
        return alone;
    }
    for (std::size_t i = 0; i != alone.size(); ++i) {
        if (i == *first || !decides(alone[i].how)) {
            continue;
        }
        bool const both_at_once =
            alone[i].end == alone[*first].end && !alone[i].has_waited && !alone[*first].has_waited;
        if (!both_at_once) {
            (void)before(alone[i].end, alone[*first].end);
        }
    }
    forget_since(count, runs);
    surroundings cut = around;
    cut.stop = std::min(cut.stop, alone[*first].end);
    list each;
    for (std::size_t i = 0; i != all.size(); ++i) {
        each.push_back(run(all[i], start, i == *first ? around : cut));
    }
    return each;
}

reference::ended reference::together(children const& all,
                                     time start,
                                     surroundings around,
                                     list& each) {
    each = race(all, start, around, [](outcome const& how) { return how.has_error(); });
    ended is{start, outcome::of_value(0)};
    int total = 0;
    for (ended const& one : each) {
        is.end = std::max(is.end, one.end);
        if (one.how.has_error()) {
            if (!is.how.has_error()) {
                is.how = one.how;
            }
        } else if (one.how.was_stopped()) {
            if (!is.how.has_error()) {
                is.how = one.how;
            }
        } else {
            total = fold(total, one.how.value());
        }
    }
    if (is.how.has_value()) {
        is.how = outcome::of_value(total);
    }
    return is;
}

reference::ended reference::in_turn(node const& what, time start, surroundings around) {
    int total = 0;
    for (node const& each : what.children) {
        ended const is = run(each, start, around);
        if (!is.how.has_value()) {
            return is;
        }
        total = fold(total, is.how.value());
        start = is.end;
    }
    return {start, outcome::of_value(total)};
}

reference::ended reference::when_all(node const& what, time start, surroundings around) {
    list each;
    ended is = together(what.children, start, around, each);
    return is;
}

reference::ended reference::all_settled(node const& what, time start, surroundings around) {
    ended is{start, outcome::of_value(0)};
    int total = 0;
    bool cut_short = false;
    for (node const& child : what.children) {
        ended const each = run(child, start, around);
        is.end = std::max(is.end, each.end);
        cut_short = cut_short || each.how.was_stopped();
        total = fold(total, value_in(each.how));
    }
    is.how = cut_short ? outcome::stopped() : outcome::of_value(total);
    return is;
}

reference::ended reference::first_of(node const& what, time start, surroundings around) {
    auto const decides = [](outcome const& how) { return !how.was_stopped(); };
    list const each = race(what.children, start, around, decides);
    ended is{start, outcome::stopped()};
    time won = never;
    for (std::size_t i = 0; i != each.size(); ++i) {
        is.end = std::max(is.end, each[i].end);
        if (each[i].how.was_stopped()) {
            continue;
        }
        if (each[i].end == won) {
            be_unsure();
        }
        if (each[i].end < won) {
            won = each[i].end;
            is.how = each[i].how;
            if (is.how.has_value() && what.what == kind::when_any) {
                is.how = outcome::of_value(fold(static_cast<int>(i), is.how.value()));
            }
        }
    }
    return is;
}

reference::ended reference::first_success(node const& what, time start, surroundings around) {
    auto const decides = [](outcome const& how) { return how.has_value(); };
    list const each = race(what.children, start, around, decides);
    ended is{start, outcome::stopped()};
    time won = never;
    bool cut_short = false;
    std::vector<int> errors;
    for (ended const& one : each) {
        is.end = std::max(is.end, one.end);
        cut_short = cut_short || one.how.was_stopped();
        if (one.how.has_error()) {
            errors.insert(errors.end(), one.how.errors().begin(), one.how.errors().end());
        } else if (one.how.has_value()) {
            if (one.end == won) {
                be_unsure();
            }
            if (one.end < won) {
                won = one.end;
                is.how = one.how;
            }
        }
    }
    if (won == never && !cut_short) {
        is.how = outcome::of_errors(errors);
    }
    return is;
}

reference::ended reference::batches(node const& what, time start, surroundings around) {
    std::vector<int> values;
    for (std::size_t i = 0; i < what.children.size(); i += what.a) {
        std::size_t const end = std::min<std::size_t>(i + what.a, what.children.size());
        children const batch(what.children.begin() + static_cast<std::ptrdiff_t>(i),
                             what.children.begin() + static_cast<std::ptrdiff_t>(end));
        list each;
        ended const is = together(batch, start, around, each);
        if (!is.how.has_value()) {
            return is;
        }
        for (ended const& one : each) {
            values.push_back(one.how.value());
        }
        start = is.end;
    }
    int total = 0;
    for (int const each : values) {
        total = fold(total, each);
    }
    return {start, outcome::of_value(total)};
}

/// Only as far as nobody fails or is stopped: which items have begun then is told by their times.
reference::ended reference::map(node const& what, time start, surroundings around) {
    std::vector<time> lanes(std::min<std::size_t>(what.a, what.children.size()), start);
    int folded = 0;
    int sum = 0;
    for (node const& child : what.children) {
        auto const lane = std::min_element(lanes.begin(), lanes.end());
        ended const is = run(child, *lane, around);
        if (!is.how.has_value()) {
            if (what.children.size() > 1) {
                be_unsure();
            }
            return is;
        }
        folded = fold(folded, is.how.value());
        sum += is.how.value();
        *lane = is.end;
    }
    time const end = *std::max_element(lanes.begin(), lanes.end());
    if (around.stop <= end && end != start) {
        be_unsure();
    }
    int value = what.what == kind::map ? folded : sum;
    return {end, outcome::of_value(what.what == kind::for_each ? 0 : value)};
}

reference::ended reference::join(node const& what, time start, surroundings around) {
    switch (what.what) {
        case kind::sequence:
            return in_turn(what, start, around);
        case kind::when_all:
        case kind::when_all_pair:
            return when_all(what, start, around);
        case kind::all_settled:
        case kind::all_settled_pair:
            return all_settled(what, start, around);
        case kind::when_any:
        case kind::race:
            return first_of(what, start, around);
        case kind::first_success:
            return first_success(what, start, around);
        case kind::batches:
            return batches(what, start, around);
        case kind::for_each:
        case kind::map:
        case kind::map_unordered:
        case kind::map_reduce:
            return map(what, start, around);
        default:
            be_unsure();
            return {start, outcome::stopped()};
    }
}

// --- what surrounds --------------------------------------------------------------------

reference::ended reference::scope(node const& what, time start, surroundings around) {
    bool const keeps_going = what.what == kind::supervisor;
    list each;
    if (!keeps_going) {
        each =
            race(what.children, start, around, [](outcome const& how) { return how.has_error(); });
    } else {
        each.push_back(run(what.children.front(), start, around));
        if (each.front().how.has_error()) {
            around.stop = std::min(around.stop, each.front().end);
        }
        for (std::size_t i = 1; i != what.children.size(); ++i) {
            each.push_back(run(what.children[i], start, around));
        }
    }
    ended is = each.front();
    std::vector<int> errors = is.how.errors();
    bool cut_short = is.how.was_stopped();
    std::vector<ended> failed;
    for (std::size_t i = 1; i < each.size(); ++i) {
        is.end = std::max(is.end, each[i].end);
        cut_short = cut_short || each[i].how.was_stopped();
        if (each[i].how.has_error()) {
            failed.push_back(each[i]);
        }
    }
    std::sort(failed.begin(), failed.end(), [this](ended const& left, ended const& right) {
        if (left.end == right.end) {
            be_unsure();
        }
        return before(left.end, right.end);
    });
    for (ended const& one : failed) {
        errors.insert(errors.end(), one.how.errors().begin(), one.how.errors().end());
    }
    if (!errors.empty()) {
        is.how = outcome::of_errors(errors);
    } else if (cut_short) {
        is.how = outcome::stopped();
    }
    return is;
}

reference::ended reference::limited(node const& what, time start, surroundings around) {
    time const limit = start + what.a;
    surroundings inner = around;
    bool const narrows = before(limit, around.deadline);
    if (narrows) {
        inner.deadline = limit;
        inner.stop = std::min(inner.stop, limit);
    }
    ended is = run(what.children.front(), start, inner);
    if (is.how.was_stopped()) {
        bool const expired = narrows && before(limit, std::min(around.stop, is.end + 1'000));
        if (expired && around.stop > is.end) {
            (void)before(is.end, around.stop);
            is.how = outcome::of_error(timed_out);
        }
    }
    return is;
}

reference::ended reference::shielded(node const& what, time start, surroundings around) {
    surroundings inner;
    inner.soft = never;
    if (around.stop < never) {
        inner.stop = std::max(around.stop, start) + what.a;
    }
    ended const is = run(what.children.front(), start, inner);
    return is;
}

reference::ended reference::finally(node const& what, time start, surroundings around) {
    ended const body = run(what.children[0], start, around);
    surroundings inner;
    inner.stop = body.end + what.a;
    inner.deadline = inner.stop;
    ended cleanup = run(what.children[1], body.end, inner);
    if (cleanup.how.was_stopped()) {
        cleanup.how = outcome::of_error(timed_out);
    }
    std::vector<int> errors = body.how.errors();
    errors.insert(errors.end(), cleanup.how.errors().begin(), cleanup.how.errors().end());
    return {cleanup.end, errors.empty() ? body.how : outcome::of_errors(errors)};
}

reference::ended reference::as_result(node const& what, time start, surroundings around) {
    ended is = run(what.children.front(), start, around);
    if (is.how.was_stopped()) {
        be_unsure();
        is.how = outcome::of_value(value_of_error(cancelled));
    } else if (is.how.has_error() && has_code(is.how)) {
        is.how = outcome::of_value(value_of_error(is.how.errors().front()));
    }
    return is;
}

reference::ended reference::with_token(node const& what, time start, surroundings around) {
    time const asked = start + what.a;
    surroundings inner = around;
    inner.stop = std::min(inner.stop, asked);
    ended is = run(what.children.front(), start, inner);
    if (is.how.was_stopped() && around.stop > is.end) {
        (void)before(is.end, around.stop);
        is.how = outcome::of_error(cancelled);
    }
    return is;
}

reference::ended reference::stop_scope(node const& what, time start, surroundings around) {
    return with_token(what, start, around);
}

reference::ended reference::soft_stop(node const& what, time start, surroundings around) {
    time const asked = start + what.a;
    surroundings inner = around;
    inner.soft = std::min(inner.soft, asked);
    inner.stop = std::min(inner.stop, asked + what.b);
    ended is = run(what.children.front(), start, inner);
    if (is.how.has_error()) {
        return is;  // and has stopped who was to ask
    }
    if (before(around.stop, asked)) {
        return {std::max(is.end, around.stop), outcome::stopped()};
    }
    if (is.how.was_stopped() && around.stop > is.end) {
        (void)before(is.end, around.stop);
        is.how = outcome::of_error(cancelled);
    }
    is.end = std::max(is.end, asked);
    return is;
}

reference::ended reference::retry(node const& what, time start, surroundings around) {
    for (std::uint32_t attempt = 1;; ++attempt) {
        ended const is = run(what.children.front(), start, around);
        if (!is.how.has_error() || attempt == what.a) {
            return is;
        }
        if (is.how.errors() == std::vector<int>{cancelled}) {
            return is;
        }
        time const next = is.end + what.b;
        if (!before(next, around.deadline)) {
            return is;
        }
        if (around.stop <= is.end || before(around.stop, next)) {
            return {std::max(around.stop, is.end), outcome::stopped()};
        }
        start = next;
    }
}

reference::ended reference::fallback(node const& what, time start, surroundings around) {
    ended const is = run(what.children[0], start, around);
    if (!is.how.has_error() || is.how.errors() == std::vector<int>{cancelled}) {
        return is;
    }
    if (around.stop <= is.end) {
        be_unsure();
    }
    return run(what.children[1], is.end, around);
}

reference::ended reference::surrounded(node const& what, time start, surroundings around) {
    switch (what.what) {
        case kind::scope:
        case kind::supervisor:
            return scope(what, start, around);
        case kind::stop_scope:
            return stop_scope(what, start, around);
        case kind::soft_stop:
            return soft_stop(what, start, around);
        case kind::with_token:
            return with_token(what, start, around);
        case kind::timeout:
        case kind::deadline:
        case kind::time_limit:
            return limited(what, start, around);
        case kind::shielded:
            return shielded(what, start, around);
        case kind::finally:
            return finally(what, start, around);
        case kind::as_result:
            return as_result(what, start, around);
        case kind::retry:
            return retry(what, start, around);
        case kind::fallback:
            return fallback(what, start, around);
        default:
            be_unsure();
            return {start, outcome::stopped()};
    }
}

}  // namespace weft::fuzz
