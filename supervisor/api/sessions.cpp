#include "supervisor/api/sessions.h"

namespace keepwell::api {

std::string Sessions::begin(const Digest& token, Instant now) {
    std::erase_if(sessions_, [&](const Session& s) { return s.until <= now; });
    if (sessions_.size() >= kMost) sessions_.pop_front();
    std::string id = random_secret();
    sessions_.push_back({sha256(id), token, now + kLife});
    return id;
}

std::optional<Digest> Sessions::find(std::string_view id, Instant now) const {
    const Digest wanted = sha256(id);
    for (const Session& s : sessions_)
        if (s.id == wanted && now < s.until) return s.token;
    return std::nullopt;
}

void Sessions::end(std::string_view id) {
    const Digest wanted = sha256(id);
    std::erase_if(sessions_, [&](const Session& s) { return s.id == wanted; });
}

std::string_view cookie_value(std::string_view header, std::string_view name) {
    while (!header.empty()) {
        const auto end = std::min(header.find(';'), header.size());
        std::string_view pair = header.substr(0, end);
        header.remove_prefix(std::min(end + 1, header.size()));
        while (pair.starts_with(' ')) pair.remove_prefix(1);
        const auto equals = pair.find('=');
        if (equals != std::string_view::npos && pair.substr(0, equals) == name)
            return pair.substr(equals + 1);
    }
    return {};
}

} // namespace keepwell::api
