/// I/O operations and the gate of their socket, with a kernel of the model's own.

#include <weft/io/net/detail/socket_ops.hpp>
#include <weft/runtime/values/error.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>
#include <optional>

#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

namespace model = weft::model;
using weft::detail::descriptor_state;
using weft::detail::io_op;

namespace {

constexpr int descriptor = 1 << 20;  // nobody's, if it should reach the real kernel

/// What the program asked of the kernel. The kernel is a thread of the model; an operation gives it
/// the buffer until its answer has been reported to the home.
class kernel final : public weft::detail::io_backend {
public:
    explicit kernel(bool has_data) noexcept : has_data_(has_data) {}

    [[nodiscard]] bool try_now(io_op&) noexcept override { return false; }

    void start(io_op& op) noexcept override {
        use_descriptor();
        op.in_kernel = 1;
        given_.emplace(op, *this);
        known_ = model::hand_over();
        was_given_ = true;
    }

    /// The answer to the cancellation comes at once, that of the operation when it likes.
    void cancel(io_op& op) noexcept override {
        ++op.in_kernel;
        is_cancelled_ = true;
        given_->home->post(given_->cancelled);
    }

    [[nodiscard]] std::size_t in_flight() const noexcept override { return 0; }

    [[nodiscard]] char const* name() const noexcept override { return "model"; }

    void shut_down() noexcept {
        use_descriptor();
        known_to_closer_ = model::hand_over();
        is_shut_ = true;
    }

    void close() noexcept {
        model::expect(open_.read() == 1, "a descriptor is closed twice");
        open_.write(0);
    }

    /// Known to whoever is ordered behind the close.
    [[nodiscard]] bool is_closed() const noexcept { return open_.read() == 0; }

    /// A read has passed the gate.
    [[nodiscard]] bool was_asked() const noexcept { return was_given_; }

    /// Nothing will be asked of it any more.
    void leave() noexcept { is_over_ = true; }

    /// The thread.
    void run() noexcept {
        model::await(&has_answer, this, model::no_deadline);
        if (!was_given_) {
            return;
        }
        model::take_over(known_);
        use_descriptor();
        // What came first may have been any of what has come by now.
        int answers[3];
        std::size_t count = 0;
        if (has_data_) {
            answers[count++] = 1;
        }
        if (is_cancelled_) {
            answers[count++] = -ECANCELED;
        }
        if (is_shut_) {
            answers[count++] = 0;
        }
        answer_ = answers[model::choose(count)];
        if (answer_ == 0) {
            model::take_over(known_to_closer_);  // an end that follows from the shutdown
        }
        if (answer_ == 1) {
            *static_cast<weft::detail::transfer&>(*given_->op).data = 1;
        }
        given_->home->post(given_->completed);
    }

private:
    struct request : weft::detail::remote_request {
        request(run_function function, kernel& of) noexcept : remote_request(function), self(&of) {}

        kernel* self;
    };

    struct operation {
        operation(io_op& asked, kernel& of)
            : op(&asked)
            , home(weft::detail::current_worker())
            , completed(&on_completed, of)
            , cancelled(&on_cancelled, of) {}

        io_op* op;
        weft::detail::worker* home;
        request completed;
        request cancelled;
    };

    static void on_completed(weft::detail::remote_request& base) noexcept {
        kernel& self = *static_cast<request&>(base).self;
        io_op& op = *self.given_->op;
        --op.in_kernel;
        model::expect(op.absorb({self.answer_}), "an operation goes on after its answer");
        self.finish();
    }

    static void on_cancelled(weft::detail::remote_request& base) noexcept {
        kernel& self = *static_cast<request&>(base).self;
        --self.given_->op->in_kernel;
        self.finish();
    }

    void finish() noexcept {
        io_op& op = *given_->op;
        if (op.in_kernel == 0 && op.is_over) {
            op.finish();
        }
    }

    static bool has_answer(void const* argument) noexcept {
        auto const& self = *static_cast<kernel const*>(argument);
        return self.is_over_ ||
               (self.was_given_ && (self.has_data_ || self.is_cancelled_ || self.is_shut_));
    }

    void use_descriptor() const noexcept {
        model::expect(open_.read() == 1, "a closed descriptor is used");
    }

    bool const has_data_;

    // Not part of the model: no step lies within their uses.
    std::optional<operation> given_;
    model::knowledge known_{};
    model::knowledge known_to_closer_{};
    bool was_given_ = false;
    bool is_cancelled_ = false;
    bool is_shut_ = false;
    bool is_over_ = false;
    int answer_ = 0;

    model::plain<int> open_{1};
};

kernel* running = nullptr;

}  // namespace

extern "C" {

int shutdown(int fd, int how) noexcept {
    if (model::exploring() && fd == descriptor) {
        running->shut_down();
        return 0;
    }
    static auto* const next = reinterpret_cast<int (*)(int, int)>(::dlsym(RTLD_NEXT, "shutdown"));
    return next(fd, how);
}

int close(int fd) {
    if (model::exploring() && fd == descriptor) {
        running->close();
        return 0;
    }
    static auto* const next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "close"));
    return next(fd);
}

}  // extern "C"

namespace {

struct outcome {
    std::optional<weft::result<std::size_t>> of_read;
    int frames = 0;
};

class read_operation : public weft::detail::transfer {
public:
    read_operation(descriptor_state& where, unsigned char& buffer) noexcept
        : transfer({weft::detail::receive_kind,
                    where,
                    weft::detail::io_object::descriptor(::descriptor),
                    &buffer,
                    1}) {}

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> reader) noexcept {
        return start(reader.promise());
    }

    [[nodiscard]] weft::result<std::size_t> await_resume() noexcept {
        last_use const leaves(*this);
        return transfer::outcome();
    }
};

weft::task<> read(descriptor_state& socket, outcome& told) {
    unsigned char buffer = 0;
    auto const count = co_await read_operation(socket, buffer);
    model::expect(!count || *count == buffer, "a byte is lost");
    told.of_read.emplace(count);
}

struct gate {
    explicit gate(descriptor_state& of) noexcept : socket(&of) {}

    descriptor_state* socket;
    weft::detail::close_wait wait;

    [[nodiscard]] bool await_ready() const noexcept { return false; }

    template <std::derived_from<weft::detail::promise_base> Promise>
    [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> caller) noexcept {
        wait = weft::detail::close_wait(caller.promise());
        return socket->begin_close(wait);
    }

    [[nodiscard]] bool await_resume() const noexcept { return wait.is_closer(); }
};

/// What tcp_stream::close() does; then the socket is destroyed, unless the read or another close
/// has yet to find it closed.
weft::task<> close_socket(std::unique_ptr<descriptor_state>& socket, bool is_only_one) {
    bool const is_closer = co_await gate(*socket);
    if (is_closer) {
        socket->finish_close();
    }
    model::expect(running->is_closed(), "a close returns before the socket is closed");
    if (is_only_one && running->was_asked()) {
        socket.reset();
    }
}

/// One read on worker 0. The kernel leaves when the crew has.
template <bool HasData, bool Stops, int Closes>
void read_once() {
    kernel device(HasData);
    running = &device;
    auto socket = std::make_unique<descriptor_state>(weft::unique_fd(descriptor));
    outcome told;
    auto serves = [&] { device.run(); };
    model::thread serving(serves);
    bool stopped = false;
    {
        model::crew workers;
        workers.set_io(0, &device);
        workers.set_io(1, &device);
        model::job reader(workers, read(*socket, told));
        std::optional<model::job> closers[2];
        for (int i = 0; i < Closes; ++i) {
            closers[i].emplace(workers, close_socket(socket, Closes == 1));
        }
        auto stops = [&] { reader.request_stop(); };
        std::optional<model::thread> stopper;
        if (Stops) {
            stopper.emplace(stops);
        }
        workers.run();
        stopped = reader.was_stopped();
        model::expect(Stops || !stopped, "a read is stopped that nobody stopped");
        for (int i = 0; i < Closes; ++i) {
            model::expect(closers[i]->has_value(), "a close does not end");
        }
    }
    device.leave();
    serving.join();
    model::expect(stopped == !told.of_read.has_value(), "a stopped read goes on");
    if (told.of_read) {
        bool const closed = !*told.of_read && told.of_read->error() == weft::errc::closed;
        model::expect((*told.of_read && **told.of_read == 1) || (Closes != 0 && closed),
                      "a read ends with neither data nor the close");
    }
}

}  // namespace

TEST_SUITE("model/descriptor") {
    TEST_CASE("a read that is stopped while it completes ends once, with what happened") {
        CHECK(model::explore("completed", &read_once<true, false, 0>));
        CHECK(model::explore(
            "completion_against_stop", &read_once<true, true, 0>, {.stale_reads = 0}));
        CHECK(model::explore("stopped", &read_once<false, true, 0>, {.stale_reads = 0}));
    }

    TEST_CASE("a close ends what is in flight, waits for it, and frees the socket at once") {
        CHECK(model::explore(
            "completion_against_close", &read_once<true, false, 1>, {.stale_reads = 1}));
        CHECK(model::explore("closed", &read_once<false, false, 1>, {.stale_reads = 1}));
    }

    TEST_CASE("of two closes one closes, and the other returns when it is done") {
        CHECK(model::explore("two_closes", &read_once<false, false, 2>, {.stale_reads = 1}));
    }

    TEST_CASE("a read that meets both a stop and a close ends once") {
        CHECK(model::explore("stop_against_close", &read_once<false, true, 1>, {.stale_reads = 0}));
        CHECK(model::explore(
            "stop_completion_and_close", &read_once<true, true, 1>, {.stale_reads = 0}));
    }
}
