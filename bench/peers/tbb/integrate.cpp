// The question of bench/forkjoin/integrate.cpp, put to oneTBB.

#include <weft/bench/forkjoin/problems/integrate.hpp>

#include <weft/bench/forkjoin/harness.hpp>
#include <weft/bench/peers/tbb/pool.hpp>

#include <tbb/task_group.h>

namespace {

double integrate(forkjoin::trapezoid const& whole) {
    forkjoin::refinement const halves(whole);
    if (halves.is_close_to(whole)) {
        return halves.area();
    }
    double left = 0;
    tbb::task_group forked;
    forked.run([&] { left = integrate(halves.left); });
    double const right = integrate(halves.right);
    forked.wait();
    return left + right;
}

}  // namespace

int main(int argc, char** argv) {
    auto const options =
        forkjoin::read_options(argc, argv, forkjoin::integrate_size, forkjoin::integrate_size_max);
    auto const end = static_cast<double>(options.size);
    tbb_peer::pool pool(options.workers);
    return forkjoin::measure(
        "tbb",
        "integrate",
        options,
        [&] { return pool.run([&] { return integrate(forkjoin::trapezoid::between(0, end)); }); },
        [&](double answer) { return forkjoin::is_integral_to(end, answer); });
}
