#pragma once

// What the programs that make blocking calls share, whichever library they use: the command line,
// a temporary folder of small files, and the right answers.

#include <weft/bench/baseline/options.hpp>
#include <weft/bench/forkjoin/harness.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace baseline {

struct blocking_options {
    forkjoin::options run;  // `size` counts the calls
    unsigned threads = 2;   // that make the calls, beside the workers
};

/// `size` is the number of calls where the command line names none.
inline blocking_options read_blocking_options(int argc, char** argv, std::uint64_t size) {
    blocking_options chosen;
    chosen.run.size = size;
    auto const* const usage = "[--workers N] [--threads N] [--repetitions N] [--size N]";
    read_options(argc, argv, usage, [&](std::string_view name, std::string_view text) {
        if (name == "--size") {
            return read_number<std::uint64_t>(text, 1, 10'000'000, chosen.run.size);
        }
        unsigned* const target = name == "--workers"       ? &chosen.run.workers
                                 : name == "--threads"     ? &chosen.threads
                                 : name == "--repetitions" ? &chosen.run.repetitions
                                                           : nullptr;
        return target != nullptr && read_number(text, 1U, 1'000U, *target);
    });
    return chosen;
}

/// What calls that give their own numbers add up to.
inline std::uint64_t sum_below(std::uint64_t count) {
    return count * (count - 1) / 2;
}

/// How many calls are under way at once where files are hashed.
inline constexpr std::size_t calls_at_once = 64;

class hash {
public:
    void add(char const* bytes, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            state_ = (state_ ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3U;
        }
    }

    [[nodiscard]] std::uint64_t value() const { return state_; }

private:
    std::uint64_t state_ = 0xcbf29ce484222325U;
};

/// Small files in a temporary folder, which is removed with them.
class small_files {
public:
    static constexpr std::size_t file_bytes = 4096;

    explicit small_files(std::size_t count) {
        std::string folder =
            (std::filesystem::temp_directory_path() / "weft-bench-XXXXXX").string();
        if (::mkdtemp(folder.data()) == nullptr) {
            std::perror("cannot make a temporary folder");
            std::exit(1);
        }
        folder_ = folder;
        std::string content(file_bytes, 'w');
        for (std::size_t i = 0; i < count; ++i) {
            content.replace(0, 8, std::to_string(10'000'000 + i));
            paths_.push_back(folder + '/' + std::to_string(i));
            std::FILE* const file = std::fopen(paths_.back().c_str(), "wb");
            if (file == nullptr ||
                std::fwrite(content.data(), 1, content.size(), file) != content.size() ||
                std::fclose(file) != 0) {
                std::perror(paths_.back().c_str());
                std::exit(1);
            }
            hash expected;
            expected.add(content.data(), content.size());
            sum_ += expected.value();
        }
    }

    small_files(small_files const&) = delete;
    small_files& operator=(small_files const&) = delete;

    ~small_files() {
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    [[nodiscard]] std::vector<std::string> const& paths() const { return paths_; }

    /// Of the hashes of all files.
    [[nodiscard]] std::uint64_t sum() const { return sum_; }

private:
    std::filesystem::path folder_;
    std::vector<std::string> paths_;
    std::uint64_t sum_ = 0;
};

/// Reads the file with calls that block. 0 when it cannot.
inline std::uint64_t hash_of_file(std::string const& path) {
    int const file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return 0;
    }
    std::array<char, small_files::file_bytes> block;
    hash content;
    for (::ssize_t count = 0; (count = ::read(file, block.data(), block.size())) > 0;) {
        content.add(block.data(), static_cast<std::size_t>(count));
    }
    ::close(file);
    return content.value();
}

}  // namespace baseline
