// Sends each text to an echo server and prints what comes back.
// Run: echo_client 127.0.0.1:7777 hello world

#include <weft/weft.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace {

using namespace std::chrono_literals;

weft::task<std::string> ask(weft::tcp_stream& server, std::string_view question) {
    std::string answer(question.size(), '\0');
    co_await server.write_all(question);
    co_await server.read_exact(answer);
    co_return answer;
}

weft::task<bool> talk(weft::address where, std::string_view const* texts, int count) {
    weft::tcp_stream server = co_await weft::tcp_stream::connect(where);
    for (int i = 0; i < count; ++i) {
        std::string const answer = co_await weft::timeout(5s, ask(server, texts[i]));
        std::printf("%s\n", answer.c_str());
        if (answer != texts[i]) {
            co_return false;
        }
    }
    server.shutdown_write().value();
    char rest[1];
    co_return co_await server.read_some(rest) == 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: echo_client ADDRESS:PORT [TEXT]...\n");
        return 2;
    }
    try {
        std::string_view texts[64];
        int count = 0;
        for (int i = 2; i < argc && count < 64; ++i) {
            texts[count++] = argv[i];
        }
        weft::runtime runtime;
        return runtime.block_on(talk(weft::address(argv[1]), texts, count)) ? 0 : 1;
    } catch (std::exception const& error) {
        std::fprintf(stderr, "echo_client: %s\n", error.what());
        return 1;
    }
}
