#include <weft/io/runtime.hpp>

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/io_fixture.hpp>
#include <weft/tests/support/skip.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/socket.h>

namespace {

using namespace weft::test;
using namespace std::chrono_literals;
using weft::address;
using weft::as_result;
using weft::driver_kind;
using weft::listen_options;
using weft::runtime;
using weft::runtime_options;
using weft::task;
using weft::tcp_listener;
using weft::tcp_stream;
using weft::unique_fd;

constexpr std::size_t mebibyte = 1024UL * 1024;

/// Sets a variable of the environment, and puts back what was there.
class variable {
public:
    variable(char const* name, char const* value) : name_(name) {
        if (char const* const before = std::getenv(name); before != nullptr) {
            before_ = before;
        }
        set(value);
    }

    variable(variable const&) = delete;
    variable& operator=(variable const&) = delete;

    ~variable() { set(before_ ? before_->c_str() : nullptr); }

private:
    void set(char const* value) const {
        value != nullptr ? ::setenv(name_, value, 1) : ::unsetenv(name_);
    }

    char const* name_;
    std::optional<std::string> before_;
};

/// Whatever mode this program runs in, the environment says nothing for as long as this lives.
struct plain_environment {
    variable driver{"WEFT_DRIVER", nullptr};
    variable fault{"WEFT_URING_FAULT", nullptr};
    variable entries{"WEFT_URING_ENTRIES", nullptr};
    variable completions{"WEFT_CQ_ENTRIES", nullptr};
    variable disabled{"WEFT_URING_DISABLE", nullptr};
};

/// What the constructor throws.
std::string refusal(runtime_options const& options = with_workers(1)) {
    try {
        runtime const rt(options);
    } catch (std::system_error const& error) {
        return error.what();
    }
    FAIL_CHECK("nothing was thrown");
    return {};
}

bool contains(std::string const& text, std::string const& part) {
    return text.find(part) != std::string::npos;
}

bool starts_with(std::string const& text, std::string const& part) {
    return text.compare(0, part.size(), part) == 0;
}

/// Why this machine gives no ring, or nothing.
std::string uring_refused() {
    runtime const rt(with_workers(1));
    return rt.uses_uring() ? std::string() : rt.driver_report();
}

/// One round trip over the network.
task<> use_the_network() {
    stream_pair pair = co_await connected_pair();
    std::size_t const sent = co_await pair.near.write_all("hello");
    CHECK(sent == 5);
    std::array<char, 5> into{};
    std::size_t const got = co_await pair.far.read_exact(into);
    CHECK(got == 5);
}

}  // namespace

TEST_SUITE("io/runtime/driver") {
    TEST_CASE("the runtime of this run's environment says what it waits in, and serves") {
        for (unsigned const workers : {1U, 2U}) {
            runtime rt(with_workers(workers));
            CHECK(rt.worker_count() == workers);
            CHECK(starts_with(rt.driver_report(), rt.uses_uring() ? "io_uring: " : "epoll: "));
            rt.block_on(use_the_network());
        }
    }

    TEST_CASE("the report names no feature that nothing uses") {
        plain_environment const none;
        runtime const rt(with_workers(1));
        for (char const* const unused :
             {"multishot_accept", "multishot_recv", "msg_ring", "cqe_skip"}) {
            CAPTURE(unused);
            CHECK_FALSE(contains(rt.driver_report(), unused));
        }
    }

    TEST_CASE("a ring has 16 times as many completion entries unless told otherwise") {
        plain_environment const none;
        runtime_options options = with_workers(1);
        options.ring_entries = 32;
        runtime const rt(options);
        CHECK(
            (!rt.uses_uring() || contains(rt.driver_report(), "32 submission and 512 completion")));
    }

    TEST_CASE("no number of workers means one per processor") {
        runtime rt;
        CHECK(rt.worker_count() == weft::available_processors());
        rt.block_on(use_the_network());
    }

    TEST_CASE("a driver that nobody knows is refused, with the variable's name and value") {
        plain_environment const none;
        variable const wish("WEFT_DRIVER", "nonsense");
        std::string const what = refusal();
        CHECK(contains(what, "WEFT_DRIVER=nonsense"));
        CHECK(contains(what, "uring or epoll"));
    }

    TEST_CASE("every other variable that makes no sense is refused by its name") {
        plain_environment const none;
        for (auto const& [name, value] :
             std::vector<std::pair<char const*, char const*>>{{"WEFT_URING_FAULT", "EWHAT"},
                                                              {"WEFT_URING_ENTRIES", "many"},
                                                              {"WEFT_URING_ENTRIES", "0"},
                                                              {"WEFT_URING_ENTRIES", "8x"},
                                                              {"WEFT_CQ_ENTRIES", "-4"},
                                                              {"WEFT_URING_DISABLE", "magic"}}) {
            variable const set(name, value);
            CHECK(contains(refusal(), std::string(name) + "=" + value));
        }
    }

    TEST_CASE("an empty variable is no variable") {
        plain_environment const none;
        variable const driver("WEFT_DRIVER", "");
        variable const entries("WEFT_URING_ENTRIES", "");
        runtime rt(with_workers(1));
        rt.block_on(use_the_network());
    }

    TEST_CASE("a refused ring steps down to epoll and says why") {
        plain_environment const none;
        for (char const* const fault : {"EPERM", "EACCES", "ENOSYS", "ENOMEM", "EINVAL"}) {
            CAPTURE(fault);
            variable const set("WEFT_URING_FAULT", fault);
            runtime rt(with_workers(2));
            CHECK_FALSE(rt.uses_uring());
            CHECK(starts_with(rt.driver_report(), "epoll: "));
            CHECK(contains(rt.driver_report(), fault));
            rt.block_on(use_the_network());
        }
    }

    TEST_CASE("a ring that was demanded and refused is an error that says why") {
        plain_environment const none;
        variable const set("WEFT_URING_FAULT", "EPERM");
        runtime_options options = with_workers(1);
        options.driver = driver_kind::uring;
        CHECK(contains(refusal(options), "EPERM"));
        variable const wish("WEFT_DRIVER", "uring");
        std::size_t const before = fd_count();
        CHECK(contains(refusal(), "EPERM"));
        CHECK(fd_count() == before);
    }

    TEST_CASE("what the program asks for weighs more than the environment's wish") {
        plain_environment const none;
        variable const wish("WEFT_DRIVER", "uring");
        runtime_options options = with_workers(1);
        options.driver = driver_kind::epoll;
        runtime rt(options);
        CHECK_FALSE(rt.uses_uring());
        CHECK(contains(rt.driver_report(), "by request"));
        rt.block_on(use_the_network());
    }

    TEST_CASE("the environment sets the size and the features of the rings") {
        plain_environment const none;
        if (std::string const why = uring_refused(); !why.empty()) {
            WEFT_SKIP(why.c_str());
        }
        variable const entries("WEFT_URING_ENTRIES", "8");
        variable const completions("WEFT_CQ_ENTRIES", "64");
        variable const disabled("WEFT_URING_DISABLE", "poll_first, multishot_poll");
        runtime rt(with_workers(1));
        CHECK(contains(rt.driver_report(), "8 submission and 64 completion entries"));
        CHECK(contains(rt.driver_report(), "disabled: poll_first multishot_poll"));
        rt.block_on(use_the_network());
    }
}

namespace {

task<> accept_for_ever(tcp_listener& listener, std::atomic<int>& started) {
    ++started;
    for (;;) {
        tcp_stream const stream = co_await listener.accept();
        FAIL_CHECK("nobody connects");
    }
}

task<> read_for_ever(tcp_stream stream, std::atomic<int>& started) {
    ++started;
    std::array<char, 16> into{};
    (void)co_await stream.read_exact(into);
    FAIL_CHECK("nobody writes");
}

task<> write_for_ever(tcp_stream stream, std::atomic<int>& started) {
    ++started;
    static std::vector<char> const much(64 * mebibyte);  // whose pages take longer than the rest
    (void)co_await stream.write_all(much);
    FAIL_CHECK("nobody reads");
}

task<> connect_for_ever(address peer, std::atomic<int>& started) {
    ++started;
    tcp_stream const stream = co_await tcp_stream::connect(peer);
    FAIL_CHECK("nobody accepts");
}

task<> sleep_for_ever(std::atomic<int>& started) {
    ++started;
    co_await weft::sleep_for(24h);
    FAIL_CHECK("a day has passed");
}

/// A listener that takes no more connections: its queue is full and it never accepts.
class full_listener {
public:
    full_listener() : listener_(address::loopback_v4(0), short_queue()) {
        for (unique_fd& each : waiting_) {
            each.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            std::ignore = ::connect(each.value(), where().data(), where().size());
        }
    }

    [[nodiscard]] address const& where() const noexcept { return listener_.local_address(); }

private:
    static listen_options short_queue() {
        listen_options options;
        options.backlog = 0;
        return options;
    }

    tcp_listener listener_;
    std::array<unique_fd, 4> waiting_;
};

/// Two connected sockets made before any runtime.
stream_pair foreign_pair() {
    tcp_listener const listener(address::loopback_v4(0));
    unique_fd client = connect_foreign(listener.local_address());
    unique_fd server(::accept4(listener.native_handle(), nullptr, nullptr, SOCK_CLOEXEC));
    return stream_pair(tcp_stream::adopt(std::move(client)).value(),
                       tcp_stream::adopt(std::move(server)).value());
}

}  // namespace

TEST_SUITE("io/runtime/end") {
    TEST_CASE("a runtime ends while operations of every kind wait, and leaves nothing behind") {
        tcp_listener listener(address::loopback_v4(0));
        full_listener const full;
        for (unsigned const workers : {1U, 2U}) {
            CAPTURE(workers);
            std::size_t const fds = fd_count();
            std::size_t const frames = weft::detail::frame_pool::live_frames();
            for (int round = 0; round < 10; ++round) {
                std::atomic<int> started = 0;
                stream_pair reading = foreign_pair();
                stream_pair writing = foreign_pair();
                runtime rt(with_workers(workers));
                rt.spawn(accept_for_ever(listener, started));
                rt.spawn(accept_for_ever(listener, started));
                rt.spawn(read_for_ever(std::move(reading.near), started));
                rt.spawn(write_for_ever(std::move(writing.near), started));
                rt.spawn(connect_for_ever(full.where(), started));
                rt.spawn(sleep_for_ever(started));
                // Every other round the stop may overtake the start.
                while (round % 2 == 0 && started < 6) {
                    std::this_thread::yield();
                }
            }
            CHECK(fd_count() == fds);
            CHECK(weft::detail::frame_pool::live_frames() == frames);
        }
    }

    TEST_CASE("a task that ends with the runtime can still ask what its workers wait in") {
        std::string told;
        std::string kept;
        bool uses_uring = false;
        {
            runtime rt(with_workers(2));
            kept = rt.driver_report();
            std::atomic<bool> started = false;
            auto log = [&]() -> task<> {
                auto const note = [&](void*) {
                    told = rt.driver_report();
                    uses_uring = rt.uses_uring();
                };
                std::unique_ptr<void, decltype(note)> const at_end(&told, note);
                started = true;
                co_await weft::sleep_for(1h);
            };
            rt.spawn(log());
            while (!started) {
                std::this_thread::yield();
            }
        }
        CHECK(told == kept);
        CHECK(uses_uring == starts_with(kept, "io_uring"));
    }

    TEST_CASE("a runtime that was never used leaves nothing behind") {
        std::size_t const fds = fd_count();
        for (int i = 0; i < 20; ++i) {
            runtime const rt(with_workers(2));
        }
        CHECK(fd_count() == fds);
    }

    TEST_CASE("a task that waits in I/O is stopped by request_stop and block_on says so") {
        tcp_listener listener(address::loopback_v4(0));
        for (unsigned const workers : {1U, 2U}) {
            std::atomic<int> started = 0;
            runtime rt(with_workers(workers));
            std::thread stopper([&] {
                while (started == 0) {
                    std::this_thread::yield();
                }
                rt.request_stop();
            });
            CHECK_THROWS_AS(rt.block_on(accept_for_ever(listener, started)),
                            weft::operation_cancelled);
            stopper.join();
        }
    }

    TEST_CASE("operations in flight are counted, and none is left after a stop") {
        tcp_listener listener(address::loopback_v4(0));
        runtime rt(with_workers(1));
        auto work = [&]() -> task<> {
            std::atomic<int> started = 0;
            auto body = [&](weft::nursery& children) -> task<> {
                for (int i = 0; i < 5; ++i) {
                    children.spawn(accept_for_ever(listener, started));
                }
                co_await let_others_run();
                CHECK(rt.operations_in_flight() == 5);
                children.request_stop();
            };
            co_await weft::scope(body);
            CHECK(rt.operations_in_flight() == 0);
        };
        rt.block_on(work());
    }

    TEST_CASE("two runtimes in one process do not meet") {
        runtime first(with_workers(2));
        runtime second(with_workers(1));
        stream_pair pair = foreign_pair();
        std::atomic<bool> answered = false;
        auto answer = [&]() -> task<> {
            std::array<char, 4> into{};
            std::size_t const got = co_await pair.far.read_exact(into);
            std::size_t const sent = co_await pair.far.write_all(into);
            CHECK(got == sent);
            answered = true;
        };
        auto ask = [&]() -> task<> {
            std::size_t const sent = co_await pair.near.write_all("ping");
            CHECK(sent == 4);
            std::array<char, 4> into{};
            std::size_t const got = co_await pair.near.read_exact(into);
            CHECK(got == 4);
        };
        second.spawn(answer());
        first.block_on(ask());
        while (second.task_count() != 0) {
            std::this_thread::yield();
        }
        CHECK(answered);
    }

    TEST_CASE("a task that is always ready does not hold up a connection") {
        runtime rt(with_workers(1));
        stream_pair pair = rt.block_on(connected_pair());
        bool is_over = false;
        auto spin = [&]() -> task<> {
            while (!is_over) {
                co_await weft::yield();
            }
        };
        auto echo = [&](tcp_stream& from, int rounds) -> task<> {
            for (int i = 0; i < rounds; ++i) {
                std::array<char, 4> data{};
                std::size_t const got = co_await from.read_exact(data);
                std::size_t const sent = co_await from.write_all(data);
                CHECK(got == sent);
            }
        };
        auto play = [&]() -> task<> {
            std::size_t const served = co_await pair.near.write_all("ball");
            CHECK(served == 4);
            co_await weft::when_all(echo(pair.near, 50), echo(pair.far, 50));
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(spin(), play()); };
        rt.block_on(work());
        CHECK(is_over);
    }

    TEST_CASE("a reader whose data never runs out does not hold up the other tasks") {
        runtime rt(with_workers(1));
        stream_pair pair = rt.block_on(connected_pair());
        bool is_over = false;
        auto write = [&]() -> task<> {
            std::vector<char> const data(mebibyte / 16);
            while (!is_over) {
                (void)co_await pair.near.write_all(data);
            }
            CHECK(pair.near.shutdown_write());
        };
        auto read = [&]() -> task<> {
            std::vector<char> into(64);
            while (co_await pair.far.read_some(into) != 0) {
            }
        };
        auto finish = [&]() -> task<> {
            for (int turn = 0; turn < 100; ++turn) {
                co_await weft::yield();
            }
            is_over = true;
        };
        auto work = [&]() -> task<> { co_await weft::when_all(write(), read(), finish()); };
        rt.block_on(work());
        CHECK(is_over);
    }

    TEST_CASE("I/O on a pool that only computes dies with a message that says what is missing") {
        tcp_listener listener(address::loopback_v4(0));
        auto use_wrongly = [&] {
            weft::thread_pool pool({.workers = 1});
            auto work = [&]() -> task<> { (void)co_await listener.accept(); };
            pool.block_on(work());
        };
        death const seen = death_of(use_wrongly);
        CHECK(seen.signal == SIGABRT);
        CHECK(contains(seen.text, "weft::runtime"));
    }
}
