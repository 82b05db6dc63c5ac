#pragma once

/// Everything in which a task can wait for a TCP connection or the time, with an account of what
/// came of it: the tests of cancellation put each of these waits through the same mill.

#include <weft/io/net/tcp.hpp>
#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/support/canary_buffer.hpp>
#include <weft/tests/support/counted.hpp>
#include <weft/tests/support/loopback.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace weft::test {

enum class wait_kind {
    accept,
    connect,
    read_some,
    read_some_vectored,
    read_exact,
    write_all,
    write_all_vectored,
    sleep,
};

inline constexpr wait_kind every_wait_kind[] = {wait_kind::accept,
                                                wait_kind::connect,
                                                wait_kind::read_some,
                                                wait_kind::read_some_vectored,
                                                wait_kind::read_exact,
                                                wait_kind::write_all,
                                                wait_kind::write_all_vectored,
                                                wait_kind::sleep};

[[nodiscard]] constexpr bool is_read(wait_kind kind) noexcept {
    return kind == wait_kind::read_some || kind == wait_kind::read_some_vectored ||
           kind == wait_kind::read_exact;
}

[[nodiscard]] constexpr bool is_write(wait_kind kind) noexcept {
    return kind == wait_kind::write_all || kind == wait_kind::write_all_vectored;
}

[[nodiscard]] inline std::string name_of(wait_kind kind) noexcept {
    static constexpr char const* names[] = {"accept",
                                            "connect",
                                            "read_some",
                                            "read_some, vectored",
                                            "read_exact",
                                            "write_all",
                                            "write_all, vectored",
                                            "sleep_for"};
    return names[static_cast<int>(kind)];
}

/// How the operation is awaited.
enum class wait_form { plain, as_result, timeout, timeout_as_result };

inline constexpr wait_form every_wait_form[] = {
    wait_form::plain, wait_form::as_result, wait_form::timeout, wait_form::timeout_as_result};

[[nodiscard]] inline std::string name_of(wait_form form) noexcept {
    static constexpr char const* names[] = {
        "plain", "as_result", "in a timeout", "in a timeout, as_result"};
    return names[static_cast<int>(form)];
}

[[nodiscard]] constexpr bool hides_stop(wait_form form) noexcept {
    return form == wait_form::as_result || form == wait_form::timeout_as_result;
}

/// One task at a time waits here. Nothing that it waits for happens by itself: nobody connects or
/// sends or reads, the listener that it connects to is full, and it sleeps for days.
class wait_site {
    crowded_listener crowded_;

public:
    static constexpr std::size_t read_size = 16;
    static constexpr std::size_t write_size = 32 * 1024;

    wait_site() : wait_site(tcp_pair(kernel_buffer_size)) {}

    /// Waits once. A stop unwinds the task in its plain forms; the others see it as an error.
    [[nodiscard]] task<> wait(wait_kind kind, wait_form form) {
        prepare(kind);
        switch (kind) {
            case wait_kind::accept:
                return start<&wait_site::accept>(form);
            case wait_kind::connect:
                return start<&wait_site::connect>(form);
            case wait_kind::read_some:
                return start<&wait_site::read_some>(form);
            case wait_kind::read_some_vectored:
                return start<&wait_site::read_some_vectored>(form);
            case wait_kind::read_exact:
                return start<&wait_site::read_exact>(form);
            case wait_kind::write_all:
                return start<&wait_site::write_all>(form);
            case wait_kind::write_all_vectored:
                return start<&wait_site::write_all_vectored>(form);
            case wait_kind::sleep:
                return start<&wait_site::sleep>(form);
        }
        return {};
    }

    // --- before a wait -----------------------------------------------------------------
    tcp_listener listener;
    tcp_stream stream;
    unique_fd far;   ///< the other end of `stream`
    address target;  ///< what `connect` connects to
    clock::duration nap = std::chrono::hours(48);
    clock::duration limit = std::chrono::hours(24);

    // --- during a wait, any thread ---------------------------------------------------------
    std::atomic<bool> begun{false};

    // --- after a wait ----------------------------------------------------------------------
    int values = 0;  ///< how often code behind the await saw a value
    int errors = 0;  ///< the same for errors, `error` being the last
    std::error_code error;
    std::size_t count = 0;        ///< bytes that the value told of
    tcp_stream taken;             ///< the connection that the value was
    std::vector<std::byte> held;  ///< what the buffers held when the task gave them up
    object_count objects;

    /// False when somebody wrote beside the buffers, or into them after the task gave them up.
    [[nodiscard]] bool buffers_are_intact() const {
        return first_->is_intact() && second_->is_intact();
    }

    /// What write_all is to write.
    [[nodiscard]] static std::byte pattern(std::size_t index) noexcept {
        return static_cast<std::byte>(index * 7 + (index >> 8) + 1);
    }

private:
    static constexpr int kernel_buffer_size = 4096;

    /// What a waiting task has and gives up when it ends, in whatever way.
    class belongings {
    public:
        explicit belongings(wait_site& site) noexcept : site_(site), counted_(site.objects) {
            site_.begun.store(true);
        }

        belongings(belongings const&) = delete;
        belongings& operator=(belongings const&) = delete;

        ~belongings() { site_.give_up_buffers(); }

    private:
        wait_site& site_;
        counted counted_;
    };

    explicit wait_site(tcp_pair&& connection)
        : listener(address::loopback_v4(0))
        , stream(tcp_stream::adopt(std::move(connection.near)).value())
        , far(std::move(connection.far))
        , target(crowded_.where()) {}

    void prepare(wait_kind kind) {
        std::size_t const half = (is_write(kind) ? write_size : read_size) / 2;
        first_.emplace(half);
        second_.emplace(half);
        for (std::size_t i = 0; i < half && is_write(kind); ++i) {
            first_->bytes()[i] = pattern(i);
            second_->bytes()[i] = pattern(half + i);
        }
        values = errors = 0;
        error.clear();
        count = 0;
        taken = tcp_stream();
        held.clear();
        begun.store(false);
    }

    void give_up_buffers() {
        for (canary_buffer* const each : {&*first_, &*second_}) {
            held.insert(held.end(), each->bytes().begin(), each->bytes().end());
            each->retire();
        }
    }

    // --- the operations ------------------------------------------------------------------
    [[nodiscard]] accept_operation accept() { return listener.accept(); }

    [[nodiscard]] basic_connect<false> connect() { return tcp_stream::connect(target); }

    [[nodiscard]] receive_operation read_some() { return stream.read_some(first_->bytes()); }

    [[nodiscard]] vectored_receive_operation read_some_vectored() {
        mutable_buffer const both[] = {first_->bytes(), second_->bytes()};
        return stream.read_some(both);
    }

    [[nodiscard]] transfer_operation read_exact() { return stream.read_exact(first_->bytes()); }

    [[nodiscard]] transfer_operation write_all() { return stream.write_all(first_->bytes()); }

    [[nodiscard]] vectored_transfer_operation write_all_vectored() {
        const_buffer const both[] = {first_->bytes(), second_->bytes()};
        return stream.write_all(both);
    }

    [[nodiscard]] task<std::size_t> sleep() {
        co_await sleep_for(nap);
        co_return std::size_t{0};
    }

    // --- the forms -----------------------------------------------------------------------
    template <auto Operation>
    using value_of = std::conditional_t<
        std::is_same_v<decltype(Operation), accept_operation (wait_site::*)()> ||
            std::is_same_v<decltype(Operation), basic_connect<false> (wait_site::*)()>,
        tcp_stream,
        std::size_t>;

    template <auto Operation>
    [[nodiscard]] task<> start(wait_form form) {
        switch (form) {
            case wait_form::plain:
                return wait_plain<Operation>();
            case wait_form::as_result:
                return wait_as_result<Operation>();
            case wait_form::timeout:
                return wait_timeout<Operation>();
            case wait_form::timeout_as_result:
                return wait_timeout_as_result<Operation>();
        }
        return {};
    }

    template <auto Operation>
    [[nodiscard]] task<value_of<Operation>> as_task() {
        counted const own(objects);
        auto value = co_await (this->*Operation)();
        co_return value;
    }

    template <auto Operation>
    [[nodiscard]] task<> wait_plain() {
        belongings const own(*this);
        note(co_await (this->*Operation)());
    }

    template <auto Operation>
    [[nodiscard]] task<> wait_as_result() {
        belongings const own(*this);
        auto ended = co_await ((this->*Operation)() | weft::as_result);
        note(std::move(ended));
    }

    template <auto Operation>
    [[nodiscard]] task<> wait_timeout() {
        belongings const own(*this);
        try {
            note(co_await timeout(limit, as_task<Operation>()));
        } catch (std::system_error const& failed) {
            ++errors;
            error = failed.code();
        }
    }

    template <auto Operation>
    [[nodiscard]] task<> wait_timeout_as_result() {
        belongings const own(*this);
        auto ended = co_await (timeout(limit, as_task<Operation>()) | weft::as_result);
        note(std::move(ended));
    }

    void note(std::size_t bytes) noexcept {
        ++values;
        count = bytes;
    }

    void note(tcp_stream connection) {
        ++values;
        taken = std::move(connection);
    }

    template <class T>
    void note(result<T> ended) {
        if (ended) {
            note(std::move(*ended));
        } else {
            ++errors;
            error = ended.error();
        }
    }

    std::optional<canary_buffer> first_{std::in_place, 0};
    std::optional<canary_buffer> second_{std::in_place, 0};
};

}  // namespace weft::test
