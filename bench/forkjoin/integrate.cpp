// Question: what do small tasks cost in a tree that nobody can balance beforehand? Excluded:
// starting the workers. Would invalidate it: more workers than idle CPUs.

#include <weft/bench/forkjoin/problems/integrate.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/pool/thread_pool.hpp>

namespace {

weft::task<double> integrate(forkjoin::trapezoid whole) {
    forkjoin::refinement const halves(whole);
    if (halves.is_close_to(whole)) {
        co_return halves.area();
    }
    auto const [left, right] =
        co_await weft::when_all(integrate(halves.left), integrate(halves.right));
    co_return left + right;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::integrate_size, forkjoin::integrate_size_max);
    auto const end = static_cast<double>(options.size);
    weft::thread_pool pool({.workers = options.workers});
    return forkjoin::measure(
        "weft",
        "integrate",
        options,
        [&] { return pool.block_on(integrate(forkjoin::trapezoid::between(0, end))); },
        [&](double answer) { return forkjoin::is_integral_to(end, answer); });
}
