#include <weft/runtime/values/error.hpp>

#include <string>

namespace weft {

namespace {

class category final : public std::error_category {
public:
    [[nodiscard]] char const* name() const noexcept override { return "weft"; }

    [[nodiscard]] std::string message(int code) const override {
        switch (static_cast<errc>(code)) {
            case errc::closed:
                return "closed";
            case errc::unexpected_eof:
                return "unexpected end of stream";
            case errc::circuit_open:
                return "circuit open";
            case errc::bulkhead_full:
                return "bulkhead full";
            case errc::rate_limited:
                return "rate limited";
        }
        return "unknown error " + std::to_string(code);
    }
};

}  // namespace

std::error_category const& error_category() noexcept {
    static category const instance;
    return instance;
}

operation_cancelled::operation_cancelled()
    : std::system_error(std::make_error_code(std::errc::operation_canceled), "task stopped") {}

}  // namespace weft
