// What becomes of a runtime when its process forks: it goes on in the parent, and the child must
// not use it.

#include <weft/io/runtime.hpp>
#include <weft/tests/support/death.hpp>
#include <weft/tests/support/io_fixture.hpp>

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <memory>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace weft::test;
using weft::runtime;
using weft::task;

constexpr char const* refusal = "used in a child process of fork";

task<> nothing() {
    co_return;
}

task<> talk(stream_pair& over) {
    std::array<char, 4> into{};
    co_await over.near.write_all("ping");
    co_await over.far.read_exact(into);
}

/// Forks on a worker; the task goes on with `use` in the child.
template <class Use>
task<death> death_on_worker(Use use) {
    forked process;
    if (process.is_child()) {
        co_await use();
        forked::leave();
    }
    co_return process.wait();
}

}  // namespace

TEST_SUITE("io/fork") {
    TEST_CASE("a child that runs a task on its parent's runtime ends with a message") {
        runtime rt(with_workers(2));
        CHECK(aborted_saying(death_of([&] { rt.block_on(nothing()); }), refusal));
        CHECK(aborted_saying(death_of([&] { rt.spawn(nothing()); }), refusal));
    }

    TEST_CASE("a child that destroys its parent's runtime ends with a message") {
        auto rt = std::make_unique<runtime>(with_workers(2));
        CHECK(aborted_saying(death_of([&] { rt.reset(); }), refusal));
    }

    TEST_CASE("a task that goes on in a child ends with a message as soon as it waits") {
        for (unsigned const workers : {1U, 2U}) {
            runtime rt(with_workers(workers));
            stream_pair pair = rt.block_on(connected_pair());
            auto transfer = [&]() -> task<> { co_await talk(pair); };
            auto sleep = []() -> task<> { co_await weft::sleep_for(1ms); };
            auto accept = []() -> task<> {
                weft::tcp_listener listener(weft::address::loopback_v4(0));
                (void)co_await listener.accept();
            };
            CHECK(aborted_saying(rt.block_on(death_on_worker(transfer)), refusal));
            CHECK(aborted_saying(rt.block_on(death_on_worker(sleep)), refusal));
            CHECK(aborted_saying(rt.block_on(death_on_worker(accept)), refusal));
        }
    }

    TEST_CASE("the parent's runtime goes on after forks, with what was in flight") {
        for (unsigned const workers : {1U, 2U}) {
            runtime rt(with_workers(workers));
            stream_pair pair = rt.block_on(connected_pair());
            std::array<char, 4> into{};
            auto read = [&]() -> task<> { co_await pair.far.read_exact(into); };
            auto reader = rt.spawn(read());
            for (int i = 0; i < 5; ++i) {
                death const seen = death_of([] {});
                CHECK(seen.signal == 0);
            }
            auto finish = [&]() -> task<> {
                co_await pair.near.write_all("ping");
                co_await reader;
                co_await talk(pair);
            };
            rt.block_on(finish());
            CHECK(into[3] == 'g');
        }
    }

#if !WEFT_TSAN  // which allows no threads in the child of a process that had several
    TEST_CASE("a child can make a runtime of its own") {
        runtime rt(with_workers(2));
        auto use_own = [] {
            runtime own(with_workers(2));
            stream_pair pair = own.block_on(connected_pair());
            own.block_on(talk(pair));
            std::fprintf(stderr, "talked");
        };
        death const seen = death_of(use_own);
        CHECK(seen.signal == 0);
        CHECK(seen.text == "talked");
    }
#endif
}
