#include <weft/runtime/task/task_local.hpp>

namespace weft::detail {

void const* find_local(context const& where, void const* key) noexcept {
    for (auto const* each = where.ambient->locals; each != nullptr; each = each->outer) {
        if (each->key == key) {
            return each->value;
        }
    }
    return nullptr;
}

}  // namespace weft::detail
