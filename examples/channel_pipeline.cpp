// A pipeline with backpressure: socket → parse → work → file. The writer is slow, so every channel
// fills up, the reader stops reading, the peer's writes wait, and memory stays flat, however much
// there is to come. Run: channel_pipeline; under a sanitizer memory is not seen to grow.

#include <weft/weft.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <malloc.h>

namespace {

using namespace std::chrono_literals;

constexpr int line_count = 40'000;  // 5 MiB
constexpr std::size_t stage_capacity = 64;

std::size_t memory_in_use() {
    return ::mallinfo2().uordblks;
}

// The peer sends faster than anybody can write.
weft::task<> feed(weft::address where) {
    weft::tcp_stream out = co_await weft::tcp_stream::connect(where);
    for (int i = 0; i < line_count; ++i) {
        std::string const line = std::to_string(i) + ' ' + std::string(120, 'x') + '\n';
        co_await out.write_all(line);
    }
}

weft::task<> read(weft::tcp_stream peer, weft::sender<std::string> lines) {
    std::array<char, std::size_t{16} * 1024> data;
    std::string rest;
    while (std::size_t const count = co_await peer.read_some(data)) {
        rest.append(data.data(), count);
        std::size_t begin = 0;
        for (std::size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos;) {
            co_await lines.send(rest.substr(begin, end - begin));  // waits when the stage is full
            begin = end + 1;
        }
        rest.erase(0, begin);
    }
}

weft::task<> parse(weft::receiver<std::string> lines, weft::sender<std::uint64_t> numbers) {
    while (auto line = co_await lines.recv()) {
        co_await numbers.send(std::strtoull(line->c_str(), nullptr, 10));
    }
}

weft::task<> work(weft::receiver<std::uint64_t> numbers, weft::sender<std::string> results) {
    while (auto number = co_await numbers.recv()) {
        co_await results.send(std::to_string(*number * *number) + '\n');
    }
}

weft::task<int> write(weft::receiver<std::string> in, std::FILE* file, std::size_t& peak) {
    int written = 0;
    std::vector<std::string> batch;
    while (co_await in.recv_many(batch, 512) != 0) {
        for (std::string const& each : batch) {
            std::fputs(each.c_str(), file);
            ++written;
        }
        peak = std::max(peak, memory_in_use());
        batch.clear();
        if (written % 1024 < 64) {
            co_await weft::sleep_for(1ms);  // the disk is slow
        }
    }
    co_return written;
}

weft::task<int> pipeline(std::FILE* file, std::size_t& memory_peak) {
    weft::tcp_listener listener(weft::address::loopback_v4(0));
    auto [lines_in, lines_out] = weft::make_channel<std::string>(stage_capacity);
    auto [numbers_in, numbers_out] = weft::make_channel<std::uint64_t>(stage_capacity);
    auto [results_in, results_out] = weft::make_channel<std::string>(stage_capacity);
    auto const watched = results_out;  // to be asked how full it was
    int written = 0;
    auto body = [&,
                 a = std::move(lines_in),
                 b = std::move(lines_out),
                 c = std::move(numbers_in),
                 d = std::move(numbers_out),
                 e = std::move(results_in),
                 f = std::move(results_out)](weft::nursery& stages) mutable -> weft::task<> {
        stages.spawn(feed(listener.local_address()));
        weft::tcp_stream peer = co_await listener.accept();
        stages.spawn(read(std::move(peer), std::move(a)));
        stages.spawn(parse(std::move(b), std::move(c)));
        stages.spawn(work(d, e));
        stages.spawn(work(std::move(d), std::move(e)));  // two workers; order is not kept
        written = co_await write(std::move(f), file, memory_peak);
    };
    co_await weft::scope(std::move(body));
    std::printf("buffered at most: %zu of %zu\n", watched.high_water(), watched.capacity());
    co_return written;
}

}  // namespace

int main() {
    weft::runtime runtime;
    std::FILE* const file = std::tmpfile();
    std::size_t const before = memory_in_use();
    std::size_t peak = before;
    std::printf("written: %d\n", runtime.block_on(pipeline(file, peak)));
    std::printf("memory stayed flat: %s\n", peak - before < 512UL * 1024 ? "yes" : "no");
    return std::fclose(file);
}
