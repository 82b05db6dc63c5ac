#include <weft/runtime/core/frame_pool.hpp>
#include <weft/tests/model/stepper.hpp>

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <vector>

namespace model = weft::model;
using weft::detail::frame_pool;

namespace {

constexpr std::size_t size = 64;

/// More than a thread keeps, so that a batch of them goes to the depot.
constexpr std::size_t many = 66;

/// Who has a block: written when it is allocated and when it is freed.
class ledger {
public:
    void* allocate() {
        void* const block = frame_pool::allocate(size);
        auto& entry = entries_[block];
        if (entry == nullptr) {
            entry = std::make_unique<model::plain<int>>();
        }
        model::expect(entry->read() == 0, "a block is given out twice");
        entry->write(1);
        return block;
    }

    void deallocate(void* block) {
        model::expect(entries_[block]->read() == 1, "a block is freed that nobody has");
        entries_[block]->write(0);
        frame_pool::deallocate(block, size);
    }

private:
    // Not part of the model: no step lies within its operations.
    std::map<void*, std::unique_ptr<model::plain<int>>> entries_;
};

/// What one thread allocates another frees, while the first one takes more.
void remote_free() {
    ledger blocks;
    std::vector<void*> handed;
    for (std::size_t i = 0; i < many; ++i) {
        handed.push_back(blocks.allocate());
    }
    auto frees = [&] {
        for (void* const each : handed) {
            blocks.deallocate(each);
        }
        frame_pool::trim();
    };
    model::thread other(frees);
    void* const one = blocks.allocate();
    void* const two = blocks.allocate();
    blocks.deallocate(one);
    other.join();
    blocks.deallocate(two);
    frame_pool::trim();
    model::expect(frame_pool::depot_blocks() == 0, "a block is left in the depot");
}

}  // namespace

TEST_SUITE("model/frame_pool") {
    TEST_CASE("a block freed on another thread is given out again once, after its end is known") {
        CHECK(model::explore("remote_free", &remote_free, {.patience = 1000}));
    }
}
