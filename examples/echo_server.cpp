// Sends every byte back. Run: echo_server [PORT]; then talk to it with `nc localhost 7777`.
#include <weft/weft.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <span>

weft::task<> serve(weft::tcp_stream peer) {
    std::array<std::byte, 4096> data;
    while (std::size_t const count = co_await peer.read_some(data)) {
        co_await peer.write_all(std::span(data).first(count));
    }
}

weft::task<> listen(std::uint16_t port) {
    weft::tcp_listener listener(weft::address::any_v4(port));
    std::printf("listening on %s\n", listener.local_address().to_string().c_str());
    std::fflush(stdout);
    for (;;) {
        weft::spawn(serve(co_await listener.accept()));
    }
}

int main(int argc, char** argv) {
    weft::runtime runtime;
    runtime.block_on(listen(argc > 1 ? static_cast<std::uint16_t>(std::atoi(argv[1])) : 7777));
}
