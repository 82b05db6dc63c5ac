// Leaves on loopback connections.

#include <weft/runtime/join/when_all.hpp>
#include <weft/sync/select.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <chrono>
#include <utility>

namespace weft::fuzz {
namespace {

using namespace std::chrono_literals;

/// Two ends of one connection.
class connection {
public:
    connection(tcp_stream one, tcp_stream other) noexcept
        : near(std::move(one))
        , far(std::move(other)) {}

    tcp_stream near;
    tcp_stream far;
};

task<connection> connect() {
    tcp_listener listener(address::loopback_v4(0));
    tcp_stream near = co_await tcp_stream::connect(listener.local_address());
    tcp_stream far = co_await listener.accept();
    co_return connection(std::move(near), std::move(far));
}

/// Bytes that tell where they stand.
std::vector<unsigned char> pattern(std::size_t size) {
    std::vector<unsigned char> bytes(size);
    for (std::size_t i = 0; i != size; ++i) {
        bytes[i] = static_cast<unsigned char>(i * 7 + i / 251);
    }
    return bytes;
}

/// From a few bytes to more than the kernel takes at once.
std::size_t size_of(node const& what) {
    constexpr std::size_t sizes[] = {1, 100, 5'000, 70'000, 700'000};
    return sizes[what.a % 5];
}

task<> write_pattern(tcp_stream& to, std::size_t size) {
    std::vector<unsigned char> const bytes = pattern(size);
    co_await to.write_all(bytes);
}

task<> read_pattern(world& here, instance& self, tcp_stream& from, std::size_t size) {
    std::vector<unsigned char> bytes(size);
    if (self.what().b % 2 == 0) {
        co_await from.read_exact(bytes);
    } else {
        std::size_t got = 0;
        while (got != size) {
            std::size_t const count = co_await from.read_some(mutable_buffer(bytes).from(got));
            if (count == 0) {
                here.book.fail(self.what(), "a stream has ended that nobody had ended");
                co_return;
            }
            got += count;
        }
    }
    if (bytes != pattern(size)) {
        here.book.fail(self.what(), "other bytes came than were sent");
    }
}

work exchange_on(world& here, instance& self, connection& between) {
    std::size_t const size = size_of(self.what());
    task<> ping = write_pattern(between.near, size);
    task<> pong = write_pattern(between.far, size);
    task<> there = read_pattern(here, self, between.far, size);
    task<> back = read_pattern(here, self, between.near, size);
    (void)co_await when_all(std::move(ping), std::move(pong), std::move(there), std::move(back));
    co_return here.make(1);
}

/// The other end writes part of what is waited for, and ends the stream or resets it.
task<> write_part(connection& between, instance& self, world& here, bool resets) {
    task<> writing = write_pattern(between.far, size_of(self.what()) / 2 + 1);
    co_await std::move(writing);
    co_await weft::sleep_for(here.span(self.what().b));
    if (resets) {
        (void)between.far.set_linger(0s);
    }
    task<> closing = between.far.close();
    co_await std::move(closing);
}

task<> read_too_much(world& here, instance& self, tcp_stream& from, bool resets) {
    std::vector<unsigned char> bytes(2 * size_of(self.what()) + 3);
    result<std::size_t> const got = co_await (from.read_exact(bytes) | as_result);
    if (got.has_value()) {
        here.book.fail(self.what(), "more bytes came than were sent");
        co_return;
    }
    if (got.error() == std::errc::operation_canceled) {
        co_await this_task::stop_point();
        here.book.fail(self.what(), "a read ends as stopped, and nobody has asked for a stop");
    }
    bool const is_end = got.error() == errc::unexpected_eof;
    bool const is_reset = got.error() == std::errc::connection_reset;
    if (resets ? !is_reset : !is_end) {
        here.book.fail(
            self.what(),
            (resets ? "a reset is told as: " : "the end is told as: ") + got.error().message());
    }
}

work cut_off_on(world& here, instance& self, connection& between) {
    bool const resets = self.what().what == kind::cut_off;
    task<> writing = write_part(between, self, here, resets);
    task<> reading = read_too_much(here, self, between.near, resets);
    (void)co_await when_all(std::move(writing), std::move(reading));
    co_return here.make(1);
}

task<> read_until_closed(world& here, instance& self, tcp_stream& from) {
    std::vector<unsigned char> bytes(100);
    result<std::size_t> const got = co_await (from.read_some(bytes) | as_result);
    if (got.has_value()) {
        here.book.fail(self.what(), "a read that is closed has got something");
    } else if (got.error() != errc::closed) {
        co_await this_task::stop_point();
        here.book.fail(self.what(), "a close is told as: " + got.error().message());
    }
}

task<> close_after(world& here, tcp_stream& stream, std::uint32_t time) {
    co_await weft::sleep_for(here.span(time));
    task<> closing = stream.close();
    co_await std::move(closing);
    if (stream.is_open()) {
        here.book.fail("a stream that was closed is open");
    }
}

/// One closes what another reads from.
work closing_on(world& here, instance& self, connection& between) {
    task<> reading = read_until_closed(here, self, between.near);
    task<> closing = close_after(here, between.near, self.what().b);
    (void)co_await when_all(std::move(reading), std::move(closing));
    co_return here.make(1);
}

work select_on(world& here, instance& self, connection& between) {
    work child = run_child(here, self, 0);
    task<> writing = write_pattern(between.far, 3);
    co_await std::move(writing);
    std::vector<unsigned char> bytes(3);
    std::size_t index = 0;
    std::size_t got = 0;
    {
        auto won = co_await select(between.near.read_some(bytes),
                                   std::move(child),
                                   here.bell.wait(),
                                   weft::sleep_for(here.span(self.what().b)));
        index = won.index();
        got = index == 0 ? won.get<0>() : 0;
    }
    // What the read has not taken is there.
    std::vector<unsigned char> rest(3 - got);
    if (!rest.empty()) {
        co_await between.near.read_exact(rest);
    }
    bytes.resize(got);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    if (bytes != pattern(3)) {
        here.book.fail(self.what(), "a select has lost bytes");
    }
    co_return here.make(static_cast<int>(index));
}

work on_connection(world& here, instance& self) {
    task<connection> connecting = connect();
    connection between = co_await std::move(connecting);
    switch (self.what().what) {
        case kind::exchange: {
            work doing = exchange_on(here, self, between);
            co_return co_await std::move(doing);
        }
        case kind::closing: {
            work doing = closing_on(here, self, between);
            co_return co_await std::move(doing);
        }
        case kind::read_select: {
            work doing = select_on(here, self, between);
            co_return co_await std::move(doing);
        }
        default: {
            work doing = cut_off_on(here, self, between);
            co_return co_await std::move(doing);
        }
    }
}

work accept_one(world& here) {
    tcp_stream const taken = co_await here.listener->accept();
    co_return here.make(taken.is_open() ? 1 : 0);
}

/// Whether somebody accepts or not: the kernel has room for it.
work call_one(world& here) {
    tcp_stream called = co_await tcp_stream::connect(here.listener->local_address());
    (void)called.set_linger(0s);
    co_return here.make(called.is_open() ? 1 : 0);
}

}  // namespace

work do_socket(world& here, instance& self) {
    switch (self.what().what) {
        case kind::accepting:
            return accept_one(here);
        case kind::calling:
            return call_one(here);
        default:
            return on_connection(here, self);
    }
}

}  // namespace weft::fuzz
