#include <weft/tests/fuzz/runner.hpp>

#include <weft/runtime/core/frame_pool.hpp>
#include <weft/runtime/pool/thread_pool.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/testing/test_runtime.hpp>
#include <weft/tests/fuzz/reference.hpp>
#include <weft/tests/fuzz/watchdog.hpp>
#include <weft/tests/fuzz/world.hpp>
#include <weft/tests/support/fd_count.hpp>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <variant>

namespace weft::fuzz {
namespace {

using namespace std::chrono_literals;
using detail::frame_pool;

/// By then only those wait that nobody is going to wake.
constexpr auto everybody_waits_after = 5h;
constexpr auto all_must_end_after = 6h;

/// In real time a program is stopped after this.
constexpr auto real_time_most = 20ms;

task<> watch(world& here, stop_source& source, std::int64_t stop_us) {
    clock::duration const until_stop =
        std::chrono::microseconds(std::max<std::int64_t>(stop_us, 0));
    if (stop_us >= 0) {
        co_await weft::sleep_for(until_stop);
        source.request_stop();
    }
    co_await weft::sleep_for(everybody_waits_after - until_stop);
    here.expect_nobody_forgotten();
    co_await weft::sleep_for(all_must_end_after - everybody_waits_after);
    source.request_stop();
}

/// Ends with a value whatever becomes of the tree: that stands in the account.
task<> whole(world& here, node const& root, stop_source& source) {
    try {
        work tree = run(here, root, frame_mark(here.root));
        (void)co_await with_stop_token(source.token(), std::move(tree));
    } catch (...) {
        here.root.expect_alone("when the tree had failed");
        co_return;
    }
    here.root.expect_alone("when the tree had given its value");
}

task<> whole_in_virtual_time(world& here, program const& what, stop_source& source) {
    auto const body = [&](nursery& children) -> task<> {
        children.spawn_without_handle(watch(here, source, what.stop_us));
        task<> tree = whole(here, what.root, source);
        co_await std::move(tree);
        children.request_stop();
    };
    co_await scope(body);
}

/// Of each node in the order of the times, where these differ by more than a grain.
std::vector<ending> in_order(std::vector<ending> const& endings) {
    std::map<unsigned, std::vector<ending>> by_node;
    for (ending const& each : endings) {
        std::vector<ending>& row = by_node[each.node];
        auto const place = std::find_if(row.rbegin(), row.rend(), [&each](ending const& other) {
            return other.time_us <= each.time_us + 200;
        });
        row.insert(place.base(), each);
    }
    std::vector<ending> all;
    for (auto const& [node, row] : by_node) {
        all.insert(all.end(), row.begin(), row.end());
    }
    return all;
}

std::string text_of(ending const& how) {
    return '#' + std::to_string(how.node) + ' ' + how.how.text() + " at " +
           std::to_string(how.time_us);
}

/// Every node has ended as foretold, and when.
void compare(account& book, std::vector<ending> const& rules, std::vector<ending> const& run) {
    constexpr std::int64_t tolerance_us = 150;
    std::vector<ending> const foretold = in_order(rules);
    std::vector<ending> const seen = in_order(run);
    for (std::size_t i = 0; i != std::max(foretold.size(), seen.size()); ++i) {
        std::string const due = i < foretold.size() ? text_of(foretold[i]) : "nothing";
        std::string const was = i < seen.size() ? text_of(seen[i]) : "nothing";
        bool const same = i < foretold.size() && i < seen.size() &&
                          foretold[i].node == seen[i].node && foretold[i].how == seen[i].how &&
                          std::abs(foretold[i].time_us - seen[i].time_us) <= tolerance_us;
        if (!same) {
            book.fail("seen: " + was + "; foretold: " + due);
            return;
        }
    }
}

constexpr kind on_threads[] = {kind::blocking, kind::remote_spawn};

bool is_repeatable(node const& root) {
    return !contains(root, on_threads);
}

/// What has to be as before when a run is over.
class leak_check {
public:
    explicit leak_check(account& book) : book_(book), fds_(test::fd_count()) {}

    void finish(test::object_count const& objects) {
        if (objects.alive != 0) {
            book_.fail(std::to_string(objects.alive) + " values are alive at the end");
        }
        if (std::size_t const left = frames_left(); left != 0) {
            book_.fail(std::to_string(left) + " frames are alive at the end");
        }
        if (std::size_t const now = test::fd_count(); now != fds_) {
            book_.fail(std::to_string(now) + " descriptors are open at the end, " +
                       std::to_string(fds_) + " before");
        }
    }

private:
    /// Between two programs there are none. A thread of a pool that has gone may be on its way out
    /// still, and hand over free ones meanwhile; turns are counted, not time, which passes for
    /// nobody when the machine stands still.
    static std::size_t frames_left() {
        std::mutex mutex;
        std::condition_variable nobody;
        std::size_t left = frame_pool::live_frames();
        for (int turn = 0; left != 0 && turn < 30'000; ++turn) {
            std::unique_lock lock(mutex);
            (void)nobody.wait_for(lock, 1ms);
            left = frame_pool::live_frames();
        }
        return left;
    }

    account& book_;
    std::size_t fds_;
};

std::vector<ending> run_once(program const& what, unsigned workers, account& book) {
    test::object_count objects;
    leak_check leaks(book);
    watch_over const watched(what.root, book);
    std::int64_t began = 0;
    {
        world here(setting::virtual_time, book, objects);
        here.runs_in_order = workers == 1 && is_repeatable(what.root);
        stop_source source;
        {
            test::runtime rt({.workers = workers});
            began = rt.now().time_since_epoch() / 1us;
            rt.block_on(whole_in_virtual_time(here, what, source));
        }
        here.settle();
    }
    leaks.finish(objects);
    std::vector<ending> seen = book.endings();
    for (ending& each : seen) {
        each.time_us -= began;
    }
    return seen;
}

}  // namespace

/// A pool, or a runtime with a driver, and the thread that waits for what runs there.
class runner::real_runtime {
public:
    real_runtime(run_settings const& settings, unsigned workers) {
        if (settings.where == setting::pool) {
            held_.emplace<std::unique_ptr<thread_pool>>(new thread_pool({.workers = workers}));
        } else {
            held_.emplace<std::unique_ptr<runtime>>(
                new runtime({.workers = workers, .driver = settings.driver}));
        }
    }

    [[nodiscard]] runtime_base& base() {
        if (auto* const pool = std::get_if<std::unique_ptr<thread_pool>>(&held_)) {
            return **pool;
        }
        return *std::get<std::unique_ptr<runtime>>(held_);
    }

    /// Waits until nothing is left of what ran.
    void wait_until_empty() {
        while (base().task_count() != 0) {
            std::this_thread::yield();
        }
    }

    [[nodiscard]] std::size_t operations_in_flight() {
        auto* const io = std::get_if<std::unique_ptr<runtime>>(&held_);
        return io == nullptr ? 0 : (*io)->operations_in_flight();
    }

private:
    std::variant<std::monostate, std::unique_ptr<thread_pool>, std::unique_ptr<runtime>> held_;
};

namespace {

/// Tells the thread that waits for it.
class flag {
public:
    void raise() {
        std::scoped_lock const lock(mutex_);
        raised_ = true;
        changed_.notify_all();
    }

    /// False when the time is over first.
    bool wait_for(std::chrono::nanoseconds time) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, time, [this] { return raised_; });
    }

    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return raised_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool raised_ = false;
};

task<> whole_in_real_time(world& here, node const& root, stop_source& source, flag& over) {
    task<> tree = whole(here, root, source);
    co_await std::move(tree);
    over.raise();
}

}  // namespace

runner::runner(run_settings const& settings) : settings_(settings) {}

runner::~runner() = default;

complaints runner::run(program const& what) {
    return settings_.where == setting::virtual_time ? run_in_virtual_time(what)
                                                    : run_in_real_time(what);
}

complaints runner::run_in_virtual_time(program const& what) {
    unsigned const workers = settings_.workers == 0 ? 1 : settings_.workers;
    account book;
    std::vector<ending> const seen = run_once(what, workers, book);
    if (what.belongs_to <= family::timed && workers == 1) {
        reference const rules(what.root, what.stop_us);
        if (rules.is_sure()) {
            ++foretold_;
            compare(book, rules.endings(), seen);
        }
    }
    if (workers == 1 && what.seed % 4 == 0 && is_repeatable(what.root) && !book.has_failed()) {
        account again;
        std::vector<ending> const second = run_once(what, workers, again);
        bool const same = std::equal(seen.begin(),
                                     seen.end(),
                                     second.begin(),
                                     second.end(),
                                     [](ending const& left, ending const& right) {
                                         return left.node == right.node &&
                                                left.time_us == right.time_us &&
                                                left.how == right.how;
                                     });
        if (!same) {
            book.fail("a second run in virtual time has gone another way");
        }
    }
    return book.failures();
}

complaints runner::run_in_real_time(program const& what) {
    constexpr unsigned programs_per_runtime = 20;
    if (programs_left_ == 0 || runtime_ == nullptr) {
        runtime_.reset();
        unsigned const workers = settings_.workers == 0 ? what.workers : settings_.workers;
        runtime_ = std::make_unique<real_runtime>(settings_, workers);
        programs_left_ = programs_per_runtime;
    }
    --programs_left_;
    account book;
    test::object_count objects;
    leak_check leaks(book);
    watch_over const watched(what.root, book);
    {
        world here(settings_.where, book, objects);
        stop_source source;
        flag over;
        (void)runtime_->base().spawn(whole_in_real_time(here, what.root, source, over));
        std::chrono::nanoseconds const until_stop =
            what.stop_us >= 0 ? std::chrono::nanoseconds(what.stop_us) : real_time_most;
        if (!over.wait_for(until_stop)) {
            source.request_stop();
            over.wait();
        }
        runtime_->wait_until_empty();
        here.settle();
        if (std::size_t const left = runtime_->operations_in_flight(); left != 0) {
            book.fail(std::to_string(left) + " operations are in flight at the end");
        }
    }
    leaks.finish(objects);
    return book.failures();
}

}  // namespace weft::fuzz
