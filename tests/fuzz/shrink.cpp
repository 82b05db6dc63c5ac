#include <weft/tests/fuzz/shrink.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace weft::fuzz {
namespace {

struct answer {
    bool failed = false;
    std::string text;
};

answer ask(std::string const& command) {
    answer got;
    std::FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) {
        return got;
    }
    std::array<char, 4096> buffer{};
    while (std::size_t const count = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
        got.text.append(buffer.data(), count);
    }
    got.failed = ::pclose(pipe) != 0;
    return got;
}

/// The numbers in a printed tree, from above downwards.
std::vector<unsigned> nodes_in(std::string const& text) {
    std::vector<unsigned> found;
    for (std::size_t at = text.find('#'); at != std::string::npos; at = text.find('#', at + 1)) {
        found.push_back(static_cast<unsigned>(std::strtoul(text.c_str() + at + 1, nullptr, 10)));
    }
    return found;
}

}  // namespace

int shrink(std::string const& own_path, std::string const& command, unsigned tries) {
    std::string const base = "timeout 130 " + own_path + command.substr(command.find(' ')) +
                             " --repeat " + std::to_string(tries);
    std::string cuts;
    if (!ask(base).failed) {
        std::printf("does not fail\n");
        return 0;
    }
    constexpr unsigned children_tried = 3;
    for (bool is_smaller = true; is_smaller;) {
        is_smaller = false;
        std::string const cutting = cuts.empty() ? "" : " --cut " + cuts;
        for (unsigned const number : nodes_in(ask(base + cutting + " --print").text)) {
            for (int child = -1; child != static_cast<int>(children_tried); ++child) {
                std::string const one =
                    std::to_string(number) + (child < 0 ? "" : '.' + std::to_string(child));
                std::string const more = cuts.empty() ? one : cuts + ',' + one;
                std::string const before = ask(base + cutting + " --print").text;
                std::string const after = ask(base + " --cut " + more + " --print").text;
                if (after.size() >= before.size() || !ask(base + " --cut " + more).failed) {
                    continue;
                }
                cuts = more;
                is_smaller = true;
                break;
            }
            if (is_smaller) {
                break;
            }
        }
    }
    answer const last = ask(base + (cuts.empty() ? "" : " --cut " + cuts));
    std::printf("%s", last.text.c_str());
    return 1;
}

}  // namespace weft::fuzz
