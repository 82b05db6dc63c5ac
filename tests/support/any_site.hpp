#pragma once

/// A site of sync_sites.hpp as its tests see it: their coroutines are compiled once, and not for
/// each site.

#include <weft/runtime/task/task.hpp>
#include <weft/tests/support/sync_sites.hpp>

#include <concepts>
#include <memory>
#include <system_error>

namespace weft::test {

class any_site {
public:
    any_site() = default;
    any_site(any_site const&) = delete;
    any_site& operator=(any_site const&) = delete;
    virtual ~any_site() = default;

    virtual task<> wait() = 0;
    virtual task<std::error_code> wait_for_code() = 0;
    virtual void let_through() = 0;
    virtual bool take_back() = 0;
    [[nodiscard]] virtual int passed() const = 0;
};

template <class Site>
class erased_site final : public any_site {
public:
    task<> wait() override { return site_.wait(); }

    task<std::error_code> wait_for_code() override { return site_.wait_for_code(); }

    void let_through() override { site_.let_through(); }

    bool take_back() override { return site_.take_back(); }

    [[nodiscard]] int passed() const override { return site_.passed; }

private:
    Site site_;
};

/// What `Site` says of itself, and how to make one.
struct site_kind {
    bool keeps;
    bool selects;
    int most_waiters;
    std::unique_ptr<any_site> (*make)();
};

template <class Site>
inline constexpr site_kind kind_of_site = {
    .keeps = Site::keeps,
    .selects = Site::selects,
    .most_waiters = std::same_as<Site, barrier_site> ? 1 : 200,
    .make = []() -> std::unique_ptr<any_site> { return std::make_unique<erased_site<Site>>(); },
};

}  // namespace weft::test
