#include "supervisor/cli/progress.h"

#include <algorithm>

namespace keepwell::cli {

namespace {

struct Look {
    const char* symbol;
    char ascii;
    Colour colour;
};

Look look_of(const std::string& status) {
    if (status == "ok") return {"●", '*', Colour::Green};
    if (status == "failed") return {"✖", 'x', Colour::Red};
    return {"◌", 'o', Colour::Cyan};
}

bool settled(const Json& unit) {
    const std::string status = unit["status"].text();
    return status == "ok" || status == "failed";
}

} // namespace

std::string Progress::line(const Json& unit, int name_width, bool cut) const {
    const std::string status = unit["status"].text("pending");
    const Look look = look_of(status);
    std::string text = pad(safe_text(unit["key"].text()), name_width) + "  " +
                       pad(safe_text(status), style_.terminal ? 7 : 0);
    if (const auto message = unit["message"].text(); !message.empty()) {
        text += "  " + safe_text(message);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    if (!style_.terminal) return text + "\n";
    if (cut) text = fit(text, style_.width - 3, style_);
    return paint(symbol(look.symbol, look.ascii, style_), look.colour, style_) + " " + text + "\n";
}

void Progress::rewrite(const Json& action) {
    const std::vector<Json> units = action["units"].items();
    int width = 0;
    for (const auto& unit : units) {
        width = std::max(width, display_width(safe_text(unit["key"].text())));
    }
    // Only the last picture may have lines that wrap: nothing goes back over it.
    const bool cut = !action["finished"].boolean();
    std::string now;
    for (const auto& unit : units) now += line(unit, width, cut);
    if (now == last_) return;
    if (drawn_ > 0) out_ << "\x1b[" << drawn_ << "A\r\x1b[J";
    out_ << now << std::flush;
    drawn_ = static_cast<int>(units.size());
    last_ = now;
}

void Progress::show(const Json& action) {
    const std::vector<Json> units = action["units"].items();
    if (style_.terminal && static_cast<int>(units.size()) < style_.height - 1) {
        return rewrite(action);
    }
    for (const auto& unit : units) {
        if (!settled(unit) || !done_.insert(unit["key"].text()).second) continue;
        out_ << line(unit, 0, false) << std::flush;
    }
}

} // namespace keepwell::cli
