#include <weft/tests/fuzz/program.hpp>

#include <algorithm>
#include <array>

namespace weft::fuzz {
namespace {

constexpr std::uint8_t many = 5;

constexpr std::array<kind_traits, kind_count> all_traits = {{
    {"value", family::timeless, 0, 0},
    {"error", family::timeless, 0, 0},
    {"odd_error", family::timeless, 0, 0},
    {"flaky", family::timeless, 0, 0},
    {"sleep", family::timed, 0, 0},
    {"sleep_error", family::timed, 0, 0},
    {"yields", family::timeless, 0, 0},
    {"stop_point", family::timed, 0, 0},
    {"lock", family::mixed, 0, 0},
    {"try_lock", family::mixed, 0, 0},
    {"read", family::mixed, 0, 0},
    {"write", family::mixed, 0, 0},
    {"acquire", family::mixed, 0, 0},
    {"send", family::mixed, 0, 0},
    {"send_many", family::mixed, 0, 0},
    {"try_send", family::mixed, 0, 0},
    {"recv", family::mixed, 0, 0},
    {"recv_many", family::mixed, 0, 0},
    {"try_recv", family::mixed, 0, 0},
    {"close", family::mixed, 0, 0},
    {"publish", family::mixed, 0, 0},
    {"subscribe", family::mixed, 0, 0},
    {"oneshot", family::mixed, 0, 0},
    {"pipe", family::mixed, 0, 0},
    {"signal", family::mixed, 0, 0},
    {"await_signal", family::mixed, 0, 0},
    {"reset_signal", family::mixed, 0, 0},
    {"count_down", family::mixed, 0, 0},
    {"await_latch", family::mixed, 0, 0},
    {"arrive", family::mixed, 0, 0},
    {"notify", family::mixed, 0, 0},
    {"condition", family::mixed, 0, 0},
    {"call_once", family::mixed, 1, 1},
    {"get_lazy", family::mixed, 0, 0},
    {"blocking", family::mixed, 0, 0},
    {"select", family::mixed, 2, 2},
    {"exchange", family::socket, 0, 0},
    {"short_read", family::socket, 0, 0},
    {"cut_off", family::socket, 0, 0},
    {"closing", family::socket, 0, 0},
    {"accepting", family::socket, 0, 0},
    {"calling", family::socket, 0, 0},
    {"read_select", family::socket, 1, 1},
    {"sequence", family::timeless, 1, many},
    {"when_all", family::timeless, 1, many},
    {"when_all_pair", family::timeless, 2, 2},
    {"all_settled", family::timeless, 1, many},
    {"all_settled_pair", family::timeless, 2, 2},
    {"when_any", family::timed, 1, many},
    {"race", family::timed, 1, many},
    {"first_success", family::timed, 1, many},
    {"as_completed", family::timed, 1, many},
    {"for_each", family::timed, 1, many},
    {"map", family::timed, 1, many},
    {"map_unordered", family::timed, 1, many},
    {"map_reduce", family::timed, 1, many},
    {"batches", family::timed, 1, many},
    {"scope", family::timed, 1, many},
    {"supervisor", family::timed, 1, many},
    {"handles", family::timed, 1, many},
    {"stop_handle", family::timed, 1, 1},
    {"stop_scope", family::timed, 1, 1},
    {"soft_stop", family::timed, 1, 1},
    {"until_soft", family::timed, 1, 1},
    {"with_token", family::timed, 1, 1},
    {"timeout", family::timed, 1, 1},
    {"deadline", family::timed, 1, 1},
    {"shielded", family::timed, 1, 1},
    {"finally", family::timeless, 2, 2},
    {"defer", family::timed, 2, 3},
    {"as_result", family::timeless, 1, 1},
    {"hold", family::mixed, 1, 1},
    {"remote_spawn", family::mixed, 1, many},
    {"gated", family::mixed, 1, many},
    {"retry", family::timed, 1, 1},
    {"fallback", family::timed, 2, 2},
    {"hedge", family::mixed, 1, 1},
    {"breaker", family::mixed, 1, 1},
    {"bulkhead", family::mixed, 1, 1},
    {"limiter", family::mixed, 1, 1},
    {"debounce", family::mixed, 1, 1},
    {"throttle", family::mixed, 1, 1},
    {"single_flight", family::mixed, 1, 1},
    {"time_limit", family::timed, 1, 1},
    {"pipeline", family::mixed, 1, 1},
}};

void add_text(node const& from, std::size_t depth, std::string& text) {
    text.append(2 * depth, ' ');
    text += '#' + std::to_string(from.id) + ' ';
    text += traits_of(from.what).name;
    text += ' ' + std::to_string(from.a) + ' ' + std::to_string(from.b) + '\n';
    for (node const& each : from.children) {
        add_text(each, depth + 1, text);
    }
}

void list_below(node& from, std::vector<node*>& list) {
    list.push_back(&from);
    for (node& each : from.children) {
        list_below(each, list);
    }
}

}  // namespace

kind_traits const& traits_of(kind what) noexcept {
    return all_traits[static_cast<std::size_t>(what)];
}

std::vector<node*> list_nodes(node& root) {
    std::vector<node*> list;
    list_below(root, list);
    return list;
}

unsigned number_nodes(node& root) {
    unsigned next = 0;
    for (node* const each : list_nodes(root)) {
        each->id = next++;
    }
    return next;
}

std::string text_of(node const& root) {
    std::string text;
    add_text(root, 1, text);
    return text;
}

bool contains(node const& root, std::span<kind const> kinds) {
    return std::find(kinds.begin(), kinds.end(), root.what) != kinds.end() ||
           std::any_of(root.children.begin(), root.children.end(), [kinds](node const& each) {
               return contains(each, kinds);
           });
}

}  // namespace weft::fuzz
