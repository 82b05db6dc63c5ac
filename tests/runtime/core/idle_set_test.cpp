#include <weft/runtime/core/idle_set.hpp>

#include <doctest/doctest.h>

namespace {

using weft::detail::idle_set;
using weft::detail::supply;

}  // namespace

TEST_SUITE("runtime/core/idle_set") {
    TEST_CASE("nobody is wanted while all workers are awake") {
        idle_set idle(2);
        CHECK(!idle.wanted());
        CHECK(idle.pick() == idle_set::nobody);
    }

    TEST_CASE("the worker that fell asleep last is picked, and counts as searching from then on") {
        idle_set idle(3);
        idle.begin_sleep(0, false);
        idle.begin_sleep(2, false);
        CHECK(idle.wanted());
        CHECK(idle.pick() == 2);
        CHECK(!idle.wanted());
        CHECK(idle.pick() == idle_set::nobody);
        CHECK(idle.end_sleep(2));
        CHECK(idle.end_search());
        CHECK(idle.wanted());
        CHECK(idle.pick() == 0);
    }

    TEST_CASE("a worker that wakes by itself leaves the list and does not count as searching") {
        idle_set idle(2);
        idle.begin_sleep(0, false);
        idle.begin_sleep(1, false);
        CHECK(!idle.end_sleep(0));
        CHECK(idle.wanted());
        CHECK(idle.pick() == 1);
        CHECK(idle.pick() == idle_set::nobody);
    }

    TEST_CASE("at most half of the workers search at a time") {
        idle_set idle(4);
        CHECK(idle.begin_search());
        CHECK(idle.begin_search());
        CHECK(!idle.begin_search());
    }

    TEST_CASE("the last searcher that found work wakes a successor, if somebody sleeps") {
        idle_set idle(4);
        CHECK(idle.begin_search());
        CHECK(idle.begin_search());
        CHECK(!idle.end_search());
        CHECK(!idle.end_search());
        CHECK(idle.begin_search());
        idle.begin_sleep(3, false);
        CHECK(idle.end_search());
    }

    TEST_CASE("the last searcher looks again where it has found nothing, if somebody sleeps") {
        idle_set idle(4);
        int looks = 0;
        auto const empty = [&] {
            ++looks;
            return supply::none;
        };
        auto const full = [&] {
            ++looks;
            return supply::one;
        };
        CHECK(idle.begin_search());
        CHECK(idle.end_search(full) == supply::none);
        CHECK(looks == 0);
        idle.begin_sleep(3, false);
        CHECK(idle.begin_search());
        CHECK(idle.end_search(full) == supply::one);
        CHECK(looks == 1);
        CHECK(idle.begin_search());
        CHECK(idle.end_search(empty) == supply::none);
        CHECK(looks == 3);
    }

    TEST_CASE("a sleeper that sees work stays down while enough others search for it") {
        idle_set idle(2);
        idle.begin_sleep(1, false);
        CHECK(idle.begin_search());
        CHECK(!idle.rise(1, false));
        CHECK(idle.end_search());
        CHECK(idle.rise(1, false));
        CHECK(!idle.wanted());
    }

    TEST_CASE("a sleeper that sees work it is certain to find gets up") {
        idle_set idle(2);
        idle.begin_sleep(1, false);
        CHECK(idle.begin_search());
        CHECK(idle.rise(1, true));
    }

    TEST_CASE("a sleeper that was picked meanwhile is up and searches") {
        idle_set idle(2);
        idle.begin_sleep(1, false);
        CHECK(idle.pick() == 1);
        CHECK(idle.rise(1, false));
        CHECK(!idle.end_search());
    }

    TEST_CASE("a single item wakes nobody while one sleeper watches") {
        idle_set idle(3);
        CHECK(!idle.begin_sleep(0, false));
        CHECK(idle.wanted_for_one());
        CHECK(idle.begin_sleep(1, false, true));
        CHECK(!idle.begin_sleep(2, false, true));
        CHECK(idle.is_watched());
        CHECK(!idle.wanted_for_one());
        CHECK(idle.wanted());
        CHECK(!idle.end_sleep(1));
        CHECK(!idle.is_watched());
        CHECK(idle.wanted_for_one());
    }

    TEST_CASE("the watch ends when its keeper is picked or rises") {
        idle_set idle(2);
        CHECK(idle.begin_sleep(0, false, true));
        CHECK(idle.pick() == 0);
        CHECK(!idle.is_watched());
        idle.begin_sleep(0, true);
        CHECK(idle.begin_sleep(1, false, true));
        CHECK(idle.rise(1, false));
        CHECK(!idle.is_watched());
        CHECK(idle.end_search());
        CHECK(idle.wanted_for_one());
    }

    TEST_CASE("whoever ends a watch looks for single items, if somebody sleeps who would not") {
        idle_set idle(3);
        auto const look = [] { return supply::one; };
        CHECK(idle.begin_sleep(0, false, true));
        CHECK(!idle.end_sleep(0));
        CHECK(idle.end_watch(look) == supply::none);
        idle.begin_sleep(1, false);
        CHECK(idle.end_watch(look) == supply::one);
        CHECK(idle.begin_search());
        CHECK(idle.end_watch(look) == supply::none);
    }

    TEST_CASE("no one is woken while a searcher is awake") {
        idle_set idle(2);
        idle.begin_sleep(1, false);
        CHECK(idle.begin_search());
        CHECK(!idle.wanted());
        CHECK(idle.end_search());
        CHECK(idle.wanted());
    }

    TEST_CASE("a searcher that falls asleep does not count as searching") {
        idle_set idle(2);
        CHECK(idle.begin_search());
        idle.begin_sleep(0, true);
        CHECK(idle.wanted());
        CHECK(idle.pick() == 0);
    }
}
