// Every wait of a TCP program, stopped before, while and after it waits.

#include <weft/io/net/tcp.hpp>

#include <weft/io/runtime.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/tests/support/fd_count.hpp>
#include <weft/tests/support/seed.hpp>
#include <weft/tests/support/stoppable.hpp>
#include <weft/tests/support/wait_site.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <thread>
#include <vector>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::task;
using weft::detail::frame_pool;

weft::runtime_options with_workers(unsigned count) {
    return {.workers = count};
}

/// Operations and timers that the calling worker has not finished.
std::size_t waiting_here() {
    auto const& here = weft::detail::require_worker("test");
    return here.io()->in_flight() + here.timer_count();
}

task<std::size_t> count_waiting() {
    co_return waiting_here();
}

/// What must be as it was before: a stop leaves nothing behind.
class baseline {
public:
    explicit baseline(weft::runtime& runtime)
        : runtime_(runtime)
        , frames_(frame_pool::live_frames())
        , descriptors_(fd_count()) {}

    void check(wait_site& site) {
        site.taken = weft::tcp_stream();
        CHECK(runtime_.operations_in_flight() == 0);
        CHECK(runtime_.block_on(count_waiting()) == 0);
        CHECK(frame_pool::live_frames() == frames_);
        CHECK(fd_count() == descriptors_);
        CHECK(site.objects.alive == 0);
        CHECK(site.buffers_are_intact());
    }

private:
    weft::runtime& runtime_;
    std::size_t frames_;
    std::size_t descriptors_;
};

void check_stopped(wait_site const& site, wait_form form, bool came_to_its_end) {
    CHECK(site.values == 0);
    CHECK(came_to_its_end == hides_stop(form));
    CHECK(site.errors == (hides_stop(form) ? 1 : 0));
    if (hides_stop(form)) {
        CHECK(site.error == std::errc::operation_canceled);
    }
}

/// Calls `body(runtime, site, kind, form)` for every wait, on one worker and on two.
template <class Body>
void for_every_wait(std::initializer_list<unsigned> worker_counts, Body body) {
    for (unsigned const workers : worker_counts) {
        weft::runtime runtime(with_workers(workers));
        for (wait_kind const kind : every_wait_kind) {
            for (wait_form const form : every_wait_form) {
                CAPTURE(workers);
                CAPTURE(name_of(kind));
                CAPTURE(name_of(form));
                wait_site site;
                body(runtime, site, kind, form);
            }
        }
    }
}

/// Stops a neighbour on the same worker as soon as it waits.
task<> stop_when_it_waits(wait_site& site, stoppable& neighbour) {
    for (int turn = 0;; ++turn) {
        co_await weft::yield();
        if (site.begun && waiting_here() != 0 && turn >= 10) {
            break;
        }
    }
    neighbour.request_stop();
}

/// Waits with a neighbour that ends the wait.
task<bool> wait_and_be_stopped(wait_site& site, wait_kind kind, wait_form form) {
    stoppable wait;
    bool came_to_its_end = false;
    auto waiting = [&]() -> task<> { came_to_its_end = co_await wait.run(site.wait(kind, form)); };
    co_await weft::when_all(waiting(), stop_when_it_waits(site, wait));
    co_return came_to_its_end;
}

// --- the other end ----------------------------------------------------------------------

void send_bytes(int fd, std::span<std::byte const> bytes) {
    require_call(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                     static_cast<::ssize_t>(bytes.size()),
                 "send");
}

/// Takes what is there without waiting.
void receive_what_is_there(int fd, std::vector<std::byte>& into) {
    std::byte block[16 * 1024];
    for (;;) {
        auto const got = ::recv(fd, block, sizeof block, MSG_DONTWAIT);
        if (got <= 0) {
            return;
        }
        into.insert(into.end(), block, block + got);
    }
}

/// Takes bytes until there are `size`, for ten seconds at most, and whatever is there beyond.
void receive_until(int fd, std::vector<std::byte>& into, std::size_t size) {
    ::pollfd readable{fd, POLLIN, 0};
    while (into.size() < size && ::poll(&readable, 1, 10'000) == 1) {
        receive_what_is_there(fd, into);
    }
    receive_what_is_there(fd, into);
}

/// Takes everything that `sender` has written to the connection whose other end is `fd`.
void receive_all_of(int sender, int fd, std::vector<std::byte>& into) {
    auto const give_up = weft::clock::now() + 10s;
    int unsent = 1;
    ::pollfd readable{fd, POLLIN, 0};
    while (unsent != 0 && weft::clock::now() < give_up) {
        require_call(::ioctl(sender, TIOCOUTQ, &unsent) == 0, "ioctl");
        (void)::poll(&readable, 1, unsent != 0 ? 1 : 0);
        receive_what_is_there(fd, into);
    }
    CHECK(unsent == 0);
}

void make_nonblocking(int fd) {
    int on = 1;
    require_call(::ioctl(fd, FIONBIO, &on) == 0, "ioctl");
}

// --- one wait against one stop ----------------------------------------------------------------

/// A wait that is answered and stopped at about the same time, again and again, and the books of
/// what was sent and received.
class race {
public:
    race(weft::runtime& runtime, wait_kind kind, wait_form form, std::uint64_t seed)
        : runtime_(runtime)
        , kind_(kind)
        , form_(form)
        , random_(seed) {
        make_nonblocking(plain_.value());
        site_.target = bound_address(plain_.value());
    }

    /// Another thread answers and stops.
    void run_round() {
        prepare();
        auto wait = site_.wait(kind_, form_);
        std::uint64_t const seed = random_.next();
        std::thread world([this, seed] { disturb(random_numbers(seed)); });
        bool const came_to_its_end = runtime_.block_on(stoppable_.run(std::move(wait)));
        over_ = true;
        world.join();
        settle(came_to_its_end);
    }

    /// The same on one worker: a neighbour answers and stops before the worker looks for answers.
    void run_round_on_worker() {
        prepare();
        bool came_to_its_end = false;
        auto waiting = [&]() -> task<> {
            came_to_its_end = co_await stoppable_.run(site_.wait(kind_, form_));
        };
        auto neighbour = [&]() -> task<> {
            while (!site_.begun) {
                co_await weft::yield();
            }
            answer(random_);
            stoppable_.request_stop();
        };
        auto both = [&]() -> task<> { co_await weft::when_all(waiting(), neighbour()); };
        over_ = true;  // reading once is answer enough for a write
        runtime_.block_on(both());
        settle(came_to_its_end);
    }

    [[nodiscard]] wait_site& site() noexcept { return site_; }

    int values = 0;
    int stops = 0;

private:
    void prepare() {
        site_.nap = std::chrono::microseconds(random_.below(60));
        sent_.clear();
        arrived_.clear();
        over_ = false;
    }

    void settle(bool came_to_its_end) {
        stoppable_.forget_request();
        bool const was_stopped = site_.values == 0;
        ++(was_stopped ? stops : values);
        if (was_stopped) {
            check_stopped(site_, form_, came_to_its_end);
        } else {
            CHECK(site_.values == 1);
            CHECK(site_.errors == 0);
        }
        CHECK(site_.objects.alive == 0);
        settle_accounts();
        CHECK(site_.buffers_are_intact());
    }

    /// Answers and stops in either order, close together.
    void disturb(random_numbers random) {
        if (!random.one_in(4)) {
            while (!site_.begun) {
                std::this_thread::yield();
            }
        }
        pause(random);
        bool const stop_first = random.one_in(2);
        if (stop_first) {
            stoppable_.request_stop();
            pause(random);
        }
        answer(random);
        if (!stop_first) {
            pause(random);
            stoppable_.request_stop();
        }
    }

    static void pause(random_numbers& random) {
        auto const turns = random.up_to_bits(14);
        for (std::atomic<std::uint64_t> i = 0; i < turns; ++i) {
        }
    }

    void answer(random_numbers& random) {
        if (kind_ == wait_kind::accept) {
            caller_ = plain_connect(site_.listener.local_address());
            reset_on_close(caller_.value());
        } else if (is_write(kind_)) {
            ::pollfd readable{site_.far.value(), POLLIN, 0};
            do {
                (void)::poll(&readable, 1, 1);
                receive_what_is_there(site_.far.value(), arrived_);
            } while (!over_ && arrived_.size() < wait_site::write_size);
        } else if (is_read(kind_)) {
            std::size_t const size =
                kind_ == wait_kind::read_exact ? exact_size : 1 + random.below(exact_size);
            for (std::size_t i = 0; i < size; ++i) {
                sent_.push_back(static_cast<std::byte>(random.next() | 1));
            }
            std::size_t const first = random.below(size + 1);
            send_bytes(site_.far.value(), std::span(sent_).first(first));
            send_bytes(site_.far.value(), std::span(sent_).subspan(first));
        }
    }

    void settle_accounts() {
        switch (kind_) {
            case wait_kind::accept:
                return settle_accept();
            case wait_kind::connect:
                return settle_connect();
            case wait_kind::sleep:
                return;
            default:
                return is_read(kind_) ? settle_read() : settle_write();
        }
    }

    /// The connection is ours, or still waits in the queue.
    void settle_accept() {
        if (site_.values == 1) {
            CHECK(site_.taken.peer_address() == bound_address(caller_.value()));
            site_.taken = weft::tcp_stream();
        } else {
            weft::unique_fd const queued = plain_accept(site_.listener.native_handle());
            CHECK(queued);
        }
        caller_.reset();
    }

    void settle_connect() {
        if (site_.values == 1) {
            reset_on_close(site_.taken.native_handle());
            ::pollfd acceptable{plain_.value(), POLLIN, 0};
            CHECK(::poll(&acceptable, 1, 10'000) == 1);
            site_.taken = weft::tcp_stream();
        }
        while (plain_accept(plain_.value())) {
        }
    }

    /// Bytes sent = bytes received + bytes that are still in the socket. A read that may have taken
    /// a part before it was stopped took the first part.
    void settle_read() {
        std::vector<std::byte> seen = site_.held;
        bool const complete = site_.values == 1;
        if (complete) {
            seen.resize(site_.count);
        } else if (kind_ == wait_kind::read_exact) {
            auto const part = std::ranges::mismatch(seen, sent_).in1 - seen.begin();
            seen.resize(static_cast<std::size_t>(part));
        } else {
            seen.clear();
        }
        int const fd = site_.stream.native_handle();
        if (!complete && kind_ == wait_kind::read_exact) {
            // Guards may equal the next byte by chance: what is left in the socket decides.
            std::vector<std::byte> rest;
            receive_until(fd, rest, sent_.size() - seen.size());
            REQUIRE(rest.size() <= sent_.size());
            seen.resize(std::min(seen.size(), sent_.size() - rest.size()));
            seen.insert(seen.end(), rest.begin(), rest.end());
        } else {
            receive_until(fd, seen, sent_.size());
        }
        CHECK(seen == sent_);
    }

    /// What arrives is the beginning of what was to be written, and all of it after a value.
    void settle_write() {
        receive_all_of(site_.stream.native_handle(), site_.far.value(), arrived_);
        bool is_as_written = true;
        for (std::size_t i = 0; i < arrived_.size(); ++i) {
            is_as_written = is_as_written && arrived_[i] == wait_site::pattern(i);
        }
        CHECK(is_as_written);
        std::size_t const whole = kind_ == wait_kind::write_all_vectored
                                      ? wait_site::write_size
                                      : wait_site::write_size / 2;
        CHECK(arrived_.size() <= whole);
        if (site_.values == 1) {
            CHECK(site_.count == whole);
            CHECK(arrived_.size() == whole);
        }
    }

    static constexpr std::size_t exact_size = wait_site::read_size / 2;

    weft::runtime& runtime_;
    wait_kind kind_;
    wait_form form_;
    random_numbers random_;
    wait_site site_;
    stoppable stoppable_;
    weft::unique_fd plain_ = plain_listener(64);
    weft::unique_fd caller_;
    std::vector<std::byte> sent_;
    std::vector<std::byte> arrived_;
    std::atomic<bool> over_{false};
};

/// 10,240 altogether, over every form, worker count and ring. A write between small windows takes
/// milliseconds.
constexpr int rounds_of(wait_kind kind) noexcept {
    return is_write(kind) ? 40 : 200;
}

/// Calls `body(rounds' divisor)` for each way in which a ring posts answers: when the worker asks
/// for them, and at once. An answer that is posted at once can be there, unseen, when the stop
/// arrives, and wins.
template <class Body>
void for_every_ring(Body body) {
    constexpr char const* variable = "WEFT_URING_DISABLE";
    bool const two_ways =
        weft::runtime(with_workers(1)).uses_uring() && std::getenv(variable) == nullptr;
    body(two_ways ? 2 : 1);
    if (two_ways) {
        ::setenv(variable, "defer_taskrun", 1);
        body(2);
        ::unsetenv(variable);
    }
}

/// Calls `round(race)` for every wait, as often as it takes, and gives how many ended by a value.
template <class Round>
int run_races(unsigned workers, int divisor, random_numbers& random, Round round) {
    int values = 0;
    weft::runtime runtime(with_workers(workers));
    for (wait_kind const kind : every_wait_kind) {
        for (wait_form const form : every_wait_form) {
            CAPTURE(workers);
            CAPTURE(name_of(kind));
            CAPTURE(name_of(form));
            race each(runtime, kind, form, random.next());
            baseline before(runtime);
            for (int i = 0; i < rounds_of(kind) / divisor; ++i) {
                round(each);
            }
            before.check(each.site());
            values += each.values;
        }
    }
    return values;
}

task<> wait_and_count(wait_site& site, wait_kind kind, wait_form form, std::atomic<int>& ended) {
    co_await site.wait(kind, form);
    ++ended;
}

task<> send_a_part(weft::tcp_stream& to) {
    std::vector<unsigned char> const part(350'001);
    co_await to.write_all(part);
    co_await weft::sleep_for(24h);
}

task<> read_a_lot(weft::tcp_stream& from) {
    std::vector<unsigned char> whole(1'400'003);
    co_await from.read_exact(whole);
}

task<> transfer_a_part() {
    weft::tcp_listener listener(weft::address::loopback_v4(0));
    weft::tcp_stream near = co_await weft::tcp_stream::connect(listener.local_address());
    weft::tcp_stream far = co_await listener.accept();
    auto sending = send_a_part(far);
    auto reading = read_a_lot(near);
    (void)co_await weft::when_all(std::move(sending), std::move(reading));
}

}  // namespace

TEST_SUITE("io/tcp_cancel") {
    TEST_CASE("what begins after a stop does not begin, and takes nothing that is there") {
        for_every_wait({1, 2}, [](auto& runtime, auto& site, auto kind, auto form) {
            std::byte const waiting_bytes[wait_site::read_size] = {};
            send_bytes(site.far.value(), waiting_bytes);
            auto caller = plain_connect(site.listener.local_address());
            reset_on_close(caller.value());
            baseline before(runtime);
            stoppable wait;
            wait.request_stop();
            check_stopped(site, form, runtime.block_on(wait.run(site.wait(kind, form))));
            before.check(site);
            std::vector<std::byte> left;
            receive_until(site.stream.native_handle(), left, wait_site::read_size);
            CHECK(left.size() == wait_site::read_size);
            CHECK(plain_accept(site.listener.native_handle()));
        });
    }

    TEST_CASE("a stop ends every wait, destroys what it had and frees its buffers for good") {
        for_every_wait({1}, [](auto& runtime, auto& site, auto kind, auto form) {
            baseline before(runtime);
            auto work = wait_and_be_stopped(site, kind, form);
            check_stopped(site, form, runtime.block_on(std::move(work)));
            before.check(site);
            // The peer goes on: nothing of this may find its way into the buffers.
            std::byte const late[wait_site::read_size] = {};
            send_bytes(site.far.value(), late);
            std::vector<std::byte> received;
            receive_until(site.stream.native_handle(), received, sizeof late);
            CHECK(received.size() == sizeof late);
            CHECK(site.buffers_are_intact());
        });
    }

    TEST_CASE("a deadline ends every wait with timed_out and frees its buffers") {
        for_every_wait({1, 2}, [](auto& runtime, auto& site, auto kind, auto form) {
            if (form != wait_form::timeout && form != wait_form::timeout_as_result) {
                return;
            }
            baseline before(runtime);
            site.limit = 200us;
            runtime.block_on(site.wait(kind, form));
            CHECK(site.values == 0);
            CHECK(site.errors == 1);
            CHECK(site.error == std::errc::timed_out);
            before.check(site);
            std::byte const late[wait_site::read_size] = {};
            send_bytes(site.far.value(), late);
            CHECK(site.buffers_are_intact());
        });
    }

    TEST_CASE("a stop that races the answer gives one of the two and loses no byte") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        int values = 0;
        for_every_ring([&](int divisor) {
            for (unsigned const workers : {1U, 2U}) {
                auto const round = [](race& each) { each.run_round(); };
                values += run_races(workers, divisor, random, round);
            }
        });
        MESSAGE("seed " << seed << ": " << values << " of 10,240 rounds ended by a value");
        CHECK(values > 0);
        CHECK(values < 10'240);
    }

    TEST_CASE("an answer that is there before its stop is delivered or still there to be taken") {
        auto const seed = fresh_seed();
        CAPTURE(seed);
        random_numbers random(seed);
        for_every_ring([&](int) {
            auto const round = [](race& each) { each.run_round_on_worker(); };
            (void)run_races(1, 20, random, round);
        });
    }

    TEST_CASE("a stop that comes between two parts of a long read ends it") {
        weft::runtime rt(with_workers(1));
        for (int round = 0; round < 600; ++round) {
            auto const transfer = rt.spawn(transfer_a_part());
            auto const delay = std::chrono::microseconds(round * 7 % 1200);
            auto const stop_at = std::chrono::steady_clock::now() + delay;
            while (std::chrono::steady_clock::now() < stop_at) {
            }
            transfer.request_stop();
            while (!transfer.is_done()) {
                std::this_thread::yield();
            }
        }
        CHECK(rt.operations_in_flight() == 0);
    }

    TEST_CASE("destroying the runtime ends every wait") {
        for (unsigned const workers : {1U, 2U}) {
            std::size_t const descriptors = fd_count();
            std::vector<std::unique_ptr<wait_site>> sites;
            std::atomic<int> ended = 0;
            {
                weft::runtime runtime(with_workers(workers));
                for (wait_kind const kind : every_wait_kind) {
                    for (wait_form const form : every_wait_form) {
                        wait_site& site = *sites.emplace_back(std::make_unique<wait_site>());
                        runtime.spawn(wait_and_count(site, kind, form, ended));
                    }
                }
                for (auto const& site : sites) {
                    while (!site->begun) {
                        std::this_thread::yield();
                    }
                }
            }
            CHECK(ended ==
                  static_cast<int>(sites.size()) / 2);  // those that saw the stop as a result
            for (auto const& site : sites) {
                CHECK(site->values == 0);
                CHECK(site->objects.alive == 0);
                CHECK(site->buffers_are_intact());
            }
            sites.clear();
            CHECK(frame_pool::live_frames() == 0);
            CHECK(fd_count() == descriptors);
        }
    }
}
