#include <weft/runtime/resilience/detail/circuit.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <ostream>

namespace weft {

std::ostream& operator<<(std::ostream& out, circuit_state state) {
    char const* const names[] = {"closed", "open", "half open", "isolated"};
    return out << names[static_cast<int>(state)];
}

}  // namespace weft

namespace {

using namespace std::chrono_literals;
using weft::circuit_breaker_options;
using weft::circuit_state;
using weft::detail::circuit;

constexpr weft::clock::time_point start{1h};

circuit_breaker_options by_count(unsigned window, unsigned failures) {
    circuit_breaker_options options;
    options.window_calls = window;
    options.failure_rate = 2;  // never
    options.failures = failures;
    options.open_for = 10s;
    return options;
}

circuit_breaker_options by_rate(double rate, unsigned minimum) {
    circuit_breaker_options options;
    options.window_calls = 10;
    options.failure_rate = rate;
    options.minimum_calls = minimum;
    options.open_for = 10s;
    return options;
}

bool let_in(circuit& subject, weft::clock::time_point now) {
    circuit::ticket pass;
    bool const is_in = subject.enter(now, pass);
    if (is_in) {
        subject.forget(pass);
    }
    return is_in;
}

void call(circuit& subject, weft::clock::time_point now, bool succeeds) {
    circuit::ticket pass;
    REQUIRE(subject.enter(now, pass));
    if (succeeds) {
        subject.succeed(pass, now);
    } else {
        subject.fail(pass, now);
    }
}

void calls(circuit& subject, weft::clock::time_point now, char const* outcomes) {
    for (char const* each = outcomes; *each != '\0'; ++each) {
        call(subject, now, *each == '+');
    }
}

}  // namespace

TEST_SUITE("runtime/resilience/circuit") {
    TEST_CASE("it opens at the given number of failures in the window, not before") {
        circuit subject(by_count(5, 3));
        calls(subject, start, "-+-+");
        CHECK(subject.state(start) == circuit_state::closed);
        calls(subject, start, "-");
        CHECK(subject.state(start) == circuit_state::open);
        CHECK_FALSE(let_in(subject, start));
    }

    TEST_CASE("failures that have left the window by count do not open it") {
        circuit subject(by_count(5, 3));
        for (int i = 0; i < 20; ++i) {
            calls(subject, start, "-+++-");
            CHECK(subject.window().failures() == 2);
            calls(subject, start, "+++++");
            CHECK(subject.window().failures() == 0);
        }
        CHECK(subject.state(start) == circuit_state::closed);
        CHECK(subject.window().calls() == 5);
    }

    TEST_CASE("the rate counts from the minimum of calls on") {
        circuit subject(by_rate(0.5, 4));
        calls(subject, start, "---");
        CHECK(subject.state(start) == circuit_state::closed);
        calls(subject, start, "-");
        CHECK(subject.state(start) == circuit_state::open);
    }

    TEST_CASE("a rate of exactly the limit opens, one below does not") {
        circuit exact(by_rate(0.5, 4));
        calls(exact, start, "+-+-");
        CHECK(exact.state(start) == circuit_state::open);
        circuit below(by_rate(0.5, 4));
        calls(below, start, "++-+-+-+");
        CHECK(below.state(start) == circuit_state::closed);
    }

    TEST_CASE("a window by time forgets what is older than itself") {
        circuit_breaker_options options = by_count(1, 3);
        options.window_time = 10s;
        circuit subject(options);
        calls(subject, start, "-");
        calls(subject, start + 5s, "-");
        CHECK(subject.window().failures() == 2);
        calls(subject, start + 10s, "-");
        CHECK(subject.state(start + 10s) == circuit_state::closed);
        CHECK(subject.window().failures() == 2);
        calls(subject, start + 14s, "-");
        CHECK(subject.state(start + 14s) == circuit_state::open);
    }

    TEST_CASE("a window by time that was idle for long is empty") {
        circuit_breaker_options options = by_count(1, 2);
        options.window_time = 10s;
        circuit subject(options);
        calls(subject, start, "-");
        calls(subject, start + 24h, "-");
        CHECK(subject.state(start + 24h) == circuit_state::closed);
        CHECK(subject.window().calls() == 1);
    }

    TEST_CASE("an open circuit says how long, and is half open after that") {
        circuit subject(by_count(1, 1));
        calls(subject, start, "-");
        CHECK(subject.retry_after(start + 4s) == 6s);
        CHECK_FALSE(let_in(subject, start + 10s - 1ns));
        CHECK(subject.state(start + 10s) == circuit_state::half_open);
        CHECK(subject.retry_after(start + 10s) == 0s);
        CHECK(let_in(subject, start + 10s));
    }

    TEST_CASE("a half-open circuit lets in as many probes at once as it is told") {
        circuit_breaker_options options = by_count(1, 1);
        options.probes = 2;
        circuit subject(options);
        calls(subject, start, "-");
        circuit::ticket first;
        circuit::ticket second;
        CHECK(subject.enter(start + 10s, first));
        CHECK(subject.enter(start + 10s, second));
        CHECK_FALSE(let_in(subject, start + 10s));
        subject.forget(first);  // stopped
        CHECK(let_in(subject, start + 10s));
        subject.succeed(second, start + 10s);
        CHECK(subject.state(start + 10s) == circuit_state::half_open);
        calls(subject, start + 11s, "+");
        CHECK(subject.state(start + 11s) == circuit_state::closed);
    }

    TEST_CASE("a probe that fails opens it again for the whole time") {
        circuit subject(by_count(1, 1));
        calls(subject, start, "-");
        calls(subject, start + 12s, "-");
        CHECK(subject.state(start + 12s) == circuit_state::open);
        CHECK(subject.retry_after(start + 12s) == 10s);
    }

    TEST_CASE("calls that began before a transition do not count after it") {
        circuit subject(by_count(5, 2));
        circuit::ticket slow;
        CHECK(subject.enter(start, slow));
        calls(subject, start, "--");
        CHECK(subject.state(start) == circuit_state::open);
        subject.succeed(slow, start + 1s);
        CHECK(subject.state(start + 1s) == circuit_state::open);
        calls(subject, start + 10s, "+");
        CHECK(subject.state(start + 10s) == circuit_state::closed);
        circuit::ticket old = slow;
        CHECK_FALSE(subject.fail(old, start + 10s));
        CHECK(subject.window().calls() == 0);
    }

    TEST_CASE("an isolated circuit refuses until it is reset") {
        circuit subject(by_count(5, 2));
        subject.isolate();
        CHECK_FALSE(let_in(subject, start + 24h));
        CHECK(subject.state(start + 24h) == circuit_state::isolated);
        subject.reset();
        CHECK(let_in(subject, start + 24h));
        CHECK(subject.state(start + 24h) == circuit_state::closed);
    }
}
