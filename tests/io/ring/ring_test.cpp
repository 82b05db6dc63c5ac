#include <weft/io/ring/ring.hpp>

#include <weft/tests/support/death.hpp>
#include <weft/tests/support/uring_setups.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <string>
#include <system_error>
#include <thread>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using weft::detail::no_deadline;
using weft::detail::ring;
using weft::detail::uring_feature;
using weft::detail::uring_features;
using weft::detail::uring_options;

/// Submits `count` no-ops numbered from 0 and gives how many answers came back in order.
unsigned answered_in_order(ring& tested, unsigned count) {
    unsigned submitted = 0;
    unsigned in_order = 0;
    unsigned seen = 0;
    while (seen < count) {
        while (submitted < count) {
            ::io_uring_sqe* const sqe = tested.try_sqe();
            if (sqe == nullptr) {
                break;
            }
            ::io_uring_prep_nop(sqe);
            sqe->user_data = submitted++;
        }
        if (tested.wait(no_deadline) < 0) {
            return in_order;
        }
        ring::answer answers[8];
        while (unsigned const taken = tested.take(answers, 8)) {
            for (unsigned i = 0; i < taken; ++i) {
                in_order += answers[i].user_data == seen && answers[i].result == 0 ? 1 : 0;
                ++seen;
            }
        }
    }
    return in_order;
}

uring_options with_disabled(char const* list) {
    uring_options options;
    CHECK(options.disable(list).empty());
    return options;
}

}  // namespace

TEST_SUITE("io/ring") {
    TEST_CASE("a ring of default size answers every entry, in order") {
        WEFT_NEEDS_URING();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(uring_options(), report));
        tested.enable();
        CHECK(answered_in_order(tested, 5000) == 5000);
        CHECK(tested.unsubmitted() == 0);
        tested.retire();
    }

    TEST_CASE("a ring of one entry with a completion queue of one answers every entry") {
        WEFT_NEEDS_URING();
        uring_options options;
        options.entries = 1;
        options.completion_entries = 1;
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(options, report));
        CHECK(tested.entries() == 1);
        tested.enable();
        CHECK(answered_in_order(tested, 100) == 100);
        tested.retire();
    }

    TEST_CASE("a full queue gives no entry until the kernel has taken one") {
        WEFT_NEEDS_URING();
        uring_options options;
        options.entries = 2;
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(options, report));
        tested.enable();
        for (int i = 0; i < 2; ++i) {
            ::io_uring_sqe* const sqe = tested.try_sqe();
            REQUIRE(sqe != nullptr);
            ::io_uring_prep_nop(sqe);
        }
        CHECK(tested.try_sqe() == nullptr);
        CHECK(tested.unsubmitted() == 2);
        CHECK(tested.submit() == 2);
        CHECK(tested.try_sqe() != nullptr);
        tested.retire();
    }

    TEST_CASE("entries that a refused enter has left are handed over by a later one") {
        WEFT_NEEDS_URING();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(weft::test::uring_failing(2, EAGAIN, 2), report));
        tested.enable();
        unsigned refused = 0;
        for (std::uint64_t round = 0; round < 20; ++round) {
            for (std::uint64_t i = 0; i < 2; ++i) {
                ::io_uring_sqe* const sqe = tested.try_sqe();
                REQUIRE(sqe != nullptr);
                ::io_uring_prep_nop(sqe);
                sqe->user_data = 2 * round + i;
            }
            while (tested.submit() < 0) {
                CHECK(tested.unsubmitted() == 2);
                CHECK(tested.try_sqe() == nullptr);
                ++refused;
            }
            CHECK(tested.unsubmitted() == 0);
            ring::answer answers[2];
            unsigned taken = 0;
            while (taken < 2) {
                taken += tested.take(answers + taken, 2 - taken);
                if (taken < 2) {
                    (void)tested.collect_only();
                }
            }
            CHECK(answers[0].user_data == 2 * round);
            CHECK(answers[1].user_data == 2 * round + 1);
        }
        CHECK(refused > 0);
        tested.retire();
    }

    TEST_CASE("completions beyond the completion queue are kept and delivered later") {
        WEFT_NEEDS_URING();
        uring_options options;
        options.entries = 2;
        options.completion_entries = 2;
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(options, report));
        tested.enable();
        for (int round = 0; round < 8; ++round) {
            for (int i = 0; i < 2; ++i) {
                ::io_uring_sqe* const sqe = tested.try_sqe();
                REQUIRE(sqe != nullptr);
                ::io_uring_prep_nop(sqe);
            }
            CHECK(tested.submit() == 2);
        }
        unsigned taken = 0;
        while (taken < 16) {
            ring::answer answers[4];
            unsigned const count = tested.take(answers, 4);
            taken += count;
            if (count == 0) {
                REQUIRE(tested.wants_enter());
                REQUIRE(tested.collect_only() >= 0);
            }
        }
        CHECK_FALSE(tested.has_completions());
        CHECK_FALSE(tested.has_overflow());
        tested.retire();
    }

    TEST_CASE("a wait ends at its limit and not before") {
        WEFT_NEEDS_URING();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(uring_options(), report));
        if (!tested.has(uring_feature::ext_arg)) {
            WEFT_SKIP("the kernel's waits carry no limit");
        }
        tested.enable();
        ::timespec before{};
        ::timespec after{};
        ::clock_gettime(CLOCK_MONOTONIC, &before);
        CHECK(tested.wait(3'000'000) == -ETIME);
        ::clock_gettime(CLOCK_MONOTONIC, &after);
        auto const nanoseconds =
            (after.tv_sec - before.tv_sec) * 1'000'000'000L + after.tv_nsec - before.tv_nsec;
        CHECK(nanoseconds >= 3'000'000L);
        tested.retire();
    }

    TEST_CASE("each mask steps down to a ring that answers without the feature") {
        WEFT_NEEDS_URING();
        for (unsigned i = 0; i < weft::detail::uring_feature_count; ++i) {
            auto const feature = static_cast<uring_feature>(i);
            std::string const name(weft::detail::name_of(feature));
            CAPTURE(name);
            uring_options const options = with_disabled(name.c_str());
            ring tested;
            std::string report;
            REQUIRE_FALSE(tested.open(options, report));
            CHECK_FALSE(tested.has(feature));
            CHECK(report.find("disabled: " + name) != std::string::npos);
            tested.enable();
            CHECK(answered_in_order(tested, 10) == 10);
            tested.retire();
        }
    }

    TEST_CASE("with everything masked a plain ring remains") {
        WEFT_NEEDS_URING();
        uring_options options;
        options.allowed = uring_features();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(options, report));
        CHECK(tested.features() == uring_features());
        tested.enable();
        CHECK(answered_in_order(tested, 10) == 10);
        tested.retire();
    }

    TEST_CASE("deferred task work is never asked for without a single issuer") {
        WEFT_NEEDS_URING();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(with_disabled("single_issuer"), report));
        CHECK_FALSE(tested.has(uring_feature::defer_taskrun));
    }

    TEST_CASE("a name that is no feature is reported, and masks nothing") {
        uring_options options;
        CHECK(options.disable("poll_first, defer_taskrunn,,ext_arg ,x") == "defer_taskrunn,x");
        CHECK_FALSE(options.allowed.has(uring_feature::poll_first));
        CHECK_FALSE(options.allowed.has(uring_feature::ext_arg));
        CHECK(options.allowed.has(uring_feature::defer_taskrun));
    }

    TEST_CASE("an empty list of masks masks nothing") {
        uring_options options;
        CHECK(options.disable("").empty());
        CHECK(options.disable(" , ").empty());
        CHECK(options.allowed == uring_features::all());
    }

    TEST_CASE("a refused set-up gives the kernel's errno and a reason to read") {
        struct refused {
            int error;
            char const* name;
        };

        for (auto const& each : {refused{EPERM, "EPERM"},
                                 refused{EACCES, "EACCES"},
                                 refused{ENOSYS, "ENOSYS"},
                                 refused{ENOMEM, "ENOMEM"},
                                 refused{EINVAL, "EINVAL"},
                                 refused{EMFILE, "EMFILE"}}) {
            CAPTURE(each.name);
            uring_options options;
            options.setup_fault = each.error;
            ring tested;
            std::string report;
            std::error_code const error = tested.open(options, report);
            CHECK(error == std::error_code(each.error, std::system_category()));
            CHECK(report.find(each.name) != std::string::npos);
        }
    }

    TEST_CASE("a ring made on one thread is used by another") {
        WEFT_NEEDS_URING();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(uring_options(), report));
        unsigned in_order = 0;
        std::thread owner([&] {
            tested.enable();
            in_order = answered_in_order(tested, 100);
            tested.retire();
        });
        owner.join();
        CHECK(in_order == 100);
    }

#if WEFT_ASSERTS
    TEST_CASE("a ring that is used by another thread than its owner aborts and says so") {
        WEFT_NEEDS_URING();
        auto const stray = [] {
            ring tested;
            std::string report;
            if (!tested.open(uring_options(), report)) {
                tested.enable();
                std::thread([&] { (void)tested.try_sqe(); }).join();
            }
        };
        CHECK(weft::test::aborted_saying(weft::test::death_of(stray),
                                         "a ring is used by a thread that does not own it"));
    }
#endif

    TEST_CASE("a forked child does not have the queues of its parent") {
        WEFT_NEEDS_URING();
        ring tested;
        std::string report;
        REQUIRE_FALSE(tested.open(uring_options(), report));
        tested.enable();
        ::io_uring_sqe* const first_entry = tested.try_sqe();  // the first one starts the mapping
        REQUIRE(first_entry != nullptr);
        ::io_uring_prep_nop(first_entry);
        first_entry->user_data = 0;
        ::pid_t const child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            // msync tells whether a page is mapped without touching it.
            bool const unmapped = ::msync(first_entry, 1, MS_ASYNC) != 0 && errno == ENOMEM;
            ::_exit(unmapped ? 0 : 1);
        }
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK(WEXITSTATUS(status) == 0);
        CHECK(tested.wait(no_deadline) == 1);
        ring::answer answer{};
        CHECK(tested.take(&answer, 1) == 1);
        CHECK(answered_in_order(tested, 100) == 100);
        tested.retire();
    }
}
