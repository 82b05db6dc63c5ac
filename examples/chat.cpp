// A chat room: what one client says, all hear. A client that reads too slowly is dropped, and holds
// nobody up. Run: chat [PORT], and talk to it with `nc localhost PORT`; or: chat --self-test
#include <weft/weft.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace {

using namespace std::chrono_literals;
using line = std::shared_ptr<std::string const>;  // one copy for the whole room

struct chat_room {
    weft::broadcast<line> said{256};
    weft::watch<int> dropped{0};
};

weft::task<> write(weft::tcp_stream& peer, line text) {
    co_await peer.write_all(*text);
}

// Ends when the client is too slow: it missed lines, or takes none for a while.
weft::task<> speak(weft::tcp_stream& peer, weft::broadcast_receiver<line> said, chat_room& room) {
    while (auto next = co_await said.recv()) {
        auto const written =
            co_await (weft::timeout(500ms, write(peer, std::move(*next))) | weft::as_result);
        if (!written || said.missed() != 0) {
            (void)room.dropped.send(room.dropped.get() + 1);
            co_return;
        }
    }
}

weft::task<> listen(weft::tcp_stream& peer, chat_room& room) {
    std::array<char, 4096> data;
    std::string text;
    while (std::size_t const count = co_await peer.read_some(data)) {
        text.append(data.data(), count);
        if (text.size() > std::size_t{256} * 1024) {
            co_return;  // a line without an end
        }
        for (std::size_t end = 0; (end = text.find('\n')) != std::string::npos;) {
            (void)room.said.send(std::make_shared<std::string const>(text.substr(0, end + 1)));
            text.erase(0, end + 1);
        }
    }
}

// Whichever ends first, listening or speaking, ends the session; so does a broken connection.
weft::task<> converse(weft::tcp_stream& peer, chat_room& room) {
    (void)co_await weft::select(listen(peer, room), speak(peer, room.said.subscribe(), room));
}

weft::task<> serve(weft::tcp_stream peer, chat_room& room) {
    (void)co_await (converse(peer, room) | weft::as_result);
}

weft::task<> accept_clients(weft::tcp_listener& listener, chat_room& room) {
    auto body = [&](weft::nursery& sessions) -> weft::task<> {
        for (;;) {
            sessions.spawn(serve(co_await listener.accept(), room));
        }
    };
    co_await weft::supervisor_scope(body);  // no session ends the others
}

// Says something and waits until it hears that, again and again.
weft::task<> chatter(weft::address where, std::string text, std::uint64_t times) {
    weft::tcp_stream room = co_await weft::tcp_stream::connect(where);
    std::string heard(text.size(), '\0');
    for (std::uint64_t i = 0; i < times; ++i) {
        co_await room.write_all(text);
        co_await room.read_exact(heard);
    }
}

// A client that never reads is dropped, while another one chats.
weft::task<bool> self_test(weft::tcp_listener& listener, chat_room& room) {
    weft::tcp_stream silent = co_await weft::tcp_stream::connect(listener.local_address());
    while (room.said.receiver_count() == 0) {
        co_await weft::yield();  // until the room has noticed it
    }
    auto drops = room.dropped.subscribe();
    (void)co_await drops.recv();  // the number so far
    auto won = co_await weft::select(drops.recv(),
                                     chatter(listener.local_address(),
                                             std::string(std::size_t{64} * 1024, 'x') + '\n',
                                             ~std::uint64_t{0}),
                                     weft::sleep_for(60s));
    std::printf("%s\n", won.index() == 0 ? "the slow reader was dropped" : "nobody was dropped");
    co_return won.index() == 0;
}

weft::task<bool> run(bool is_test, std::uint16_t port) {
    chat_room room;
    weft::tcp_listener listener(is_test ? weft::address::loopback_v4(0)
                                        : weft::address::any_v4(port));
    if (!is_test) {
        std::fprintf(stderr, "chatting on %s\n", listener.local_address().to_string().c_str());
        co_await accept_clients(listener, room);
    }
    auto won = co_await weft::select(self_test(listener, room), accept_clients(listener, room));
    co_return won.index() == 0 && won.get<0>();
}

}  // namespace

int main(int argc, char** argv) {
    bool const is_test = argc > 1 && std::string_view(argv[1]) == "--self-test";
    int const port = argc > 1 && !is_test ? std::atoi(argv[1]) : 7778;
    weft::runtime runtime;
    return runtime.block_on(run(is_test, static_cast<std::uint16_t>(port))) ? 0 : 1;
}
