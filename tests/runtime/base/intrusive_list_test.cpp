#include <weft/runtime/base/intrusive_list.hpp>

#include <weft/tests/support/death.hpp>
#include <weft/tests/support/seed.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace {

using weft::detail::intrusive_list;
using weft::detail::intrusive_list_hook;

struct node : intrusive_list_hook<node> {};

using list = intrusive_list<node>;

struct first_tag;
struct second_tag;

struct two_hooks : intrusive_list_hook<two_hooks, first_tag>,
                   intrusive_list_hook<two_hooks, second_tag> {};

/// The nodes from front to back.
std::vector<node*> contents(list& nodes) {
    std::vector<node*> found;
    for (node* each = nodes.front(); each != nullptr; each = nodes.after(*each)) {
        found.push_back(each);
    }
    return found;
}

void drain(list& nodes) {
    while (nodes.pop_front() != nullptr) {
    }
}

}  // namespace

TEST_SUITE("runtime/base/intrusive_list") {
    TEST_CASE("an empty list has no front and pops nothing") {
        list nodes;
        CHECK(nodes.empty());
        CHECK(nodes.front() == nullptr);
        CHECK(nodes.pop_front() == nullptr);
    }

    TEST_CASE("nodes stand in the order in which they were put at the ends") {
        list nodes;
        node a;
        node b;
        node c;
        nodes.push_back(b);
        nodes.push_back(c);
        nodes.push_front(a);
        CHECK(contents(nodes) == std::vector{&a, &b, &c});
        CHECK(nodes.pop_front() == &a);
        CHECK(!a.is_linked());
        CHECK(b.is_linked());
        drain(nodes);
        CHECK(nodes.empty());
    }

    TEST_CASE("a node leaves from any place without its list") {
        for (std::size_t const leaving : {std::size_t{0}, std::size_t{1}, std::size_t{2}}) {
            list nodes;
            node members[3];
            std::vector<node*> expected;
            for (node& each : members) {
                nodes.push_back(each);
                expected.push_back(&each);
            }
            members[leaving].unlink();
            CHECK(!members[leaving].is_linked());
            std::erase(expected, &members[leaving]);
            CHECK(contents(nodes) == expected);
            nodes.push_back(members[leaving]);
            expected.push_back(&members[leaving]);
            CHECK(contents(nodes) == expected);
            drain(nodes);
        }
    }

    TEST_CASE("a splice moves all nodes behind the others, and empty lists change nothing") {
        list target;
        list source;
        node a;
        node b;
        node c;
        target.splice_back(source);
        CHECK(target.empty());
        source.push_back(a);
        source.push_back(b);
        target.splice_back(source);
        CHECK(source.empty());
        CHECK(contents(target) == std::vector{&a, &b});
        source.push_back(c);
        target.splice_back(source);
        target.splice_back(source);
        CHECK(contents(target) == std::vector{&a, &b, &c});
        b.unlink();
        CHECK(contents(target) == std::vector{&a, &c});
        drain(target);
    }

    TEST_CASE("a node with two hooks stands in two lists at once") {
        intrusive_list<two_hooks, first_tag> first;
        intrusive_list<two_hooks, second_tag> second;
        two_hooks both;
        two_hooks other;
        first.push_back(both);
        second.push_back(other);
        second.push_back(both);
        CHECK(first.pop_front() == &both);
        CHECK(second.pop_front() == &other);
        CHECK(second.pop_front() == &both);
        CHECK(second.empty());
    }

    TEST_CASE("the list agrees with a deque over random operations") {
        auto const seed = weft::test::fresh_seed();
        CAPTURE(seed);
        weft::test::random_numbers random(seed);
        list nodes;
        std::deque<node*> model;
        std::vector<node> all(16);
        for (int step = 0; step < 10'000; ++step) {
            node& chosen = all[random.below(all.size())];
            if (chosen.is_linked()) {
                chosen.unlink();
                model.erase(std::find(model.begin(), model.end(), &chosen));
            } else if (random.one_in(2)) {
                nodes.push_back(chosen);
                model.push_back(&chosen);
            } else {
                nodes.push_front(chosen);
                model.push_front(&chosen);
            }
            CHECK(std::ranges::equal(contents(nodes), model));
        }
        drain(nodes);
    }

#if WEFT_ASSERTS
    TEST_CASE("a node that is destroyed, linked or unlinked in the wrong state aborts") {
        auto const aborts_with = [](auto function, char const* message) {
            auto const seen = weft::test::death_of(function);
            CHECK(seen.signal == SIGABRT);
            CHECK(seen.text.find(message) != std::string::npos);
        };
        aborts_with([] { node().unlink(); }, "a node that is in no list is unlinked");
        aborts_with(
            [] {
                list one;
                list other;
                node both;
                one.push_back(both);
                other.push_back(both);
            },
            "a node is put into two lists");
        aborts_with(
            [] {
                list nodes;
                node leaves_too_early;
                nodes.push_back(leaves_too_early);
            },
            "a node is destroyed while in a list");
        aborts_with(
            [] {
                node outlives;
                list nodes;
                nodes.push_back(outlives);
            },
            "a list with nodes is destroyed");
    }
#endif
}
