#include "watchers/json_pointer.h"

#include "watchers/check_scheduler.h"

#include <nlohmann/json.hpp>

namespace keepwell {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kShownOfValue = 80;

// Containers are named, not written: dump() recurses and the nesting is the sender's choice.
std::string shown(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    return clean_text(value.dump(-1, ' ', false, Json::error_handler_t::replace), kShownOfValue);
}

const Json* find(const Json& document, const std::string& pointer) {
    try {
        return &document.at(Json::json_pointer(pointer));
    } catch (const Json::exception&) {
        return nullptr;
    }
}

std::optional<std::string> compare(const Json& document, const std::string& pointer,
                                   const std::string& expected) {
    Json want = Json::parse(expected, nullptr, false);
    if (want.is_discarded()) want = expected;
    const std::string place = pointer.empty() ? "the body" : clean_text(pointer, kShownOfValue);
    const std::string tail =
        ", expected " + (want.is_structured() ? clean_text(expected, kShownOfValue) : shown(want));
    const Json* found = find(document, pointer);
    if (found == nullptr) return place + " is missing" + tail;
    if (*found == want) return std::nullopt;
    return place + " is " + shown(*found) + tail;
}

} // namespace

std::optional<std::string>
json_mismatch(std::string_view body,
              const std::vector<std::pair<std::string, std::string>>& wanted) noexcept {
    try {
        const Json document = Json::parse(body, nullptr, false);
        if (document.is_discarded()) return "the body is not JSON";
        for (const auto& [pointer, expected] : wanted)
            if (auto difference = compare(document, pointer, expected)) return difference;
        return std::nullopt;
    } catch (const std::exception&) {
        return "the body cannot be compared";
    }
}

} // namespace keepwell
