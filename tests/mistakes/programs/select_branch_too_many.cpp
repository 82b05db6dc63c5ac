// says: the select has no branch of this number

#include <weft/sync/locks/event.hpp>
#include <weft/sync/select.hpp>

weft::task<> run(weft::manual_reset_event& first, weft::manual_reset_event& second) {
    auto won = co_await weft::select(first.wait(), second.wait());
    (void)won.get<2>();
}
