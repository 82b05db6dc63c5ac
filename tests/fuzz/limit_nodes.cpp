// What surrounds one task: limits, tokens, shields, clean-ups, and results instead of ends.

#include <weft/runtime/join/all_settled.hpp>
#include <weft/runtime/join/when_all.hpp>
#include <weft/runtime/join/when_any.hpp>
#include <weft/runtime/scope/cancel_after.hpp>
#include <weft/runtime/scope/finally.hpp>
#include <weft/runtime/scope/scope.hpp>
#include <weft/runtime/scope/shielded.hpp>
#include <weft/runtime/scope/stop_on.hpp>
#include <weft/runtime/time/timeout.hpp>
#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

using namespace std::chrono_literals;

task<> and_nothing(work doing) {
    co_await std::move(doing);
}

work timeout_of(world& here, instance& self) {
    work child = run_child(here, self, 0);
    parcel made = co_await timeout(here.span(self.what().a), std::move(child));
    co_return made;
}

work deadline_of(world& here, instance& self) {
    clock::time_point const now = detail::policy_now("a program");
    work child = run_child(here, self, 0);
    parcel made = co_await with_deadline(now + here.span(self.what().a), std::move(child));
    co_return made;
}

work shielded_of(world& here, instance& self) {
    work child = run_child(here, self, 0);
    parcel made = co_await shielded(here.span(self.what().a), std::move(child));
    co_return made;
}

work finally_of(world& here, instance& self) {
    auto doing = finally(
        run_child(here, self, 0), here.span(self.what().a), and_nothing(run_child(here, self, 1)));
    co_return co_await std::move(doing);
}

work with_token_of(world& here, instance& self) {
    stop_source source;
    cancel_after const later(here.span(self.what().a), source);
    work child = run_child(here, self, 0);
    parcel made = co_await with_stop_token(source.token(), std::move(child));
    co_return made;
}

work until_soft_of(world& here, instance& self) {
    work child = run_child(here, self, 0);
    parcel made = co_await until_soft_stop(std::move(child));
    co_return made;
}

// --- the result forms ------------------------------------------------------------------

work from_result(world& here, result<parcel> ended) {
    co_return here.make(ended.has_value() ? ended->value
                                          : value_of_error(number_of(ended.error())));
}

work result_of_task(world& here, instance& self) {
    work child = run_child(here, self, 0);
    result<parcel> ended = co_await as_result(std::move(child));
    work made = from_result(here, std::move(ended));
    co_return co_await std::move(made);
}

work result_of_timeout(world& here, instance& self) {
    work child = run_child(here, self, 0);
    result<parcel> ended = co_await (timeout(10h, std::move(child)) | as_result);
    work made = from_result(here, std::move(ended));
    co_return co_await std::move(made);
}

work result_of_when_all(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    result<std::vector<parcel>> ended = co_await (when_all(std::move(children)) | as_result);
    co_return here.make(ended.has_value() ? ended->front().value
                                          : value_of_error(number_of(ended.error())));
}

work result_of_race(world& here, instance& self) {
    std::vector<work> children = run_children(here, self);
    result<parcel> ended = co_await (race(std::move(children)) | as_result);
    work made = from_result(here, std::move(ended));
    co_return co_await std::move(made);
}

work only_child(world& here, instance& self, nursery&) {
    work doing = run_child(here, self, 0);
    co_return co_await std::move(doing);
}

work result_of_scope(world& here, instance& self) {
    auto const body = [&here, &self](nursery& children) {
        return only_child(here, self, children);
    };
    result<parcel> ended = co_await (scope(body) | as_result);
    work made = from_result(here, std::move(ended));
    co_return co_await std::move(made);
}

work result_of_token(world& here, instance& self) {
    stop_source source;
    work child = run_child(here, self, 0);
    result<parcel> ended = co_await (with_stop_token(source.token(), std::move(child)) | as_result);
    work made = from_result(here, std::move(ended));
    co_return co_await std::move(made);
}

work result_of(world& here, instance& self) {
    switch (self.what().a % 6) {
        case 1:
            return result_of_timeout(here, self);
        case 2:
            return result_of_when_all(here, self);
        case 3:
            return result_of_race(here, self);
        case 4:
            return result_of_scope(here, self);
        case 5:
            return result_of_token(here, self);
        default:
            return result_of_task(here, self);
    }
}

}  // namespace

work do_limit(world& here, instance& self) {
    switch (self.what().what) {
        case kind::timeout:
            return timeout_of(here, self);
        case kind::deadline:
            return deadline_of(here, self);
        case kind::shielded:
            return shielded_of(here, self);
        case kind::finally:
            return finally_of(here, self);
        case kind::with_token:
            return with_token_of(here, self);
        case kind::until_soft:
            return until_soft_of(here, self);
        default:
            return result_of(here, self);
    }
}

}  // namespace weft::fuzz
