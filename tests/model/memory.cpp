#include <weft/tests/model/memory.hpp>

namespace weft::model {

namespace {

/// The largest number that a view can hold.
constexpr std::size_t store_max = 255;

}  // namespace

void memory::reset() noexcept {
    for (std::size_t i = 0; i < location_count_; ++i) {
        locations_[i].stores.clear();
        locations_[i].accessed = {};
        locations_[i].alive = false;
    }
    location_count_ = 0;
    threads_ = {};
    consistent_ = {};
}

std::size_t memory::create(std::uint64_t value) {
    if (location_count_ == location_max) {
        return location_max;
    }
    location_state& made = locations_[location_count_];
    made.stores.push_back({value, {}});
    made.alive = true;
    return location_count_++;
}

bool memory::destroy(unsigned thread, std::size_t location) noexcept {
    location_state& dead = locations_[location];
    bool const ordered = dead.alive && threads_[thread].current.before.covers(dead.accessed);
    dead.alive = false;
    return ordered;
}

bool memory::access(unsigned thread, std::size_t location) noexcept {
    location_state& target = locations_[location];
    target.accessed.at[thread] = tick(thread);
    return target.alive;
}

std::size_t memory::readable(unsigned thread, std::size_t location, order how) const noexcept {
    std::size_t oldest = threads_[thread].current.seen.at[location];
    if (how == order::seq_cst) {
        oldest = std::max<std::size_t>(oldest, consistent_.at[location]);
    }
    return locations_[location].stores.size() - oldest;
}

std::uint64_t memory::peek(std::size_t location, std::size_t age) const noexcept {
    auto const& stores = locations_[location].stores;
    return stores[stores.size() - 1 - age].value;
}

std::uint64_t memory::load(unsigned thread,
                           std::size_t location,
                           std::size_t age,
                           order how) noexcept {
    thread_state& reader = threads_[thread];
    auto const& stores = locations_[location].stores;
    std::size_t const number = stores.size() - 1 - age;
    message const& read = stores[number];
    auto const seen = static_cast<std::uint8_t>(number);
    reader.current.seen.at[location] = seen;
    reader.pending.join(read.released);
    if (acquires(how)) {
        reader.current.join(read.released);
    }
    if (how == order::seq_cst) {
        consistent_.at[location] = std::max(consistent_.at[location], seen);
    }
    return read.value;
}

knowledge memory::released_by(unsigned thread,
                              std::size_t location,
                              std::size_t number,
                              order how) noexcept {
    thread_state& writer = threads_[thread];
    auto const seen = static_cast<std::uint8_t>(number);
    writer.current.seen.at[location] = seen;
    knowledge released = releases(how) ? writer.current : writer.released;
    released.seen.at[location] = seen;
    return released;
}

bool memory::append(unsigned thread,
                    std::size_t location,
                    std::uint64_t value,
                    order how,
                    knowledge const* continued) noexcept {
    auto& stores = locations_[location].stores;
    std::size_t const number = stores.size();
    if (number > store_max) {
        return false;
    }
    knowledge released = released_by(thread, location, number, how);
    if (continued != nullptr) {
        released.join(*continued);  // keeps I1
    }
    stores.push_back({value, released});
    if (how == order::seq_cst) {
        consistent_.at[location] = static_cast<std::uint8_t>(number);
    }
    return true;
}

bool memory::store(unsigned thread, std::size_t location, std::uint64_t value, order how) noexcept {
    return append(thread, location, value, how, nullptr);
}

bool memory::modify(unsigned thread,
                    std::size_t location,
                    std::uint64_t value,
                    order how) noexcept {
    (void)load(thread, location, 0, how);
    knowledge const continued = locations_[location].stores.back().released;
    return append(thread, location, value, how, &continued);
}

void memory::fence(unsigned thread) noexcept {
    thread_state& here = threads_[thread];
    (void)tick(thread);
    here.current.join(here.pending);
    here.current.seen.join(consistent_);
    consistent_ = here.current.seen;
    here.pending = here.current;
    here.released = here.current;
}

void memory::fence_everywhere(unsigned thread, unsigned running) noexcept {
    fence(thread);
    for (unsigned other = 0; other < running; ++other) {
        if (other != thread) {
            fence(other);
        }
    }
    fence(thread);
}

}  // namespace weft::model
