#include <weft/runtime/ranges/detail/parallel_lanes.hpp>

#include <weft/runtime/task/exception_group.hpp>

#include <algorithm>

namespace weft::detail {

void item_errors::note(std::size_t index, std::exception_ptr error) {
    scoped_lock const lock(mutex_);
    list_.push_back({index, std::move(error)});
}

void item_errors::rethrow(std::exception_ptr const& otherwise) {
    std::sort(list_.begin(), list_.end(), [](numbered const& left, numbered const& right) {
        return left.index < right.index;
    });
    std::vector<std::exception_ptr> in_order;
    in_order.reserve(list_.size());
    for (numbered& each : list_) {
        in_order.push_back(std::move(each.error));
    }
    std::exception_ptr const all = group_errors(in_order);
    std::rethrow_exception(all != nullptr ? all : otherwise);
}

}  // namespace weft::detail
