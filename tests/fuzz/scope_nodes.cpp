// Scopes, and the ways to stop them.

#include <weft/runtime/scope/cancel_after.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <atomic>
#include <utility>

namespace weft::fuzz {
namespace {

using namespace std::chrono_literals;

task<> and_nothing(work doing) {
    co_await std::move(doing);
}

/// Some children have handles, which are dropped; some have none.
void spawn_others(world& here, instance& self, nursery& children) {
    for (std::size_t i = 1; i < self.what().children.size(); ++i) {
        if (i % 2 == 0) {
            children.spawn_without_handle(and_nothing(run_child(here, self, i)));
        } else {
            (void)children.spawn(named("child"), run_child(here, self, i));
        }
    }
}

work with_siblings(world& here, instance& self, nursery& children) {
    spawn_others(here, self, children);
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work scope_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return with_siblings(here, self, children);
    };
    parcel made = co_await scope(body);
    co_return made;
}

work supervisor_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return with_siblings(here, self, children);
    };
    parcel made = co_await supervisor_scope(body);
    co_return made;
}

/// Children whose handles the body joins, in order.
work join_each(world& here, instance& self, nursery& children) {
    int const count = static_cast<int>(self.what().children.size());
    std::vector<join_handle<parcel>> handles;
    for (std::size_t i = 0; i != self.what().children.size(); ++i) {
        handles.push_back(children.spawn(run_child(here, self, i)));
    }
    int total = 0;
    int joined = 0;
    for (join_handle<parcel>& each : handles) {
        result<parcel&> const ended = co_await (each | as_result);
        bool const is_over = each.is_done();
        if (is_over && self.frames() > count - ++joined) {
            here.book.fail(self.what(), "a child was joined before its frame had gone");
        }
        int const value =
            ended.has_value() ? (*ended).value : value_of_error(number_of(ended.error()));
        total = fold(total, value);
    }
    co_return here.make(total);
}

work handles_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) { return join_each(here, self, children); };
    parcel made = co_await supervisor_scope(body);
    co_return made;
}

work stop_one(world& here, instance& self, nursery& children) {
    join_handle<parcel> child = children.spawn(run_child(here, self, 0));
    co_await weft::sleep_for(here.span(self.what().a));
    child.request_stop();
    result<parcel&> const ended = co_await (child | as_result);
    co_return here.make(ended.has_value() ? (*ended).value
                                          : value_of_error(number_of(ended.error())));
}

work stop_handle_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) { return stop_one(here, self, children); };
    parcel made = co_await scope(body);
    co_return made;
}

work stop_later(world& here, instance& self, nursery& children) {
    cancel_after const later(here.span(self.what().a), children);
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work stop_scope_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return stop_later(here, self, children);
    };
    parcel made = co_await scope(body);
    co_return made;
}

task<> ask_softly(nursery& children, clock::duration after, clock::duration grace) {
    co_await weft::sleep_for(after);
    children.request_stop("softly", stop_options{time_span(grace)});
}

work stop_softly(world& here, instance& self, nursery& children) {
    children.spawn_without_handle(
        ask_softly(children, here.span(self.what().a), here.span(self.what().b)));
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work soft_stop_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return stop_softly(here, self, children);
    };
    parcel made = co_await scope(body);
    co_return made;
}

work with_cleanups(world& here, instance& self, nursery& children) {
    for (std::size_t i = 1; i < self.what().children.size(); ++i) {
        children.defer(here.span(self.what().a), and_nothing(run_child(here, self, i)));
    }
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work defer_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return with_cleanups(here, self, children);
    };
    parcel made = co_await scope(body);
    co_return made;
}

/// Children that a foreign thread spawns, perhaps when the scope has been stopped.
work spawn_from_afar(world& here, instance& self, nursery& children) {
    remote_nursery remote = children.remote();
    std::vector<work> others = run_children(here, self, 1);
    auto spawn_all = [&others, &remote] {
        for (work& each : others) {
            (void)remote.spawn(std::move(each));
        }
    };
    auto spawning = blocking(here.pool, spawn_all);
    co_await std::move(spawning);
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work remote_spawn_of(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return spawn_from_afar(here, self, children);
    };
    parcel made = co_await scope(body);
    co_return made;
}

task<> run_gated(world& here, instance& self, std::size_t index, std::atomic<int>& running) {
    inside const counted_in(running);
    if (counted_in.seen() > static_cast<int>(self.what().a)) {
        here.book.fail(self.what(), "more children run than the limit lets");
    }
    work doing = run_child(here, self, index);
    co_await std::move(doing);
}

work spawn_gated(world& here, instance& self, nursery& children, std::atomic<int>& running) {
    children.set_limit(self.what().a);
    for (std::size_t i = 0; i != self.what().children.size(); ++i) {
        task<> next = run_gated(here, self, i, running);
        join_handle<> const handle = co_await children.spawn_when_free(std::move(next));
        (void)handle.is_done();
    }
    co_return here.make(1);
}

work gated_of(world& here, instance& self) {
    std::atomic<int> running{0};
    auto const body = [&here, &self, &running](nursery& children) {
        return spawn_gated(here, self, children, running);
    };
    parcel made = co_await scope(body);
    co_return made;
}

}  // namespace

work do_scope(world& here, instance& self) {
    switch (self.what().what) {
        case kind::scope:
            return scope_of(here, self);
        case kind::supervisor:
            return supervisor_of(here, self);
        case kind::handles:
            return handles_of(here, self);
        case kind::stop_handle:
            return stop_handle_of(here, self);
        case kind::stop_scope:
            return stop_scope_of(here, self);
        case kind::soft_stop:
            return soft_stop_of(here, self);
        case kind::defer:
            return defer_of(here, self);
        case kind::gated:
            return gated_of(here, self);
        default:
            return remote_spawn_of(here, self);
    }
}

}  // namespace weft::fuzz
