// Verbs: what each command does. Every one gives its exit code and prints through the Context.
#pragma once

#include "supervisor/cli/context.h"

namespace keepwell::cli {

// Look.
int verb_status(Context&); // also show
int verb_health(Context&);
int verb_checks(Context&);
int verb_graph(Context&);
int verb_top(Context&);
int verb_why(Context&);
int verb_explain(Context&);
int verb_events(Context&);
int verb_history(Context&);
int verb_logs(Context&);

// Act.
int verb_action(Context&); // start stop restart reload-NAME signal check pause resume reset
int verb_rolling_restart(Context&);
int verb_reload_config(Context&);
int verb_switch_check(Context&);
int verb_beat(Context&);
int verb_shutdown(Context&);
int verb_upgrade(Context&);

// Run it.
int verb_run(Context&);
int verb_supervise(Context&);
int verb_validate(Context&);
int verb_simulate(Context&);
int verb_import(Context&);
int verb_token(Context&);
// Of all tokens of the API; empty also where this user may not read them.
std::vector<std::string> token_names(const Context&);

// What --since means: unix, ms.
Result<std::int64_t> parse_since(const std::string& text, std::int64_t now_ms);
// The last log lines of a unit for its long block; "" when there are none.
std::string last_log_lines(Context&, const std::string& key, std::size_t n);

// A SIGINT is counted instead of ending the process, while it lives.
class InterruptGuard {
  public:
    InterruptGuard();
    ~InterruptGuard();
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    static bool interrupted() { return count() > 0; }
    static int count();
};
void sleep_ms(int milliseconds); // ends early on a signal

} // namespace keepwell::cli
