#pragma once

/// Values that tell what became of them: what the tests of conservation send through channels.
///
/// Every parcel has a number of its own. It ends in exactly one of three ways, and says which:
/// taken by a receiver, kept by its sender (whom the channel refused), or destroyed on the way.

#include <weft/tests/support/seed.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <utility>
#include <vector>

namespace weft::test {

/// WEFT_CHANNEL_ITEMS, or what does for the usual run.
inline int items_per_combination() {
    char const* const text = std::getenv("WEFT_CHANNEL_ITEMS");
    return text != nullptr ? std::atoi(text) : 1'000;
}

/// How the parcels of one run ended.
class parcel_ledger {
public:
    explicit parcel_ledger(int count) : ends_(static_cast<std::size_t>(count)) {}

    void note_taken(int number) noexcept { note(number, taken_); }

    void note_kept(int number) noexcept { note(number, kept_); }

    void note_destroyed(int number) noexcept { note(number, destroyed_); }

    [[nodiscard]] int taken() const noexcept { return taken_; }

    [[nodiscard]] int kept() const noexcept { return kept_; }

    [[nodiscard]] int destroyed() const noexcept { return destroyed_; }

    /// How many parcels did not end exactly once.
    [[nodiscard]] int wrong() const noexcept {
        int count = 0;
        for (auto const& each : ends_) {
            count += each.load() == 1 ? 0 : 1;
        }
        return count;
    }

private:
    void note(int number, std::atomic<int>& kind) noexcept {
        ++ends_[static_cast<std::size_t>(number)];
        ++kind;
    }

    std::vector<std::atomic<int>> ends_;
    std::atomic<int> taken_ = 0;
    std::atomic<int> kept_ = 0;
    std::atomic<int> destroyed_ = 0;
};

/// Move-only. One that was moved from, or has ended, is gone. `Fragile`: every 16th move or so
/// throws, and has moved nothing.
template <bool Fragile = false>
class basic_parcel {
public:
    static constexpr bool is_fragile = Fragile;

    basic_parcel(parcel_ledger& ledger, int from, int own_place, int own_number) noexcept
        : sender(from)
        , place(own_place)
        , number(own_number)
        , ledger_(&ledger) {}

    basic_parcel(basic_parcel const&) = delete;
    basic_parcel& operator=(basic_parcel const&) = delete;

    basic_parcel(basic_parcel&& other) noexcept(!Fragile)
        : sender(other.sender)
        , place(other.place)
        , number(other.number) {
        if constexpr (Fragile) {
            if (random_numbers(moves_++).one_in(16)) {
                throw std::runtime_error("fragile");
            }
        }
        ledger_ = std::exchange(other.ledger_, nullptr);
    }

    ~basic_parcel() {
        if (ledger_ != nullptr) {
            ledger_->note_destroyed(number);
        }
    }

    [[nodiscard]] bool is_gone() const noexcept { return ledger_ == nullptr; }

    void take() noexcept { std::exchange(ledger_, nullptr)->note_taken(number); }

    void keep() noexcept { std::exchange(ledger_, nullptr)->note_kept(number); }

    /// Was never to be sent, and is not counted.
    void forget() noexcept { ledger_ = nullptr; }

    int sender;
    int place;  // among those of its sender
    int number;

private:
    static inline std::atomic<std::uint64_t> moves_ = 0;

    parcel_ledger* ledger_ = nullptr;
};

using parcel = basic_parcel<>;
using fragile_parcel = basic_parcel<true>;

/// All parcels are equal, so that a priority channel keeps their order too.
struct all_equal {
    template <class Parcel>
    bool operator()(Parcel const&, Parcel const&) const noexcept {
        return false;
    }
};

}  // namespace weft::test
