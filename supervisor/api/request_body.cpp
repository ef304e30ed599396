#include "supervisor/api/request_body.h"

#include "supervisor/config/values.h"
#include "units/types.h"

#include <nlohmann/json.hpp>

#include <algorithm>

namespace keepwell::api {

using nlohmann::json;

namespace {

Error bad(const std::string& what) { return Error{"cannot read the request body: " + what, 0}; }

Error wrong(const std::string& key, const std::string& expected) {
    return bad(config::quote(key) + " must be " + expected);
}

Status read_names(const json& value, Body& body) {
    const auto error = [] { return wrong("names", "a list of names"); };
    if (!value.is_array()) return error();
    for (const auto& name : value) {
        if (!name.is_string()) return error();
        body.names.push_back(name.get<std::string>());
    }
    return Done{};
}

Status read_signal(const json& value, Body& body) {
    if (value.is_string()) body.signal = parse_signal(value.get_ref<const std::string&>());
    if (value.is_number_integer()) body.signal = parse_signal(value.dump());
    if (body.signal) return Done{};
    return wrong("signal", "the name or number of a signal (like \"HUP\")");
}

Status read_duration(const json& value, Body& body) {
    if (!value.is_string()) return wrong("for", "a duration (like \"30m\")");
    auto duration = config::parse_duration(value.get_ref<const std::string&>());
    if (!duration) return bad("\"for\": " + duration.error().message);
    if (*duration <= Duration::zero()) return wrong("for", "longer than nothing (like \"30m\")");
    body.pause_for = *duration;
    return Done{};
}

Status read_member(const std::string& key, const json& value, Body& body) {
    if (key == "names") return read_names(value, body);
    if (key == "signal") return read_signal(value, body);
    if (key == "for") return read_duration(value, body);
    if (key == "dry_run" || key == "leave") {
        if (!value.is_boolean()) return wrong(key, "true or false");
        (key == "leave" ? body.leave : body.dry_run) = value.get<bool>();
        return Done{};
    }
    if (!value.is_string()) return wrong(key, "text");
    if (key == "check") {
        body.check = value.get<std::string>();
        return Done{};
    }
    body.verb = parse_verb(value.get_ref<const std::string&>());
    if (!body.verb)
        return wrong(key, "start, stop, restart, reload, signal, check, pause, resume or reset");
    return Done{};
}

Result<Body> read_members(const json& document, const std::vector<std::string_view>& allowed) {
    if (!document.is_object()) return bad("it must be a JSON object (like {})");
    Body body;
    for (const auto& [key, value] : document.items()) {
        if (std::find(allowed.begin(), allowed.end(), key) == allowed.end())
            return bad("unknown key " + config::quote(key));
        if (value.is_null()) continue;
        if (Status status = read_member(key, value, body); !status) return status.error();
    }
    return body;
}

} // namespace

Result<Body> parse_body(std::string_view text, const std::vector<std::string_view>& allowed) {
    if (text.empty()) return Body{};
    try {
        return read_members(json::parse(text.begin(), text.end()), allowed);
    } catch (const json::parse_error& e) {
        return bad("it is not valid JSON at byte " + std::to_string(e.byte));
    } catch (const json::exception&) {
        return bad("it is not valid JSON");
    }
}

Result<std::string> parse_token_body(std::string_view text) {
    const json document = json::parse(text.begin(), text.end(), nullptr, false);
    const bool right = document.is_object() && document.size() == 1 && document.contains("token") &&
                       document["token"].is_string();
    if (!right) return bad("it must be {\"token\":\"…\"}");
    return document["token"].get<std::string>();
}

bool has_no_events(std::string_view events_json) noexcept {
    const json document = json::parse(events_json.begin(), events_json.end(), nullptr, false);
    const auto events = document.is_object() ? document.find("events") : document.end();
    return events == document.end() || events->empty();
}

} // namespace keepwell::api
