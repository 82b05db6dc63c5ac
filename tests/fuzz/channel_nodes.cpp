// Senders and receivers of the shared channels.

#include <weft/tests/fuzz/world.hpp>

#include <utility>

namespace weft::fuzz {
namespace {

/// A value on its way. Tells the ledger whether it has gone or is still here, however its sender
/// ends.
class outgoing {
public:
    outgoing(world& here, int sender, unsigned channel)
        : here_(&here)
        , number_(here.letters.issue(sender, channel))
        , value(here.make(number_)) {}

    outgoing(outgoing const&) = delete;
    outgoing& operator=(outgoing const&) = delete;

    ~outgoing() {
        if (value.value == parcel::moved_from) {
            here_->letters.gone(number_);
        } else {
            here_->letters.given_back(number_);
        }
    }

private:
    world* here_;
    int number_;

public:
    parcel value;
};

/// What one receiver has got so far.
class incoming {
public:
    incoming(world& here, instance& self, unsigned channel)
        : here_(&here)
        , self_(&self)
        , channel_(channel)
        , order_(world::is_ordered(channel)) {}

    void take(parcel const& value) {
        here_->letters.received(value.value, channel_);
        if (!order_.take(here_->letters.sender_of(value.value), value.value)) {
            here_->book.fail(self_->what(), "a value came out of order, or twice");
        }
        ++count_;
    }

    [[nodiscard]] int count() const noexcept { return count_; }

private:
    world* here_;
    instance* self_;
    unsigned channel_;
    arrivals order_;
    int count_ = 0;
};

template <class Target>
work send_to(world& here, instance& self, Target& target, unsigned number) {
    int const sender = here.letters.new_sender();
    int sent = 0;
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        outgoing next(here, sender, number);
        inside const waiting(target.senders);
        result<void> const done = co_await (target.channel.send(std::move(next.value)) | as_result);
        if (done.has_value() != (next.value.value == parcel::moved_from)) {
            here.book.fail(self.what(), "a send tells one thing and has done another");
        }
        sent += done.has_value() ? 1 : 0;
        if (!done.has_value() && done.error() != std::errc::resource_unavailable_try_again) {
            break;
        }
    }
    co_return here.make(sent);
}

template <class Target>
work send_plainly_to(world& here, instance& self, Target& target, unsigned number) {
    int const sender = here.letters.new_sender();
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        outgoing next(here, sender, number);
        inside const waiting(target.senders);
        co_await target.channel.send(std::move(next.value));
    }
    co_return here.make(static_cast<int>(self.what().b));
}

/// A row of values on their way in bulk.
class outgoing_row {
public:
    outgoing_row(world& here, std::uint32_t count, unsigned channel) : here_(&here) {
        int const sender = here.letters.new_sender();
        for (std::uint32_t i = 0; i != count; ++i) {
            numbers_.push_back(here.letters.issue(sender, channel));
            values.push_back(here.make(numbers_.back()));
        }
    }

    outgoing_row(outgoing_row const&) = delete;
    outgoing_row& operator=(outgoing_row const&) = delete;

    ~outgoing_row() {
        for (std::size_t i = 0; i != values.size(); ++i) {
            if (values[i].value == parcel::moved_from) {
                here_->letters.gone(numbers_[i]);
            } else {
                here_->letters.given_back(numbers_[i]);
            }
        }
    }

private:
    world* here_;
    std::vector<int> numbers_;

public:
    std::vector<parcel> values;
};

template <class Target>
work send_many_to(world& here, instance& self, Target& target, unsigned number) {
    outgoing_row row(here, self.what().b, number);
    auto next = row.values.begin();
    inside const waiting(target.senders);
    task<> sending = target.channel.send_many(next, row.values.end());
    result<void> const done = co_await as_result(std::move(sending));
    for (auto each = row.values.begin(); each != row.values.end(); ++each) {
        if ((each->value == parcel::moved_from) != (each < next)) {
            here.book.fail(self.what(), "send_many has sent other values than it tells");
        }
    }
    co_return here.make(done.has_value() ? 1 : 0);
}

template <class Target>
work try_send_to(world& here, instance& self, Target& target, unsigned number) {
    int const sender = here.letters.new_sender();
    int sent = 0;
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        outgoing next(here, sender, number);
        result<void> const done = target.channel.try_send(std::move(next.value));
        if (done.has_value() != (next.value.value == parcel::moved_from)) {
            here.book.fail(self.what(), "a try_send tells one thing and has done another");
        }
        sent += done.has_value() ? 1 : 0;
        co_await yield();
    }
    co_return here.make(sent);
}

template <class Target>
work receive_from(world& here, instance& self, Target& source, unsigned number) {
    incoming got(here, self, number);
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        inside const waiting(source.receivers);
        std::optional<parcel> const next = co_await source.channel.recv();
        if (!next.has_value()) {
            break;
        }
        got.take(*next);
    }
    co_return here.make(got.count());
}

template <class Target>
work receive_many_from(world& here, instance& self, Target& source, unsigned number) {
    std::vector<parcel> values;
    values.reserve(8);
    {
        inside const waiting(source.receivers);
        task<std::size_t> receiving = source.channel.recv_many(values, 1 + self.what().b);
        result<std::size_t> const taken = co_await as_result(std::move(receiving));
        if (taken.has_value() && *taken != values.size()) {
            here.book.fail(self.what(), "recv_many has taken other values than it tells");
        }
        if (!taken.has_value() && !values.empty()) {
            here.book.fail(self.what(), "a stopped recv_many has taken something");
        }
    }
    incoming got(here, self, number);
    for (parcel const& each : values) {
        got.take(each);
    }
    co_return here.make(got.count());
}

template <class Target>
work try_receive_from(world& here, instance& self, Target& source, unsigned number) {
    incoming got(here, self, number);
    for (std::uint32_t i = 0; i != self.what().b; ++i) {
        result<parcel> const next = source.channel.try_recv();
        if (next.has_value()) {
            got.take(*next);
        }
        co_await yield();
    }
    co_return here.make(got.count());
}

work close_it(world& here, instance& self) {
    co_await weft::sleep_for(here.span(self.what().b));
    here.with_channel(self.what().a, [](auto& target, unsigned) { return target.channel.close(); });
    co_return here.make(0);
}

}  // namespace

work do_channel(world& here, instance& self) {
    if (self.what().what == kind::close) {
        return close_it(here, self);
    }
    return here.with_channel(self.what().a, [&here, &self](auto& target, unsigned number) {
        switch (self.what().what) {
            case kind::send:
                return self.what().a / channel_count % 2 == 0
                           ? send_to(here, self, target, number)
                           : send_plainly_to(here, self, target, number);
            case kind::send_many:
                return send_many_to(here, self, target, number);
            case kind::try_send:
                return try_send_to(here, self, target, number);
            case kind::recv_many:
                return receive_many_from(here, self, target, number);
            case kind::try_recv:
                return try_receive_from(here, self, target, number);
            default:
                return receive_from(here, self, target, number);
        }
    });
}

}  // namespace weft::fuzz
