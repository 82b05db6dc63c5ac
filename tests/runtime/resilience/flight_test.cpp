#include <weft/runtime/resilience/detail/flight.hpp>

#include <doctest/doctest.h>

#include <exception>
#include <utility>

namespace {

using weft::detail::flight;
using weft::detail::flight_board;
using weft::detail::flight_pilot;
using weft::detail::flight_reference;
using weft::detail::outcome;

/// Counts itself.
class counted_error : public std::exception {
public:
    explicit counted_error(int& alive) : alive_(&alive) { ++alive; }

    counted_error(counted_error const& other) : std::exception(other), alive_(other.alive_) {
        ++*alive_;
    }

    counted_error& operator=(counted_error const&) = delete;

    ~counted_error() override { --*alive_; }

private:
    int* alive_;
};

/// A flight without work. Its owner has the first reference and is the first participant.
class empty_flight : public flight {
public:
    explicit empty_flight(flight_board& board) : flight(board, &unlist, &dispose) {
        ++board.counters.in_flight;
    }

    bool disposed = false;

private:
    static void unlist(flight&) noexcept {}

    static void dispose(flight& base) noexcept { static_cast<empty_flight&>(base).disposed = true; }
};

}  // namespace

TEST_SUITE("runtime/resilience/flight") {
    TEST_CASE("an error is destroyed by the last participant, however long the pilot lives") {
        flight_board board;
        empty_flight flown(board);
        int errors = 0;
        {
            flown.share();
            flight_pilot pilot{flight_reference(flown)};
            {
                weft::detail::scoped_lock const lock(board.mutex_);
                flown.join();
            }
            pilot.land(outcome::error, std::make_exception_ptr(counted_error(errors)));
            std::exception_ptr first = flown.take_error();
            std::exception_ptr last = flown.take_error();
            CHECK(first == last);
            first = nullptr;
            CHECK(errors == 1);
            last = nullptr;
            CHECK(errors == 0);
            CHECK_FALSE(flown.disposed);
        }
        flown.drop();
        CHECK(flown.disposed);
    }

    TEST_CASE("an error that nobody takes is destroyed with the flight") {
        int errors = 0;
        {
            flight_board board;
            empty_flight flown(board);
            flown.share();
            flight_pilot pilot{flight_reference(flown)};
            pilot.land(outcome::error, std::make_exception_ptr(counted_error(errors)));
            CHECK(errors == 1);
        }
        CHECK(errors == 0);
    }
}
