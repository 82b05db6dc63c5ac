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
    if (how.has_value() || how.errors().empty()) {  // no errors: where nothing is foretold
        return how.value();
    }
    return value_of_error(how.errors().front());
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
    bool const is_join = what.what >= kind::sequence && what.what <= kind::batches;
    bool const is_scope =
        (what.what >= kind::scope && what.what <= kind::soft_stop) || what.what == kind::defer;
    if (is_scope || (is_join && what.what != kind::sequence)) {
        ++waits_;  // others may run before it ends, even where no child waits
    }
    if (is_join) {
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

reference::list reference::race(children const& all,
                                time start,
                                surroundings around,
                                bool (*decides)(outcome const& how)) {
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

reference::ended reference::as_completed(node const& what, time start, surroundings around) {
    std::size_t const count = endings_.size();
    std::vector<std::uint32_t> const runs = runs_;
    std::vector<std::size_t> order;
    list each;
    for (node const& child : what.children) {
        order.push_back(each.size());
        each.push_back(run(child, start, around));
    }
    std::sort(order.begin(), order.end(), [&each](std::size_t left, std::size_t right) {
        return each[left].end != each[right].end ? each[left].end < each[right].end : left < right;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
        (void)before(each[order[i - 1]].end, each[order[i]].end);
    }
    std::size_t const taken = std::min<std::size_t>(what.a, what.children.size());
    time const over = each[order[taken - 1]].end;
    time const last = each[order.back()].end;
    if (around.stop < never && before(around.stop, over)) {
        return {std::max(last, around.stop), outcome::stopped()};
    }
    int total = 0;
    for (std::size_t i = 0; i != taken; ++i) {
        total = fold(fold(total, static_cast<int>(order[i])), value_in(each[order[i]].how));
    }
    ended is{over, outcome::of_value(total)};
    if (taken == what.children.size()) {
        return is;
    }
    forget_since(count, runs);
    surroundings cut = around;
    cut.stop = std::min(cut.stop, over);
    for (std::size_t i = 0; i != what.children.size(); ++i) {
        bool const is_over = each[i].end <= over;
        is.end = std::max(is.end, run(what.children[i], start, is_over ? around : cut).end);
    }
    return is;
}

/// The items that begin before `cut`, of which all but number `spared` are stopped then.
reference::list reference::in_lanes(
    node const& what, time start, surroundings around, time cut, std::size_t spared) {
    std::vector<time> lanes(std::min<std::size_t>(what.a, what.children.size()), start);
    surroundings inner = around;
    inner.stop = std::min(inner.stop, cut);
    list each;
    for (std::size_t i = 0; i != what.children.size(); ++i) {
        auto const lane = std::min_element(lanes.begin(), lanes.end());
        if (*lane >= never || (inner.stop < never && !before(*lane, inner.stop))) {
            break;
        }
        each.push_back(run(what.children[i], *lane, i == spared ? around : inner));
        *lane = each.back().how.has_value() ? each.back().end : never;
    }
    return each;
}

reference::ended reference::map(node const& what, time start, surroundings around) {
    std::size_t const count = endings_.size();
    std::vector<std::uint32_t> const runs = runs_;
    list each = in_lanes(what, start, around, never, what.children.size());
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i != each.size(); ++i) {
        if (each[i].how.has_error() && first.has_value()) {
            (void)before(each[i].end, each[*first].end);
        }
        if (each[i].how.has_error() && (!first.has_value() || each[i].end < each[*first].end)) {
            first = i;
        }
    }
    if (first.has_value()) {
        forget_since(count, runs);
        each = in_lanes(what, start, around, each[*first].end, *first);
    }
    ended is{start, outcome::of_value(0)};
    std::vector<int> errors;
    bool cut_short = each.size() != what.children.size();
    int folded = 0;
    int sum = 0;
    for (ended const& one : each) {
        is.end = std::max(is.end, one.end);
        errors.insert(errors.end(), one.how.errors().begin(), one.how.errors().end());
        cut_short = cut_short || one.how.was_stopped();
        folded = fold(folded, one.how.value());
        sum += one.how.value();
    }
    if (!errors.empty()) {
        is.how = outcome::of_errors(errors);
    } else if (cut_short) {
        is.how = outcome::stopped();
        is.end = around.stop < never ? std::max(is.end, around.stop) : is.end;
        if (each.size() != what.children.size()) {
            be_unsure();
        }
    } else if (what.what != kind::for_each) {
        is.how = outcome::of_value(what.what == kind::map ? folded : sum);
    }
    return is;
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
        case kind::as_completed:
            return as_completed(what, start, around);
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

}  // namespace weft::fuzz
