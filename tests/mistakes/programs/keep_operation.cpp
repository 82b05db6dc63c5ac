// only: clang
// with: -Werror=dangling
// says: will be destroyed at the end of the full-expression

#include <weft/runtime/time/sleep.hpp>
#include <weft/runtime/time/timeout.hpp>

weft::task<> run() {
    using std::chrono::seconds;
    auto limited = weft::timeout(seconds(1), weft::sleep_for(seconds(2)));
    co_await std::move(limited);
}
