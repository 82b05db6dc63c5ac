#include <weft/tests/fuzz/account.hpp>

#include <weft/runtime/sched/worker.hpp>

#include <algorithm>
#include <utility>

namespace weft::fuzz {

std::int64_t now_us() noexcept {
    detail::worker const* const here = detail::current_worker();
    return here == nullptr ? 0 : static_cast<std::int64_t>(here->now() / 1'000);
}

// --- account ---------------------------------------------------------------------------

void account::fail(std::string what) {
    std::scoped_lock const lock(mutex_);
    if (failures_.size() < failures_kept) {
        failures_.push_back(std::move(what));
    }
}

void account::fail(node const& where, std::string const& what) {
    fail('#' + std::to_string(where.id) + ' ' + std::string(traits_of(where.what).name) + ": " +
         what);
}

bool account::has_failed() const {
    std::scoped_lock const lock(mutex_);
    return !failures_.empty();
}

std::string account::failures() const {
    std::scoped_lock const lock(mutex_);
    std::string text;
    for (std::string const& each : failures_) {
        text += "  " + each + '\n';
    }
    return text;
}

std::uint32_t account::begin_run(node const& which) {
    std::scoped_lock const lock(mutex_);
    if (runs_.size() <= which.id) {
        runs_.resize(which.id + 1);
    }
    return runs_[which.id]++;
}

void account::note(ending how) {
    std::scoped_lock const lock(mutex_);
    endings_.push_back(std::move(how));
}

std::vector<ending> account::endings() const {
    std::scoped_lock const lock(mutex_);
    return endings_;
}

void account::enter(instance const& who) {
    std::scoped_lock const lock(mutex_);
    alive_.insert(&who);
}

void account::leave(instance const& who) {
    std::scoped_lock const lock(mutex_);
    alive_.erase(&who);
}

std::string account::who_is_alive() const {
    std::scoped_lock const lock(mutex_);
    std::string text;
    for (instance const* const each : alive_) {
        text += "  #" + std::to_string(each->what().id) + ' ' +
                std::string(traits_of(each->what().what).name) + '\n';
    }
    return text;
}

// --- instance --------------------------------------------------------------------------

instance::instance(account& book, node const& what, instance& parent)
    : book_(&book)
    , what_(&what)
    , parent_(&parent) {
    book_->enter(*this);
    ++parent_->children_;
}

instance::~instance() {
    if (what_ == nullptr) {
        return;
    }
    if (!ended_) {
        if (stop_.has_value() && !stop_->stop_requested()) {
            book_->fail(*what_, "unwound, though nobody had asked for a stop");
        }
        expect_alone("when it was unwound");
        book_->note({what_->id, now_us(), outcome::stopped()});
    } else {
        expect_alone("when it ended");
    }
    book_->leave(*this);
    --parent_->children_;
}

void instance::ended(outcome how) {
    ended_ = true;
    expect_alone("when its combinator had told the end");
    book_->note({what_->id, now_us(), std::move(how)});
}

void instance::expect_alone(char const* when) {
    if (int const runs = children(); runs != 0) {
        book_->fail(*what_, std::to_string(runs) + " children were alive " + when);
    }
    if (int const left = frames(); left != 0) {
        book_->fail(*what_, std::to_string(left) + " frames of children were alive " + when);
    }
}

// --- ledger ----------------------------------------------------------------------------

int ledger::issue(int sender, unsigned channel) {
    std::scoped_lock const lock(mutex_);
    letters_.push_back({sender, channel, 0, 0, 0});
    return static_cast<int>(letters_.size()) - 1;
}

int ledger::sender_of(int value) const {
    std::scoped_lock const lock(mutex_);
    auto const index = static_cast<std::size_t>(value);
    return index < letters_.size() ? letters_[index].sender : -1;
}

void ledger::gone(int value) {
    std::scoped_lock const lock(mutex_);
    ++letters_.at(static_cast<std::size_t>(value)).gone;
}

void ledger::given_back(int value) {
    std::scoped_lock const lock(mutex_);
    ++letters_.at(static_cast<std::size_t>(value)).back;
}

void ledger::received(int value, unsigned channel) {
    std::scoped_lock const lock(mutex_);
    auto const index = static_cast<std::size_t>(value);
    if (index >= letters_.size() || letters_[index].channel != channel) {
        book_->fail("channel " + std::to_string(channel) + " gave value " + std::to_string(value) +
                    ", which nobody had sent there");
        return;
    }
    ++letters_[index].received;
}

void ledger::settle(unsigned channel, std::size_t dropped) {
    std::scoped_lock const lock(mutex_);
    std::size_t missing = 0;
    for (std::size_t i = 0; i != letters_.size(); ++i) {
        letter const& each = letters_[i];
        if (each.channel != channel) {
            continue;
        }
        if (each.gone + each.back != 1 || each.received > each.gone) {
            book_->fail("value " + std::to_string(i) + " of channel " + std::to_string(channel) +
                        ": gone " + std::to_string(each.gone) + ", given back " +
                        std::to_string(each.back) + ", received " + std::to_string(each.received) +
                        " times");
        }
        missing += each.gone == 1 && each.received == 0 ? 1 : 0;
    }
    if (missing != dropped) {
        book_->fail("channel " + std::to_string(channel) + ": " + std::to_string(missing) +
                    " values went and did not arrive; its policy has dropped " +
                    std::to_string(dropped));
    }
}

bool arrivals::take(int sender, int value) {
    auto const known = std::find_if(last_.begin(), last_.end(), [sender](last_of const& each) {
        return each.sender == sender;
    });
    if (known == last_.end()) {
        last_.push_back({sender, value});
        return true;
    }
    int const before = std::exchange(known->value, value);
    return value > before || (!in_order_ && value != before);
}

}  // namespace weft::fuzz
