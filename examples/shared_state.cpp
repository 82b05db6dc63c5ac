// What tasks share: a cache that is loaded once, a mutex around an account, a semaphore that limits
// how many work at a time, a condition that is waited for, and a barrier between rounds.
// Run: shared_state

#include <weft/weft.hpp>

#include <cstdio>
#include <string>

namespace {

weft::task<std::string> load_settings() {
    std::printf("loading the settings\n");
    co_await weft::yield();
    co_return "verbose";
}

class account {
public:
    weft::task<> deposit(int amount) {
        auto guard = co_await mutex_.scoped_lock();
        balance_ += amount;
        grown_.notify_all();
    }

    // Waits until there is enough; others get the mutex meanwhile.
    weft::task<int> withdraw(int amount) {
        auto guard = co_await mutex_.scoped_lock();
        co_await grown_.wait(guard, [&] { return balance_ >= amount; });
        balance_ -= amount;
        co_return balance_;
    }

private:
    weft::mutex mutex_;
    weft::condition_variable grown_;
    int balance_ = 0;
};

class workshop {
public:
    explicit workshop(std::size_t workers) : rounds_(workers, next_round(this)) {}

    weft::task<> work(int rounds) {
        for (int i = 0; i < rounds; ++i) {
            {
                auto bench = co_await benches_.scoped_acquire();
                auto& settings = co_await settings_.value();
                co_await earned_.deposit(static_cast<int>(settings.size()));
            }
            co_await rounds_.arrive_and_wait();
        }
    }

    weft::task<> spend(int amount) {
        int const left = co_await earned_.withdraw(amount);
        std::printf("spent %d, left %d\n", amount, left);
    }

private:
    // Called between rounds, by whoever comes last.
    struct next_round {
        explicit next_round(workshop* where) noexcept : shop(where) {}

        void operator()() const noexcept { std::printf("round %d is over\n", ++shop->round_); }

        workshop* shop;
    };

    int round_ = 0;
    weft::semaphore benches_{2};  // two work at a time
    weft::lazy<std::string> settings_{load_settings};
    weft::barrier<next_round> rounds_;
    account earned_;
};

weft::task<> program() {
    workshop shop(4);
    auto body = [&shop](weft::nursery& workers) -> weft::task<> {
        for (int i = 0; i < 4; ++i) {
            workers.spawn(shop.work(3));
        }
        co_return;
    };
    co_await weft::scope(body);
    co_await shop.spend(84);  // three rounds of four, seven each
}

}  // namespace

int main() {
    weft::runtime runtime;
    runtime.block_on(program());
}
