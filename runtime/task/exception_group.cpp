#include <weft/runtime/task/exception_group.hpp>

#include <weft/runtime/base/atomic.hpp>
#include <weft/runtime/base/mutex.hpp>

#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace weft {

struct exception_group::shared {
    // --- any thread, atomic ------------------------------------------------------
    /// Copies of the group. Written by all of them.
    detail::atomic<std::uint32_t> owners{1};

    // --- constant after construction -------------------------------------------
    std::vector<std::exception_ptr> errors;
    std::vector<std::string> names;  // ends with the last error that has one

    // --- any thread, under mutex ---------------------------------------------------
    detail::mutex mutex;
    std::string text;  // empty until it is asked for
};

namespace {

/// Errors are told apart by the object that was thrown.
[[nodiscard]] void const* identity(std::exception_ptr const& error) noexcept {
    static_assert(sizeof error == sizeof(void*), "an exception_ptr is one pointer");
    void const* address = nullptr;
    std::memcpy(static_cast<void*>(&address), static_cast<void const*>(&error), sizeof address);
    return address;
}

/// Writes the text of a group, a line for each error.
class group_writer {
public:
    explicit group_writer(std::string& text) noexcept : text_(text) {}

    void write(exception_group const& group, std::size_t depth) {
        text_ += std::to_string(group.size());
        text_ += group.size() == 1 ? " error" : " errors";
        if (depth == exception_group::listed_depth_max) {
            return;
        }
        std::size_t const listed = group.size() < exception_group::listed_errors_max
                                       ? group.size()
                                       : exception_group::listed_errors_max;
        for (std::size_t i = 0; i < listed; ++i) {
            begin_line(depth);
            text_ += "- ";
            if (std::string_view const name = group.name(i); !name.empty()) {
                text_ += name;
                text_ += ": ";
            }
            write_error(group.errors()[i], depth);
        }
        if (listed < group.size()) {
            begin_line(depth);
            text_ += "… and ";
            text_ += std::to_string(group.size() - listed);
            text_ += " more";
        }
    }

private:
    static constexpr std::size_t step = 4;

    void begin_line(std::size_t depth) {
        text_ += '\n';
        text_.append(2 + depth * step, ' ');
    }

    void write_error(std::exception_ptr const& error, std::size_t depth) {
        try {
            std::rethrow_exception(error);
        } catch (exception_group const& inner) {
            write(inner, depth + 1);
        } catch (std::exception const& known) {
            write_lines(known.what(), depth);
        } catch (...) {
            text_ += "an exception that is no std::exception";
        }
    }

    /// The lines of one error stay in its column.
    void write_lines(char const* lines, std::size_t depth) {
        for (; *lines != '\0'; ++lines) {
            if (*lines == '\n') {
                begin_line(depth);
                text_ += "  ";
            } else {
                text_ += *lines;
            }
        }
    }

    std::string& text_;
};

void flatten_into(detail::error_list& all, exception_group const& group) {
    for (std::size_t i = 0; i < group.size(); ++i) {
        try {
            std::rethrow_exception(group.errors()[i]);
        } catch (exception_group const& inner) {
            flatten_into(all, inner);
        } catch (...) {
            all.add(group.errors()[i], group.name(i));
        }
    }
}

}  // namespace

exception_group::exception_group(std::span<std::exception_ptr const> errors) : shared_(nullptr) {
    detail::error_list all;
    for (std::exception_ptr const& each : errors) {
        all.add(each);
    }
    exception_group group = all.take_group();
    std::swap(shared_, group.shared_);
}

exception_group::exception_group(exception_group const& other) noexcept
    : std::exception(other)
    , shared_(other.shared_) {
    // relaxed: count — `other` keeps the object alive meanwhile
    shared_->owners.fetch_add(1, detail::relaxed);
}

exception_group& exception_group::operator=(exception_group const& other) noexcept {
    exception_group copy(other);
    std::swap(shared_, copy.shared_);
    return *this;
}

exception_group::~exception_group() {
    // acq_rel: count — the last owner observes what all others did; pairs with itself
    if (shared_ != nullptr && shared_->owners.fetch_sub(1, detail::acq_rel) == 1) {
        delete shared_;
    }
}

char const* exception_group::what() const noexcept {
    detail::scoped_lock const lock(shared_->mutex);
    if (shared_->text.empty()) {
        try {
            std::string text;
            group_writer(text).write(*this, 0);
            shared_->text = std::move(text);
        } catch (...) {
            return "several errors, and no memory to list them";
        }
    }
    return shared_->text.c_str();
}

std::span<std::exception_ptr const> exception_group::errors() const noexcept {
    return shared_->errors;
}

std::string_view exception_group::name(std::size_t index) const noexcept {
    return index < shared_->names.size() ? std::string_view(shared_->names[index])
                                         : std::string_view();
}

exception_group exception_group::flatten() const {
    detail::error_list all;
    flatten_into(all, *this);
    return all.take_group();
}

void exception_group::for_each(
    detail::function_ref<void(std::exception_ptr const&)> function) const {
    exception_group const all = flatten();
    for (std::exception_ptr const& each : all.errors()) {
        function(each);
    }
}

std::exception_ptr group_errors(std::span<std::exception_ptr const> errors) {
    detail::error_list all;
    for (std::exception_ptr const& each : errors) {
        all.add(each);
    }
    return all.take();
}

namespace detail {

struct error_list::seen {
    std::unordered_set<void const*> objects;
};

error_list::~error_list() {
    delete collected_;
    delete seen_;
}

void error_list::add(std::exception_ptr const& error, std::string_view name) {
    if (error == nullptr) {
        return;
    }
    if (collected_ == nullptr) {
        collected_ = new exception_group::shared;
    }
    if (!collected_->errors.empty()) {
        if (seen_ == nullptr) {
            seen_ = new seen;
            seen_->objects.insert(identity(collected_->errors.front()));
        }
        if (!seen_->objects.insert(identity(error)).second) {
            return;
        }
    }
    if (!name.empty()) {
        collected_->names.resize(collected_->errors.size());
        collected_->names.emplace_back(name);
    }
    collected_->errors.push_back(error);
}

std::exception_ptr error_list::take() {
    if (collected_ == nullptr) {
        return nullptr;
    }
    if (collected_->errors.size() == 1) {
        return std::move(collected_->errors.front());
    }
    return std::make_exception_ptr(take_group());
}

exception_group error_list::take_group() {
    if (collected_ == nullptr) {
        collected_ = new exception_group::shared;
    }
    return exception_group(std::exchange(collected_, nullptr));
}

}  // namespace detail

}  // namespace weft
