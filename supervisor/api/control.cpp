#include "supervisor/api/control.h"

#include "supervisor/status/json_writer.h"

namespace keepwell {

std::string_view to_string(Verb verb) noexcept {
    switch (verb) {
    case Verb::Start: return "start";
    case Verb::Stop: return "stop";
    case Verb::Restart: return "restart";
    case Verb::Reload: return "reload";
    case Verb::Signal: return "signal";
    case Verb::Check: return "check";
    case Verb::Pause: return "pause";
    case Verb::Resume: return "resume";
    case Verb::Reset: return "reset";
    }
    return "unknown";
}

std::optional<Verb> parse_verb(std::string_view text) noexcept {
    for (int i = 0; i <= static_cast<int>(Verb::Reset); ++i)
        if (to_string(static_cast<Verb>(i)) == text) return static_cast<Verb>(i);
    return std::nullopt;
}

std::string describe(const Peer& peer) {
    if (!peer.token.empty()) return "token " + peer.token + " (" + peer.address + ")";
    if (!peer.address.empty()) return "somebody without token (" + peer.address + ")";
    if (peer.uid < 0) return "somebody";
    std::string who = "uid " + std::to_string(peer.uid);
    if (peer.pid > 0) who += " (pid " + std::to_string(peer.pid) + ")";
    return who;
}

std::string action_json(const ActionView& action) {
    std::string out;
    JsonWriter w(out);
    w.begin_object();
    w.member("action_id", action.id);
    w.member("finished", action.finished);
    w.member("ok", action.ok);
    w.key("units").begin_array();
    for (const auto& unit : action.units) {
        w.begin_object();
        w.member("key", unit.key);
        w.member("status", unit.status);
        w.member("message", unit.message);
        w.end_object();
    }
    w.end_array().end_object();
    return out;
}

} // namespace keepwell
