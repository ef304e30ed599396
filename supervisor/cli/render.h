// Rendering: documents of the control API as text for people.
//
// Pure functions of JSON, the time and a Style; every foreign text passes safe_text(). In a pipe
// there are no symbols, no colour and nothing is cut.
#pragma once

#include "supervisor/cli/json_doc.h"
#include "supervisor/cli/text.h"

#include <cstdint>
#include <string>
#include <vector>

namespace keepwell::cli {

// How a unit counts in the last line, in the order of the table and in exit codes.
enum class Rank { Down, Degraded, Waiting, Unknown, Healthy, Paused, Completed, Stopped };
struct Mark {
    const char* symbol;
    char ascii;
    Colour colour;
    const char* word;
};
Mark mark_of(Rank);
Rank rank_of(const Json& service);
bool counts_as_well(const Json& service); // for exit codes 0 and 3

std::vector<std::string> problems_first(const Json& status, std::vector<std::string> keys);
// The units of `keys` in that order.
std::string render_rows(const Json& status, const std::vector<std::string>& keys,
                        std::int64_t now_ms, const Style&, bool heading);
// The units of `keys`, problems first; "" without units.
std::string render_table(const Json& status, const std::vector<std::string>& keys,
                         std::int64_t now_ms, const Style&, bool heading);
// "7 units: 3 healthy, 1 degraded, 2 down, 1 waiting"
std::string render_counts(const Json& status, const std::vector<std::string>& keys);
// A headline, and for each unit of `keys` in trouble what was seen and what comes next; at most
// `rows` lines. What does not fit is counted.
std::vector<std::string> render_problems(const Json& status, const std::vector<std::string>& keys,
                                         std::int64_t now_ms, const Style&, int rows);
// "healthy: 7 units" or "down: runner down (no process matches …), shop degraded (…)".
std::string render_health(const Json& status);
// All about one unit, without its log lines.
std::string render_unit(const Json& service, std::int64_t now_ms, const Style&);

// The last column of the table.
std::string short_reason(const Json& service, const Json& services, std::int64_t now_ms);

// /api/checks, or the checks of a status document.
std::string render_checks(const Json& checks, const std::vector<std::string>& keys,
                          std::int64_t now_ms, const Style&, bool heading);
Json checks_of_status(const Json& status);

// What needs what: a tree for people, a document, a file for Graphviz.
std::string render_graph(const Json& status, const std::vector<std::string>& keys, const Style&);
std::string graph_json(const Json& status, const std::vector<std::string>& keys);
std::string graph_dot(const Json& status, const std::vector<std::string>& keys);

std::string render_why(const Json& why, std::size_t incidents, std::int64_t now_ms, const Style&);
std::string render_explain(const Json& explain, const Style&);
std::string render_event(const Json& event, std::int64_t now_ms,
                         const Style&); // one line with its end
std::string render_reload(const Json& diff, bool dry_run, const Style&);

} // namespace keepwell::cli
