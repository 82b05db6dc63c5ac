// Fetches pages at the same time from a server of its own, of which one hangs up and one never
// answers: what can be had arrives, and the errors are told.
// Run: parallel_fetch

#include <weft/runtime/join/first_success.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/ranges/map.hpp>
#include <weft/weft.hpp>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

// --- a server that is not always well ---------------------------------------------

weft::task<> answer(weft::tcp_stream client) {
    std::string path;
    char block[64];
    while (path.empty() || path.back() != '\n') {
        std::size_t const count = co_await client.read_some(block);
        if (count == 0 || path.size() > 1024) {
            co_return;
        }
        path.append(block, count);
    }
    path.pop_back();
    if (path == "/broken") {
        co_return;
    }
    if (path == "/slow") {
        co_await weft::sleep_for(24h);
    }
    std::string const page = "this is " + path;
    co_await client.write_all(page);
}

weft::task<> serve(weft::tcp_listener& listener) {
    auto accept_all = [&listener](weft::nursery& clients) -> weft::task<> {
        for (;;) {
            weft::tcp_stream client = co_await listener.accept();
            clients.spawn(answer(std::move(client)));
        }
    };
    co_await weft::supervisor_scope(accept_all);  // whose clients may break off
}

// --- its clients --------------------------------------------------------------------

weft::task<std::string> fetch(weft::address where, std::string path) {
    weft::tcp_stream server = co_await weft::tcp_stream::connect(where);
    std::string const request = path + '\n';
    co_await server.write_all(request);
    std::string page;
    char block[64];
    while (std::size_t const count = co_await server.read_some(block)) {
        page.append(block, count);
    }
    if (page.empty()) {
        throw std::system_error(make_error_code(weft::errc::unexpected_eof));
    }
    co_return page;
}

/// The page or the error, within a limit: a failure here stops nobody else.
weft::task<weft::result<std::string>> try_fetch(weft::address where, std::string path) {
    auto const limit = path == "/slow" ? 50ms : 5s;
    auto page = co_await (weft::timeout(limit, fetch(where, path)) | weft::as_result);
    co_return page;
}

void print(char const* path, weft::result<std::string> const& page) {
    std::printf("%s: %s\n", path, page ? page->c_str() : page.error().message().c_str());
}

weft::task<> fetch_all(weft::address where) {
    auto const [news, broken, slow] = co_await weft::when_all(
        try_fetch(where, "/news"), try_fetch(where, "/broken"), try_fetch(where, "/slow"));
    print("/news", news);
    print("/broken", broken);
    print("/slow", slow);

    // Mirrors: whoever has it first; the others are stopped.
    auto const page = co_await weft::first_success(
        fetch(where, "/broken"), fetch(where, "/mirror"), fetch(where, "/slow"));
    std::printf("first success: %s\n", page.c_str());

    // Many pages, four at a time, in order.
    std::vector<std::string> const paths = {"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"};
    auto fetch_one = [where](std::string const& path) { return fetch(where, path); };
    std::vector<std::string> const pages = co_await weft::map(paths, fetch_one, {.limit = 4});
    std::printf("%zu pages, the last: %s\n", pages.size(), pages.back().c_str());
}

weft::task<> serve_and_fetch() {
    weft::tcp_listener listener(weft::address::loopback_v4(0));
    co_await weft::race(serve(listener), fetch_all(listener.local_address()));
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(serve_and_fetch());
}
