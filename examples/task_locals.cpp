// A request id that every task below a request sees, on whatever worker or thread it runs, without
// being passed along. Run: task_locals

#include <weft/weft.hpp>

#include <cstdio>
#include <string>

namespace {

constinit weft::task_local<std::string> request_id;

weft::task<> log(char const* text) {
    std::string const* const id = co_await request_id.find();
    std::printf("[%s] %s\n", id != nullptr ? id->c_str() : "-", text);
}

// The same in a function that blocks, on a thread for such calls.
void store() {
    std::string const* const id = weft::find_in_call(request_id);
    std::printf("[%s] stored\n", id != nullptr ? id->c_str() : "-");
}

weft::task<> handle() {
    co_await log("begun");
    auto body = [](weft::nursery& n) -> weft::task<> {
        n.spawn(log("in a child"));
        co_return;
    };
    co_await weft::scope(body);
    co_await weft::blocking(store);
}

weft::task<> program() {
    co_await log("outside");
    co_await request_id.with("request 1", handle());
    co_await request_id.with("request 2", request_id.with("request 2, retried", handle()));
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(program());
}
