#include "supervisor/cli/render.h"
#include "supervisor/cli/table.h"

#include <sstream>

namespace keepwell::cli {

namespace {

std::string with_commas(const Json& texts) {
    std::string out;
    for (const auto& item : texts.items())
        out += (out.empty() ? "" : ", ") + safe_text(item.text());
    return out;
}

class Story {
  public:
    Story(const Json& diff, const Style& style)
        : diff_(diff), style_(style), table_({{"WHAT"}, {"UNIT", 0, 34}, {"WHY"}}) {}

    // One line for each unit of a list, with the keys that changed or `why`.
    void units(const char* list, const char* word, Colour colour, const char* why = "") {
        for (const auto& unit : diff_[list].items()) {
            const std::string keys = with_commas(diff_["changed"][unit.text()]);
            add(word, colour, unit.text(), keys.empty() ? why : keys);
        }
    }
    void add(const char* word, Colour colour, const std::string& what, const std::string& why) {
        empty_ = false;
        table_.add(
            {{word, colour, {}}, {safe_text(what), Colour::None, {}}, {why, Colour::None, {}}});
    }
    std::string text() const {
        if (empty_) return "  nothing changed\n";
        Style narrow = style_;
        narrow.width -= 2;
        std::istringstream lines(table_.render(narrow, false));
        std::string out;
        for (std::string line; std::getline(lines, line);) out += "  " + line + "\n";
        return out;
    }
    bool empty() const { return empty_; }

  private:
    const Json& diff_;
    const Style& style_;
    Table table_;
    bool empty_ = true;
};

} // namespace

std::string render_reload(const Json& diff, bool dry_run, const Style& style) {
    Story story(diff, style);
    story.units("added", dry_run ? "add" : "added", Colour::Green, "new");
    story.units("restarted", dry_run ? "restart" : "restarted", Colour::Yellow);
    story.units("updated", dry_run ? "change" : "changed", Colour::None, "without a restart");
    story.units("removed", dry_run ? "stop" : "stopped", Colour::Red,
                "no longer in the configuration");
    for (const auto& key : diff["supervisor"].items())
        story.add(dry_run ? "change" : "changed", Colour::None, "supervisor." + key.text(), "");
    for (const auto& key : diff["frozen"].items()) {
        story.add(dry_run ? "keep" : "kept", Colour::Blue, "supervisor." + key.text(),
                  "frozen: only a new start of keepwell takes it over");
    }
    const char* title = dry_run ? "a reload would do this" : "configuration reloaded";
    std::string out = paint(title, Colour::Bold, style) + "\n" + story.text();
    const std::uint64_t same = diff["unchanged"].items().size();
    if (!story.empty() && same > 0) out += "  " + plural(same, "unit") + " unchanged\n";
    if (dry_run && !diff["restarted"].items().empty())
        out +=
            "  restarts are for what only a new process can take over; the rest goes on running\n";
    for (const auto& warning : diff["warnings"].items())
        out += "warning: " + safe_text(warning.text()) + "\n";
    return out;
}

} // namespace keepwell::cli
