// What the rules say of scopes, and of what surrounds a task.

#include <weft/tests/fuzz/reference.hpp>

#include <algorithm>
#include <utility>

namespace weft::fuzz {
namespace {

/// An error that carries no code passes through as_result.
bool has_code(outcome const& how) {
    return how.errors().size() == 1 && how.errors().front() < odd_errors;
}

}  // namespace

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

reference::ended reference::handles(node const& what, time start, surroundings around) {
    ended is{start, outcome::of_value(0)};
    int total = 0;
    for (node const& child : what.children) {
        ended const each = run(child, start, around);
        if (!each.how.has_value()) {
            be_unsure();  // what the body is told, it is told as a value
        }
        is.end = std::max(is.end, each.end);
        total = fold(total, each.how.value());
    }
    if (!before(is.end, around.stop)) {
        be_unsure();
    }
    is.how = outcome::of_value(total);
    return is;
}

reference::ended reference::stop_handle(node const& what, time start, surroundings around) {
    time const asked = start + what.a;
    surroundings inner = around;
    inner.stop = std::min(inner.stop, asked);
    ended const child = run(what.children.front(), start, inner);
    ended is{std::max(asked, child.end), outcome::of_value(value_of_error(cancelled))};
    if (child.how.has_value()) {
        is.how = child.how;
    }
    if (child.how.has_error() || !before(is.end, around.stop)) {
        be_unsure();
    }
    return is;
}

reference::ended reference::until_soft(node const& what, time start, surroundings around) {
    surroundings inner = around;
    inner.stop = std::min(inner.stop, around.soft);
    ended is = run(what.children.front(), start, inner);
    if (is.how.was_stopped() && around.stop > is.end) {
        (void)before(is.end, around.stop);
        is.how = outcome::of_error(cancelled);
    }
    return is;
}

/// The clean-ups run when the body has ended, the youngest first.
reference::ended reference::defer(node const& what, time start, surroundings around) {
    ended is = run(what.children.front(), start, around);
    std::vector<int> errors = is.how.errors();
    for (std::size_t i = what.children.size() - 1; i != 0; --i) {
        surroundings inner;
        inner.stop = is.end + what.a;
        inner.deadline = inner.stop;
        ended const cleanup = run(what.children[i], is.end, inner);
        is.end = cleanup.end;
        if (cleanup.how.was_stopped()) {
            errors.push_back(timed_out);
        }
        errors.insert(errors.end(), cleanup.how.errors().begin(), cleanup.how.errors().end());
    }
    if (!errors.empty()) {
        is.how = outcome::of_errors(errors);
    }
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
        case kind::handles:
            return handles(what, start, around);
        case kind::stop_handle:
            return stop_handle(what, start, around);
        case kind::until_soft:
            return until_soft(what, start, around);
        case kind::defer:
            return defer(what, start, around);
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
