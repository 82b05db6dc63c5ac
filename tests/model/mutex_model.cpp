/// The mutex of sync/, its waiters being coroutines.

#include <weft/sync/mutex.hpp>
#include <weft/tests/model/coroutines.hpp>

#include <doctest/doctest.h>

namespace model = weft::model;

namespace {

weft::task<> add(weft::mutex& lock, model::plain<int>& value) {
    auto const guard = co_await lock.scoped_lock();
    value.write(value.read() + 1);
}

/// Nobody else is in the critical section, and nobody is left waiting.
void two_lockers() {
    weft::mutex lock;
    model::plain<int> value{0};
    model::crew workers;
    model::job one(workers, add(lock, value));
    model::job other(workers, add(lock, value));
    workers.run();
    model::expect(value.read() == 2, "a locker is lost");
}

}  // namespace

TEST_SUITE("model/mutex") {
    TEST_CASE("lockers enter one after the other, with what the one before wrote") {
        CHECK(model::explore("two_lockers", &two_lockers));
    }
}
