#include <weft/tests/fuzz/outcome.hpp>

#include <weft/runtime/task/exception_group.hpp>
#include <weft/runtime/values/error.hpp>

#include <cstdlib>
#include <stdexcept>

namespace weft::fuzz {
namespace {

class leaf_errors final : public std::error_category {
public:
    [[nodiscard]] char const* name() const noexcept override { return "leaf"; }

    [[nodiscard]] std::string message(int number) const override {
        return "error " + std::to_string(number);
    }
};

leaf_errors const leaf_category;

void add_numbers(std::exception_ptr const& error, std::vector<int>& numbers) {
    try {
        std::rethrow_exception(error);
    } catch (exception_group const& group) {
        for (std::exception_ptr const& each : group.errors()) {
            add_numbers(each, numbers);
        }
    } catch (std::system_error const& failure) {
        numbers.push_back(number_of(failure.code()));
    } catch (std::runtime_error const& failure) {
        numbers.push_back(odd_errors + std::atoi(failure.what()));
    } catch (...) {
        numbers.push_back(other_errors - 1);
    }
}

}  // namespace

std::error_code leaf_error(int number) noexcept {
    return {number, leaf_category};
}

int number_of(std::error_code code) noexcept {
    if (code.category() == leaf_category) {
        return code.value();
    }
    if (code == std::errc::timed_out) {
        return timed_out;
    }
    if (code == std::errc::operation_canceled) {
        return cancelled;
    }
    if (code == errc::circuit_open || code == errc::bulkhead_full || code == errc::rate_limited) {
        return refused;
    }
    return code == errc::closed ? closed : other_errors + code.value();
}

std::vector<int> numbers_of(std::exception_ptr const& error) {
    std::vector<int> numbers;
    add_numbers(error, numbers);
    return numbers;
}

std::string outcome::text() const {
    switch (sort_) {
        case sort::value:
            return "value " + std::to_string(value_);
        case sort::stopped:
            return "stopped";
        case sort::error:
            break;
    }
    std::string text = "error";
    for (int const each : errors_) {
        text += ' ' + std::to_string(each);
    }
    return text;
}

}  // namespace weft::fuzz
