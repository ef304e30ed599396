#include "supervisor/cli/top_model.h"

#include "supervisor/cli/context.h"
#include "supervisor/cli/render.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace keepwell::cli {

namespace {

constexpr const char* kHelp =
    "Keys\n"
    "\n"
    "  up down, k j        choose a unit        page up, page down, g G    further\n"
    "  s n c m t           sort by state, name, CPU, memory, restarts\n"
    "  p                   problems first, on and off\n"
    "  /                   show only what matches a text; Esc shows all again\n"
    "  w, Enter            why: what was seen, decided and done\n"
    "  r                   restart the chosen unit (asks first)\n"
    "  q, Ctrl-C           leave\n"
    "\n"
    "The table follows the supervisor by itself, also over an upgrade or a crash of it.\n";

constexpr int kRoomy = 9; // fewer rows: the table alone

struct SortName {
    TopSort sort;
    const char* word;
    const char* key;
};
constexpr std::array<SortName, 5> kSorts = {{{TopSort::State, "state", "s"},
                                             {TopSort::Name, "name", "n"},
                                             {TopSort::Cpu, "cpu", "c"},
                                             {TopSort::Memory, "mem", "m"},
                                             {TopSort::Restarts, "restarts", "t"}}};

const char* word_of(TopSort sort) {
    for (const auto& s : kSorts) {
        if (s.sort == sort) return s.word;
    }
    return "";
}

std::string lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return text;
}

bool matches(const Json& unit, const std::string& filter) {
    std::string all;
    for (const char* field : {"key", "name", "group", "kind", "state", "reason"})
        all += unit[field].text() + "\n";
    return lower(all + unit["health"]["status"].text()).find(lower(filter)) != std::string::npos;
}

double figure(const Json& unit, TopSort sort) {
    switch (sort) {
    case TopSort::State:
    case TopSort::Name: return 0;
    case TopSort::Cpu: return unit["cpu_percent"].number().value_or(-1);
    case TopSort::Memory: return unit["memory_bytes"].number().value_or(-1);
    case TopSort::Restarts: return unit["restarts"]["total"].number().value_or(-1);
    }
    return 0;
}

bool is_problem(Rank rank) { return rank < Rank::Healthy; }

std::string reversed(const std::string& line, const Style& style) {
    const int missing = style.width - display_width(line);
    return "\x1b[7m" + line + std::string(static_cast<std::size_t>(std::max(0, missing)), ' ') +
           "\x1b[0m";
}

// Left and right on one line; the right part gives way.
std::string two_ends(const std::string& left, const std::string& right, const Style& style) {
    const int room = style.width - display_width(left) - display_width(right);
    if (room < 2) return fit(left, style.width, style);
    return left + std::string(static_cast<std::size_t>(room), ' ') + right;
}

std::string percent(const Json& value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.0f%%", value.number().value_or(0));
    return text.data();
}

} // namespace

std::optional<TopSort> parse_sort(std::string_view word) {
    for (const auto& s : kSorts) {
        if (word == s.word) return s.sort;
    }
    return std::nullopt;
}

void TopModel::status(Json document, std::int64_t now_ms) {
    status_ = std::move(document);
    silent_.clear();
    heard_ms_ = now_ms;
    order();
}

void TopModel::story(std::string text) {
    story_ = std::move(text);
    mode_ = Mode::Story;
    scroll_ = 0;
}

void TopModel::say(std::string text, bool bad) {
    message_ = std::move(text);
    bad_ = bad;
}

void TopModel::order() {
    const Json services = status_["services"];
    const auto chosen = select_units(units_of(status_), wanted_);
    struct Row {
        std::string key;
        Rank rank;
        double figure;
    };
    std::vector<Row> rows;
    for (const auto& key : chosen ? *chosen : std::vector<std::string>{}) {
        const Json unit = services[key];
        if (!filter_.empty() && !matches(unit, filter_)) continue;
        rows.push_back({key, rank_of(unit), figure(unit, sort_)});
    }
    std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
        const bool first = is_problem(a.rank);
        if (problems_first_ && first != is_problem(b.rank)) return first;
        if (sort_ == TopSort::State) return a.rank < b.rank;
        return sort_ == TopSort::Name ? a.key < b.key : a.figure > b.figure;
    });
    keys_.clear();
    for (auto& row : rows) keys_.push_back(std::move(row.key));
    const bool there = std::find(keys_.begin(), keys_.end(), selected_) != keys_.end();
    if (!there) selected_ = keys_.empty() ? "" : keys_.front();
}

void TopModel::move(int by) {
    if (keys_.empty()) return;
    const auto at = std::find(keys_.begin(), keys_.end(), selected_) - keys_.begin();
    const auto last = static_cast<std::ptrdiff_t>(keys_.size()) - 1;
    selected_ = keys_[static_cast<std::size_t>(std::clamp<std::ptrdiff_t>(at + by, 0, last))];
}

Wish TopModel::key(const std::string& name) {
    message_.clear();
    switch (mode_) {
    case Mode::Table: return table_key(name);
    case Mode::Filter: return filter_key(name);
    case Mode::Story: return story_key(name);
    case Mode::Help: mode_ = Mode::Table; return name == "q" ? Wish{Wish::Kind::Leave, ""} : Wish{};
    case Mode::Confirm:
        mode_ = Mode::Table;
        if (name == "y" || name == "Y") return {Wish::Kind::Restart, selected_};
        say("not restarted");
        return {};
    }
    return {};
}

Wish TopModel::table_key(const std::string& name) {
    if (name == "q") return {Wish::Kind::Leave, ""};
    const int page = static_cast<int>(page_);
    if (name == "up" || name == "k") move(-1);
    if (name == "down" || name == "j") move(1);
    if (name == "pageup") move(-page);
    if (name == "pagedown" || name == " ") move(page);
    if (name == "home" || name == "g") move(-1'000'000'000);
    if (name == "end" || name == "G") move(1'000'000'000);
    if (name == "/") mode_ = Mode::Filter;
    if (name == "?" || name == "h") mode_ = Mode::Help;
    if (name == "escape") filter_.clear();
    if (name == "p") problems_first_ = !problems_first_;
    if (name == "r" && !selected_.empty()) mode_ = Mode::Confirm;
    for (const auto& s : kSorts) {
        if (name == s.key) sort_ = s.sort;
    }
    order();
    const bool why = (name == "w" || name == "enter") && !selected_.empty();
    return why ? Wish{Wish::Kind::Why, selected_} : Wish{};
}

Wish TopModel::filter_key(const std::string& name) {
    if (name == "escape") filter_.clear();
    if (name == "escape" || name == "enter") {
        mode_ = Mode::Table;
    } else if (name == "backspace") {
        while (!filter_.empty() && (static_cast<unsigned char>(filter_.back()) & 0xC0) == 0x80)
            filter_.pop_back();
        if (!filter_.empty()) filter_.pop_back();
    } else if (display_width(name) > 0 && (name.size() == 1 || name[0] < 0)) {
        filter_ += name;
    }
    order();
    return {};
}

Wish TopModel::story_key(const std::string& name) {
    const std::size_t page = page_;
    if (name == "down" || name == "j") ++scroll_;
    if ((name == "up" || name == "k") && scroll_ > 0) --scroll_;
    if (name == "pagedown" || name == " ") scroll_ += page;
    if (name == "pageup") scroll_ -= std::min(scroll_, page);
    if (name == "g" || name == "home") scroll_ = 0;
    if (name == "G" || name == "end") scroll_ = story_.size();
    if (name == "q" || name == "escape" || name == "w" || name == "enter") mode_ = Mode::Table;
    return {};
}

std::string TopModel::header(std::int64_t now_ms, const Style& style) const {
    const std::string clock = clock_text(now_ms, false);
    if (!silent_.empty()) {
        std::string text = "no answer from keepwell";
        if (heard_ms_ > 0) {
            text = "supervisor is silent since " + clock_text(heard_ms_, false) + " (" +
                   human_age(static_cast<double>(now_ms - heard_ms_) / 1000) + ")";
        }
        const std::string line = two_ends(text + "; trying again", clock, style);
        return paint(fit(line, style.width, style), Colour::Red, style);
    }
    const std::string counts = render_counts(status_, status_["services"].keys());
    const std::string host = safe_text(status_["host"].text());
    const std::string left = host.empty() ? counts : host + "  " + counts;
    return paint(two_ends(left, clock, style), Colour::Bold, style);
}

std::string TopModel::host_line(const Style& style) const {
    const Json host = status_["system_metrics"];
    std::string left;
    if (host.is_object()) {
        left = "cpu " + percent(host["cpu"]["percent"]) + "  memory " +
               percent(host["memory"]["percent"]) + " of " +
               human_bytes(host["memory"]["total"].number().value_or(0)) + "  disk " +
               percent(host["disk"]["percent"]);
    }
    std::string right = std::string("sort: ") + word_of(sort_) +
                        (problems_first_ && sort_ != TopSort::State ? ", problems first" : "");
    if (!filter_.empty()) right += "  filter: " + safe_text(filter_);
    return paint(two_ends(left, right, style), Colour::Dim, style);
}

std::string TopModel::footer(const Style& style) const {
    std::string text;
    switch (mode_) {
    case Mode::Filter:
        text = "show only: " + safe_text(filter_) + "_   Enter keeps, Esc shows all";
        break;
    case Mode::Confirm: text = "restart " + safe_text(selected_) + "? y / n"; break;
    case Mode::Story: text = "up down scroll   q back"; break;
    case Mode::Help: text = "any key goes back"; break;
    case Mode::Table:
        text = "q quit  / filter  w why  r restart  s n c m t sort  p problems  ? help";
        break;
    }
    const bool ask = mode_ == Mode::Confirm || mode_ == Mode::Filter;
    const std::string shown = message_.empty() ? text : safe_text(message_);
    const Colour colour = bad_ && !message_.empty()  ? Colour::Red
                          : ask || !message_.empty() ? Colour::Bold
                                                     : Colour::Dim;
    return paint(fit(shown, style.width, style), colour, style);
}

void TopModel::draw_table(std::vector<std::string>& out, std::int64_t now_ms, const Style& style,
                          int rows) {
    page_ = static_cast<std::size_t>(std::max(1, rows - 1));
    if (keys_.empty()) {
        const bool none = status_["services"].keys().empty();
        const char* text = status_.is_null() ? "waiting for the supervisor"
                           : none            ? "no units are configured"
                                             : "nothing matches; Esc shows all";
        out.emplace_back(text);
        return;
    }
    const auto at =
        static_cast<std::size_t>(std::find(keys_.begin(), keys_.end(), selected_) - keys_.begin());
    const std::size_t first = at / page_ * page_;
    // Widths are those of all rows, so that columns stay where they are from page to page.
    std::istringstream table(render_rows(status_, keys_, now_ms, style, true));
    std::string line;
    for (std::size_t i = 0; std::getline(table, line); ++i) {
        const bool heading = i == 0;
        if (!heading && (i - 1 < first || i - 1 >= first + page_)) continue;
        if (!heading && i - 1 == at) {
            Style plain = style;
            plain.colour = false;
            std::istringstream again(render_rows(status_, keys_, now_ms, plain, true));
            for (std::size_t n = 0; n <= i; ++n) std::getline(again, line);
            line = reversed(line, style);
        }
        out.push_back(line);
    }
}

// What needs somebody first, in a third of the screen at most; the table has the rest.
void TopModel::draw_overview(std::vector<std::string>& out, std::int64_t now_ms, const Style& style,
                             int rows) {
    const int most = rows >= kRoomy ? rows / 3 : 0;
    if (silent_.empty() && filter_.empty() && !status_.is_null())
        for (auto& line : render_problems(status_, keys_, now_ms, style, most)) {
            out.push_back(std::move(line));
            --rows;
        }
    draw_table(out, now_ms, style, rows);
}

void TopModel::draw_text(std::vector<std::string>& out, const std::string& text, const Style& style,
                         int rows) {
    page_ = static_cast<std::size_t>(std::max(1, rows - 1));
    std::vector<std::string> all;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) all.push_back(fit(line, style.width, style));
    const std::size_t most = all.size() > static_cast<std::size_t>(rows)
                                 ? all.size() - static_cast<std::size_t>(rows)
                                 : 0;
    scroll_ = std::min(scroll_, most);
    for (std::size_t i = scroll_; i < all.size() && i < scroll_ + static_cast<std::size_t>(rows);
         ++i)
        out.push_back(all[i]);
}

std::vector<std::string> TopModel::lines(std::int64_t now_ms, const Style& style) {
    std::vector<std::string> out;
    const auto height = static_cast<std::size_t>(std::max(4, style.height));
    const int rows = static_cast<int>(height) - 3;
    out.push_back(header(now_ms, style));
    out.push_back(host_line(style));
    if (mode_ == Mode::Story)
        draw_text(out, story_, style, rows);
    else if (mode_ == Mode::Help)
        draw_text(out, kHelp, style, rows);
    else
        draw_overview(out, now_ms, style, rows);
    out.resize(height - 1);
    out.push_back(footer(style));
    return out;
}

} // namespace keepwell::cli
