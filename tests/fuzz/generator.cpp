#include <weft/tests/fuzz/generator.hpp>

#include <weft/tests/support/seed.hpp>

#include <algorithm>
#include <charconv>
#include <utility>

namespace weft::fuzz {
namespace {

constexpr unsigned depth_most = 7;
constexpr std::uint32_t time_most_us = 1'000'000;

bool is_in(kind what, std::vector<kind> const& above) {
    return std::find(above.begin(), above.end(), what) != above.end();
}

/// The work of one flight is awaited by others: one that waits for itself waits for ever. A select
/// that waits for a condition holds its mutex until its branches have ended: none of them may need
/// that to unwind.
bool nests_badly(kind what, std::vector<kind> const& above) {
    return (what == kind::single_flight && is_in(kind::single_flight, above)) ||
           (what == kind::condition &&
            (is_in(kind::select, above) || is_in(kind::single_flight, above)));
}

class generator {
public:
    generator(std::uint64_t seed, family belongs_to, unsigned size)
        : random_(seed)
        , left_(size)
        , leaves_(kinds(belongs_to, true))
        , inner_(kinds(belongs_to, false)) {
        if (belongs_to >= family::mixed && random_.one_in(2)) {
            keep_few_leaves();
        }
    }

    node make(unsigned depth = 0) {
        node made;
        left_ -= left_ == 0 ? 0 : 1;
        bool const is_leaf = left_ < 2 || depth >= depth_most || (depth > 1 && random_.one_in(4));
        made.what = pick(is_leaf ? leaves_ : inner_);
        kind_traits const& traits = traits_of(made.what);
        std::size_t count = traits.children_least;
        if (traits.children_most > count) {
            count += random_.below(traits.children_most - count + 1);
        }
        above_.push_back(made.what);
        for (std::size_t i = 0; i != count; ++i) {
            made.children.push_back(make(depth + 1));
        }
        above_.pop_back();
        set_numbers(made);
        return made;
    }

    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }

private:
    [[nodiscard]] static std::vector<kind> kinds(family belongs_to, bool leaves) {
        std::vector<kind> found;
        for (std::size_t i = 0; i != kind_count; ++i) {
            auto const what = static_cast<kind>(i);
            kind_traits const& traits = traits_of(what);
            if (traits.belongs_to <= belongs_to && (traits.children_most == 0) == leaves) {
                found.push_back(what);
            }
        }
        if (leaves && belongs_to != family::timeless) {
            found.insert(found.end(), {kind::sleep, kind::sleep, kind::sleep_error});
        }
        if (leaves && belongs_to == family::timed) {
            found.insert(found.end(), 12, kind::sleep);
            found.insert(found.end(), 3, kind::sleep_error);
        }
        return found;
    }

    /// Few kinds meet each other more often.
    void keep_few_leaves() {
        constexpr std::size_t kept = 4;
        for (std::size_t i = 0; i != kept; ++i) {
            std::swap(leaves_[i], leaves_[i + random_.below(leaves_.size() - i)]);
        }
        leaves_.resize(kept);
        leaves_.push_back(kind::sleep);
    }

    kind pick(std::vector<kind> const& from) {
        for (;;) {
            kind const what = from[random_.below(from.size())];
            if (!nests_badly(what, above_)) {
                return what;
            }
        }
    }

    std::uint32_t from_to(std::uint32_t first, std::uint32_t last) {
        return first + static_cast<std::uint32_t>(random_.below(last - first + 1));
    }

    /// Short ones and long ones.
    std::uint32_t some_time() {
        return random_.one_in(2) ? from_to(1, time_most_us) : from_to(1, time_most_us / 20);
    }

    void set_numbers(node& made) {
        made.a = from_to(0, 11);
        made.b = from_to(0, 999);
        switch (made.what) {
            case kind::value:
                made.a = from_to(0, 999);
                break;
            case kind::error:
            case kind::odd_error:
                made.a = from_to(1, 9);
                break;
            case kind::flaky:
                made.a = from_to(1, 9);
                made.b = from_to(1, 3);
                break;
            case kind::sleep_error:
                made.a = some_time();
                made.b = from_to(1, 9);
                break;
            case kind::yields:
                made.a = from_to(1, 5);
                break;
            case kind::as_completed:
                made.a = from_to(1, static_cast<std::uint32_t>(made.children.size()) + 1);
                break;
            case kind::for_each:
            case kind::map:
            case kind::map_unordered:
            case kind::map_reduce:
            case kind::batches:
            case kind::gated:
                made.a = from_to(1, 3);
                break;
            case kind::retry:
            case kind::hedge:
            case kind::pipeline:
                made.a = from_to(1, 4);
                made.b = from_to(1, 200'000);
                break;
            default:
                set_shared_numbers(made);
                break;
        }
    }

    void set_shared_numbers(node& made) {
        switch (made.what) {
            case kind::send:
            case kind::send_many:
            case kind::try_send:
            case kind::recv:
            case kind::recv_many:
            case kind::try_recv:
                made.a = from_to(0, 2 * channel_count - 1);
                made.b = from_to(1, 4);
                break;
            case kind::publish:
            case kind::subscribe:
                made.b = from_to(1, 5);
                break;
            case kind::pipe:
            case kind::condition:
                made.b = from_to(0, 4);
                break;
            case kind::oneshot:
                made.a = some_time();
                break;
            case kind::close:
                made.a = from_to(0, channel_count - 1);
                made.b = some_time();
                break;
            case kind::lock:
            case kind::try_lock:
            case kind::read:
            case kind::write:
            case kind::acquire:
            case kind::signal:
            case kind::reset_signal:
            case kind::count_down:
            case kind::notify:
            case kind::blocking:
                made.b = some_time();
                break;
            case kind::select:
                made.a = is_in(kind::select, above_) && made.a % 9 == 4 ? 5 : made.a;
                made.b = some_time();
                break;
            default:
                if (made.what == kind::sleep || made.what >= kind::scope) {
                    made.a = made.what == kind::as_result || made.what == kind::hold ||
                                     made.what == kind::limiter || made.what == kind::single_flight
                                 ? made.a
                                 : some_time();
                }
                if (made.what == kind::soft_stop) {
                    made.b = random_.one_in(4) ? 0 : some_time();
                }
                break;
        }
    }

    test::random_numbers random_;
    unsigned left_;
    std::vector<kind> leaves_;
    std::vector<kind> inner_;
    std::vector<kind> above_;
};

family family_of(setting where, std::uint64_t lot) {
    switch (where) {
        case setting::virtual_time:
            return lot < 5 ? family::timed : lot < 6 ? family::timeless : family::mixed;
        case setting::pool:
            return lot < 1 ? family::timeless : family::mixed;
        case setting::sockets:
            break;
    }
    return lot < 3 ? family::mixed : family::socket;
}

unsigned number_in(std::string_view text) {
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

bool apply(cut const& one, node& root) {
    if (root.id == one.node) {
        if (one.child >= 0 && static_cast<std::size_t>(one.child) < root.children.size()) {
            node child = std::move(root.children[static_cast<std::size_t>(one.child)]);
            root = std::move(child);
        } else {
            root.what = kind::value;
            root.a = 1;
            root.children.clear();
        }
        return true;
    }
    return std::any_of(root.children.begin(), root.children.end(), [&one](node& each) {
        return apply(one, each);
    });
}

}  // namespace

program make_program(std::uint64_t seed, setting where, unsigned size) {
    test::random_numbers lots(seed ^ 0x5eed);
    program made;
    made.seed = seed;
    made.belongs_to = family_of(where, lots.below(10));
    unsigned const nodes = 2 + static_cast<unsigned>(lots.below(size));
    generator trees(seed, made.belongs_to, nodes);
    made.root = trees.make();
    number_nodes(made.root);
    if (lots.one_in(2)) {
        made.stop_us = static_cast<std::int64_t>(1 + lots.below(time_most_us));
    }
    made.workers = 1 + static_cast<unsigned>(lots.below(5));
    return made;
}

std::vector<cut> parse_cuts(std::string_view text) {
    std::vector<cut> cuts;
    while (!text.empty()) {
        std::size_t const end = std::min(text.find(','), text.size());
        std::string_view const word = text.substr(0, end);
        cut one;
        one.node = number_in(word);
        if (std::size_t const dot = word.find('.'); dot != std::string_view::npos) {
            one.child = static_cast<int>(number_in(word.substr(dot + 1)));
        }
        cuts.push_back(one);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return cuts;
}

std::string text_of(std::vector<cut> const& cuts) {
    std::string text;
    for (cut const& each : cuts) {
        text += (text.empty() ? "" : ",") + std::to_string(each.node);
        if (each.child >= 0) {
            text += '.' + std::to_string(each.child);
        }
    }
    return text;
}

void apply(std::vector<cut> const& cuts, node& root) {
    for (cut const& each : cuts) {
        (void)apply(each, root);
    }
}

}  // namespace weft::fuzz
