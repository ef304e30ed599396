#include "supervisor/cli/render.h"

#include <algorithm>
#include <map>
#include <set>

namespace keepwell::cli {

namespace {

struct Edge {
    std::string to;
    bool required = false; // else only the order
};

std::vector<std::string> texts(const Json& list) {
    std::vector<std::string> out;
    for (const auto& item : list.items()) out.push_back(item.text());
    return out;
}

std::vector<Edge> edges_of(const Json& service) {
    const auto required = texts(service["requires"]);
    std::vector<Edge> out;
    out.reserve(required.size());
    for (const auto& key : required) out.push_back({key, true});
    for (const auto& key : texts(service["after"])) {
        const bool known = std::find(required.begin(), required.end(), key) != required.end();
        if (!known) out.push_back({key, false});
    }
    return out;
}

std::string condition(const Json& service) {
    const std::string state = service["state"].text("unknown");
    const std::string health = service["health"]["status"].text("unknown");
    const bool calm = state == "stopped" || state == "completed" || state == "waiting";
    return safe_text(calm ? state : state + ", " + health);
}

class Tree {
  public:
    Tree(const Json& services, const Style& style) : services_(services), style_(style) {}

    // Units that nobody needs stand at the left, what they need below them.
    std::string render(const std::vector<std::string>& keys) {
        std::set<std::string> needed;
        std::set<std::string> linked;
        for (const auto& key : services_.keys()) {
            for (const auto& edge : edges_of(services_[key])) {
                needed.insert(edge.to);
                linked.insert({edge.to, key});
            }
        }
        const bool all = keys.size() == services_.keys().size();
        std::string alone;
        for (const auto& key : keys) {
            if (all && !linked.contains(key)) {
                alone += line("", {key, true}, false);
            } else if (!all || !needed.contains(key)) {
                draw(key);
            }
        }
        if (!alone.empty() && !out_.empty()) out_ += "\n";
        if (!alone.empty()) out_ += paint("need nobody", Colour::Bold, style_) + "\n" + alone;
        return out_;
    }

  private:
    void draw(const std::string& root) {
        out_ += line("", {root, true}, false);
        below(root, "");
    }
    void below(const std::string& key, const std::string& indent) {
        if (!shown_.insert(key).second) return;
        const auto edges = edges_of(services_[key]);
        for (std::size_t i = 0; i < edges.size(); ++i) {
            const bool last = i + 1 == edges.size();
            const bool again =
                shown_.contains(edges[i].to) && !edges_of(services_[edges[i].to]).empty();
            out_ += line(indent + branch(last), edges[i], again);
            if (!again) below(edges[i].to, indent + trunk(last));
        }
    }
    std::string branch(bool last) const {
        if (!style_.terminal) return "  ";
        if (!style_.utf8) return last ? "`- " : "|- ";
        return last ? "└─ " : "├─ ";
    }
    std::string trunk(bool last) const {
        if (!style_.terminal) return "  ";
        if (last) return "   ";
        return style_.utf8 ? "│  " : "|  ";
    }
    std::string line(const std::string& indent, const Edge& edge, bool again) const {
        const Json service = services_[edge.to];
        const Mark mark = mark_of(rank_of(service));
        const std::string sign = symbol(mark.symbol, mark.ascii, style_);
        std::string text = safe_text(edge.to) + "  " + condition(service);
        if (const auto by = service["blocked_by"].text(); !by.empty()) {
            text += "  blocked by " + safe_text(by);
        } else if (const auto reason = service["reason"].text();
                   !reason.empty() && reason != service["state"].text()) {
            text += "  " + safe_text(reason);
        }
        if (!edge.required) text += "  (order only)";
        if (again) text += "  (see above)";
        const int used = display_width(indent) + (sign.empty() ? 0 : display_width(sign) + 1);
        if (style_.terminal) text = fit(text, style_.width - used, style_);
        const std::string start = sign.empty() ? "" : paint(sign, mark.colour, style_) + " ";
        return paint(indent, Colour::Dim, style_) + start + text + "\n";
    }

    Json services_;
    const Style& style_;
    std::set<std::string> shown_;
    std::string out_;
};

std::string blocked_lines(const Json& services, const std::vector<std::string>& keys) {
    std::map<std::string, std::string> held; // by whom -> who
    for (const auto& key : keys) {
        const std::string by = services[key]["blocked_by"].text();
        if (by.empty()) continue;
        std::string& list = held[by];
        list += (list.empty() ? "" : ", ") + safe_text(key);
    }
    std::string out;
    for (const auto& [by, who] : held) {
        out += safe_text(by) + " (" + condition(services[by]) + ") holds back " + who + "\n";
    }
    return out;
}

const char* dot_colour(Rank rank) {
    switch (rank) {
    case Rank::Down: return "#d9534f";
    case Rank::Degraded: return "#e0a030";
    case Rank::Waiting:
    case Rank::Unknown: return "#4aa3c7";
    case Rank::Healthy: return "#4c9f50";
    case Rank::Paused: return "#5b7bd5";
    case Rank::Completed:
    case Rank::Stopped: return "#999999";
    }
    return "#999999";
}

} // namespace

std::string render_graph(const Json& status, const std::vector<std::string>& keys,
                         const Style& style) {
    if (keys.empty()) return "no units\n";
    std::string out = Tree(status["services"], style).render(keys);
    const std::string blocked = blocked_lines(status["services"], keys);
    return blocked.empty() ? out : out + "\n" + blocked;
}

std::string graph_json(const Json& status, const std::vector<std::string>& keys) {
    std::string list;
    for (const auto& key : keys) {
        const Json s = status["services"][key];
        list += list.empty() ? "" : ",";
        list += "{\"key\":" + json_quote(key) + ",\"state\":" + s["state"].dump(-1) +
                ",\"health\":" + s["health"]["status"].dump(-1) +
                ",\"requires\":" + json_quote(texts(s["requires"])) +
                ",\"after\":" + json_quote(texts(s["after"])) +
                ",\"blocked_by\":" + s["blocked_by"].dump(-1) + "}";
    }
    return "{\"units\":[" + list + "]}";
}

std::string graph_dot(const Json& status, const std::vector<std::string>& keys) {
    std::string out =
        "digraph keepwell {\n  rankdir = LR;\n  node [shape = box, style = rounded];\n";
    for (const auto& key : keys) {
        const Json s = status["services"][key];
        // JSON's spelling of a string is DOT's too; its \n is a line break in a label.
        out += "  " + json_quote(safe_text(key)) +
               " [label = " + json_quote(safe_text(key) + "\n" + condition(s)) + ", color = \"" +
               dot_colour(rank_of(s)) + "\"];\n";
    }
    for (const auto& key : keys) {
        const Json s = status["services"][key];
        for (const auto& edge : edges_of(s)) {
            out += "  " + json_quote(safe_text(key)) + " -> " + json_quote(safe_text(edge.to));
            if (!edge.required) out += " [style = dashed]";
            if (s["blocked_by"].text() == edge.to) out += " [color = \"#d9534f\"]";
            out += ";\n";
        }
    }
    return out + "}\n";
}

} // namespace keepwell::cli
