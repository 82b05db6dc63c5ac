#include <weft/io/ring/uring_options.hpp>

#include <iterator>

namespace weft::detail {

namespace {

constexpr std::string_view feature_names[] = {
    "single_issuer",
    "defer_taskrun",
    "coop_taskrun",
    "taskrun_flag",
    "submit_all",
    "no_sqarray",
    "ext_arg",
    "no_iowait",
    "registered_ring_fd",
    "poll_first",
    "multishot_poll",
};
static_assert(std::size(feature_names) == uring_feature_count);
static_assert(static_cast<unsigned>(uring_feature::multishot_poll) + 1 == uring_feature_count);

constexpr std::string_view blanks = " \t";

[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept {
    auto const first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Takes the feature out of `features`; false when there is none of that name.
[[nodiscard]] bool remove_named(uring_features& features, std::string_view name) noexcept {
    for (unsigned i = 0; i < uring_feature_count; ++i) {
        if (feature_names[i] == name) {
            features.remove(static_cast<uring_feature>(i));
            return true;
        }
    }
    return false;
}

}  // namespace

std::string_view name_of(uring_feature feature) noexcept {
    return feature_names[static_cast<unsigned>(feature)];
}

std::string uring_features::names() const {
    std::string text;
    for (unsigned i = 0; i < uring_feature_count; ++i) {
        if (has(static_cast<uring_feature>(i))) {
            text.append(text.empty() ? "" : " ").append(feature_names[i]);
        }
    }
    return text;
}

std::string uring_options::disable(std::string_view list) {
    std::string unknown;
    while (!list.empty()) {
        auto const comma = list.find(',');
        auto const name = trimmed(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        if (!name.empty() && !remove_named(allowed, name)) {
            unknown.append(unknown.empty() ? "" : ",").append(name);
        }
    }
    return unknown;
}

}  // namespace weft::detail
