#include <weft/tests/model/mutation.hpp>

#include <compare>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

namespace weft::model {

namespace {

constexpr char const* order_names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};
constexpr char const* fence_names[] = {"full", "light", "heavy"};

char const* name_of(order o) noexcept {
    return order_names[static_cast<std::size_t>(o)];
}

char const* from_root(char const* path) noexcept {
    for (char const* const folder : {"/tests/", "/runtime/", "/io/", "/sync/"}) {
        if (char const* const found = std::strstr(path, folder); found != nullptr) {
            return found + 1;
        }
    }
    return path;
}

/// The place that is mutated, and the new order.
struct mutant {
    std::string file;
    unsigned line = 0;
    unsigned column = 0;
    std::string change;

    mutant() {
        char const* const wish = std::getenv("WEFT_MODEL_MUTANT");
        if (wish == nullptr) {
            return;
        }
        char path[256] = {};
        char what[32] = {};
        if (std::sscanf(wish, "%255[^:]:%u:%u:%31s", path, &line, &column, what) != 4) {
            std::fprintf(stderr, "WEFT_MODEL_MUTANT is not <file>:<line>:<column>:<change>\n");
            std::exit(2);
        }
        file = path;
        change = what;
    }

    [[nodiscard]] bool is_at(site where) const noexcept {
        return where.line() == line && where.column() == column && file == file_of(where);
    }
};

mutant const& selected() noexcept {
    static mutant const instance;
    return instance;
}

/// What is done at a place, and by whom.
struct passage {
    char const* exploration;
    char const* file;
    unsigned line;
    unsigned column;
    char const* function;
    char const* operation;
    char const* order;
    char const* failure_order;  // empty but for a compare-exchange

    auto operator<=>(passage const&) const = default;
};

/// The places passed so far; written when the program ends.
struct site_list {
    char const* path = std::getenv("WEFT_MODEL_SITES");
    char const* exploration = "";
    std::set<passage> passages;

    ~site_list() {
        std::FILE* const file = path != nullptr ? std::fopen(path, "a") : nullptr;
        if (file != nullptr) {
            for (passage const& each : passages) {
                std::fprintf(file,
                             "%s:%u:%u\t%s\t%s%s%s\t%s\t%s\n",
                             from_root(each.file),
                             each.line,
                             each.column,
                             each.operation,
                             each.order,
                             each.failure_order[0] != '\0' ? "," : "",
                             each.failure_order,
                             each.function,
                             each.exploration);
            }
            std::fclose(file);
        }
    }

    void note(site where, char const* operation, char const* how, char const* failure = "") {
        passages.insert({exploration,
                         where.file_name(),
                         where.line(),
                         where.column(),
                         where.function_name(),
                         operation,
                         how,
                         failure});
    }
};

site_list& passed() noexcept {
    static site_list instance;
    return instance;
}

struct wishes {
    bool list = passed().path != nullptr;
    bool mutate = selected().line != 0;
};

wishes const& wanted() noexcept {
    static wishes const instance;
    return instance;
}

}  // namespace

void begin_exploration(char const* name) noexcept {
    passed().exploration = name;
}

char const* file_of(site where) noexcept {
    return from_root(where.file_name());
}

order mutate(order how, char const* operation, site where) noexcept {
    wishes const& wish = wanted();
    if (wish.list) [[unlikely]] {
        passed().note(where, operation, name_of(how));
    }
    if (wish.mutate && selected().is_at(where)) [[unlikely]] {
        for (std::size_t i = 0; i < std::size(order_names); ++i) {
            if (selected().change == order_names[i]) {
                return static_cast<order>(i);
            }
        }
    }
    return how;
}

exchange_orders mutate(exchange_orders how, site where) noexcept {
    wishes const& wish = wanted();
    if (wish.list) [[unlikely]] {
        passed().note(where, "compare_exchange", name_of(how.success), name_of(how.failure));
    }
    if (wish.mutate && selected().is_at(where)) [[unlikely]] {
        for (std::size_t i = 0; i < std::size(order_names); ++i) {
            if (selected().change == order_names[i]) {
                how.success = static_cast<order>(i);
            }
        }
        if (selected().change == "failure-relaxed") {
            how.failure = order::relaxed;
        }
    }
    return how;
}

fence_change mutate(fence_kind kind, site where) noexcept {
    wishes const& wish = wanted();
    if (wish.list) [[unlikely]] {
        passed().note(where, "fence", fence_names[static_cast<std::size_t>(kind)]);
    }
    if (wish.mutate && selected().is_at(where)) [[unlikely]] {
        return selected().change == "own" ? fence_change::own : fence_change::none;
    }
    return fence_change::keep;
}

}  // namespace weft::model
