#include <weft/runtime/stop/stop_token.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <new>
#include <optional>

namespace model = weft::model;

namespace {

/// What a callback refers to; it dies with the registration's owner.
struct registrant {
    model::plain<int> calls{0};

    void call() { calls.write(calls.read() + 1); }
};

/// The callback has run before the deregistration returns, or never will.
void fire_against_deregister() {
    weft::stop_source source;
    auto requests = [&] { source.request_stop(); };
    model::thread requester(requests);
    {
        registrant owner;
        weft::stop_callback const callback(source.token(), [&] { owner.call(); });
    }
    requester.join();
}

/// Whoever asks sees what the requester wrote before, and the callback runs exactly once.
void register_against_fire() {
    model::plain<int> reason{0};
    registrant owner;
    weft::stop_source source;
    auto requests = [&] {
        reason.write(1);
        source.request_stop();
    };
    model::thread requester(requests);
    {
        auto on_stop = [&] {
            owner.call();
            model::expect(reason.read() == 1, "a callback runs before the request");
        };
        weft::stop_callback const callback(source.token(), on_stop);
        if (source.stop_requested()) {
            model::expect(reason.read() == 1, "a stop is seen before the request");
        }
        requester.join();
    }
    model::expect(owner.calls.read() == 1, "a callback runs exactly once");
}

void two_requesters() {
    registrant owner;
    weft::stop_source source;
    model::plain<int> first{0};
    auto requests = [&] {
        if (source.request_stop()) {
            first.write(first.read() + 1);
        }
    };
    {
        weft::stop_callback const callback(source.token(), [&] { owner.call(); });
        model::thread one(requests);
        model::thread other(requests);
    }
    model::expect(owner.calls.read() == 1, "a callback runs exactly once");
    model::expect(first.read() == 1, "one requester was first");
}

/// Two registrants come and go while the stop is requested.
void two_registrants() {
    weft::stop_source source;
    auto registers = [&] {
        registrant owner;
        weft::stop_callback const callback(source.token(), [&] { owner.call(); });
    };
    model::thread one(registers);
    model::thread other(registers);
    source.request_stop();
}

/// A child source that is linked late, and dies, while its parent stops.
void child_against_parent() {
    weft::stop_source parent;
    auto requests = [&] { parent.request_stop(); };
    model::thread requester(requests);
    {
        weft::stop_source child(parent.token());
        registrant owner;
        weft::stop_callback const callback(child.token(), [&] { owner.call(); });
    }
    requester.join();
}

/// A request is not lost, however late the child links itself.
void child_hears_of_it() {
    registrant owner;
    weft::stop_source parent;
    weft::stop_source child(parent.token());
    auto requests = [&] { parent.request_stop(); };
    model::thread requester(requests);
    {
        weft::stop_callback const callback(child.token(), [&] { owner.call(); });
        requester.join();
    }
    model::expect(owner.calls.read() == 1, "a stop of the parent is lost");
    model::expect(child.stop_requested(), "a stop of the parent is lost");
}

/// Two threads link the same chain of sources, each from its own leaf.
void two_link_at_once() {
    weft::stop_source root;
    weft::stop_source middle(root.token());
    registrant owner;
    auto registers = [&] {
        weft::stop_source leaf(middle.token());
        registrant mine;
        weft::stop_callback const callback(leaf.token(), [&] { mine.call(); });
    };
    model::thread other(registers);
    auto requests = [&] { root.request_stop(); };
    model::thread requester(requests);
    {
        weft::stop_callback const callback(middle.token(), [&] { owner.call(); });
        requester.join();
        other.join();
    }
    model::expect(owner.calls.read() == 1, "a stop of the root is lost");
}

/// Two threads ask the same child, so that one of them finds it linked by the other.
void two_ask_a_child() {
    model::plain<int> reason{0};
    weft::stop_source parent;
    weft::stop_source child(parent.token());
    auto asks = [&] {
        if (child.stop_requested()) {
            model::expect(reason.read() == 1, "a stop is seen before the request");
        }
    };
    model::thread one(asks);
    model::thread other(asks);
    reason.write(1);
    parent.request_stop();
}

/// The owner has no callback that would hold it back, and destroys both states when it sees the
/// stop.
void destroyed_when_seen() {
    auto hard = std::make_unique<weft::detail::stop_state>();
    auto soft = std::make_unique<weft::detail::stop_state>();
    auto requests = [&hard = *hard, &soft = *soft] {
        hard.request_stop(weft::stop_reason(weft::stop_kind::requested), &soft);
    };
    model::thread requester(requests);
    if (hard->stop_requested()) {
        hard->await_requester();
        model::expect(soft->stop_requested(), "a follower is not stopped");
        soft.reset();
        hard.reset();
    }
    requester.join();
}

/// The same with a source: its end is what waits.
void source_destroyed_when_seen() {
    auto source = std::make_unique<weft::stop_source>();
    auto requests = [&source = *source] { source.request_stop(); };
    model::thread requester(requests);
    if (source->stop_requested()) {
        source.reset();
    }
    requester.join();
}

/// Who hears of the follower's stop finds the other state stopped.
void follower_comes_second() {
    weft::detail::stop_state hard;
    weft::detail::stop_state soft;
    auto requests = [&] {
        hard.request_stop(weft::stop_reason(weft::stop_kind::requested), &soft);
    };
    model::thread requester(requests);
    if (soft.stop_requested()) {
        model::expect(hard.stop_requested(), "a follower is stopped first");
    }
}

/// A source in memory that says nothing of a reason yet, as what an earlier execution left may do.
class source_in_blank {
public:
    source_in_blank() : source_(::new(static_cast<void*>(room_)) weft::stop_source) {}

    source_in_blank(source_in_blank const&) = delete;
    source_in_blank& operator=(source_in_blank const&) = delete;

    ~source_in_blank() { std::destroy_at(source_); }

    weft::stop_source& operator*() noexcept { return *source_; }

private:
    alignas(weft::stop_source) unsigned char room_[sizeof(weft::stop_source)] = {};
    weft::stop_source* source_;
};

/// The reason comes with the stop, also through a link.
void reason_is_seen() {
    source_in_blank blank;
    weft::stop_source& parent = *blank;
    weft::stop_source child(parent.token());
    auto asks = [&] {
        if (parent.stop_requested()) {
            model::expect(parent.token().reason().kind() == weft::stop_kind::shutdown,
                          "a stop is seen before its reason");
        }
        if (child.stop_requested()) {
            model::expect(child.token().reason().kind() == weft::stop_kind::shutdown,
                          "a stop is seen before its reason");
        }
    };
    model::thread other(asks);
    parent.request_stop(weft::stop_kind::shutdown);
}

/// The callback destroys the registration that it belongs to.
void destroyed_from_within() {
    weft::stop_source source;
    registrant owner;

    struct self_destroying {
        std::optional<weft::stop_callback<self_destroying>>* place;
        registrant* owner;

        void operator()() const {
            owner->call();
            place->reset();
        }
    };

    std::optional<weft::stop_callback<self_destroying>> place;
    place.emplace(source.token(), self_destroying{&place, &owner});
    auto requests = [&] { source.request_stop(); };
    model::thread one(requests);
    source.request_stop();
    one.join();
    model::expect(owner.calls.read() == 1, "a callback runs exactly once");
}

}  // namespace

TEST_SUITE("model/stop_token") {
    TEST_CASE("a callback never runs after its deregistration returned") {
        CHECK(model::explore("fire_against_deregister", &fire_against_deregister));
        CHECK(model::explore("two_registrants", &two_registrants, {.stale_reads = 1}));
    }

    TEST_CASE("a callback runs exactly once, with what the requester wrote before") {
        CHECK(model::explore("register_against_fire", &register_against_fire));
        CHECK(model::explore("two_requesters", &two_requesters, {.stale_reads = 1}));
        CHECK(model::explore("destroyed_from_within", &destroyed_from_within));
    }

    TEST_CASE("a stop of the parent reaches a child however late it links itself") {
        CHECK(model::explore("child_hears_of_it", &child_hears_of_it));
        CHECK(model::explore("two_link_at_once", &two_link_at_once, {.stale_reads = 1}));
    }

    TEST_CASE("whoever sees a stop sees what was written before it was requested") {
        CHECK(model::explore("two_ask_a_child", &two_ask_a_child));
        CHECK(model::explore("reason_is_seen", &reason_is_seen));
    }

    TEST_CASE("a state may die as soon as its stop is seen") {
        CHECK(model::explore("destroyed_when_seen", &destroyed_when_seen));
        CHECK(model::explore("follower_comes_second", &follower_comes_second));
        CHECK(model::explore("source_destroyed_when_seen", &source_destroyed_when_seen));
    }

    TEST_CASE("a child may die while its parent stops") {
        CHECK(model::explore("child_against_parent", &child_against_parent));
    }
}
