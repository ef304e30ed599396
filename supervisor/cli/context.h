// Context: what every verb works with: its options, where it writes, the clock, the environment and
// the way to the running supervisor.
//
// run_cli() is the whole program behind main() and may be called in tests; it never exits and never
// throws. Exit codes are those of docs/cli.md. Messages go to `err`, one line each, beginning with
// "keepwell: ".
#pragma once

#include "supervisor/cli/client.h"
#include "supervisor/cli/json_doc.h"
#include "supervisor/cli/options.h"
#include "supervisor/cli/select.h"
#include "supervisor/cli/text.h"

#include <functional>
#include <ostream>
#include <string>
#include <vector>

namespace keepwell::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitNotWell = 3;
inline constexpr int kExitNoSuchUnit = 4;
inline constexpr int kExitNotRunning = 5;
inline constexpr int kExitInterrupted = 130;

struct Io {
    std::ostream& out;
    std::ostream& err;
    Style style;                                      // of out
    std::function<std::string(const char*)> variable; // "" when unset
    std::function<std::int64_t()> now_ms;             // wall clock
};

int run_cli(int argc, const char* const* argv, Io& io);

class Context {
  public:
    Context(Options options, Io& io);

    const Options& options() const { return options_; }
    const Style& style() const { return io_.style; }
    std::ostream& out() { return io_.out; }
    std::ostream& err() { return io_.err; }
    std::int64_t now_ms() const { return io_.now_ms(); }
    std::string variable(const char* name) const { return io_.variable(name); }
    Client& client() { return client_; }
    std::string status_file() const; // where status.json should be

    // Prints "keepwell: MESSAGE" and gives `code` back.
    int fail(const std::string& message, int code = kExitError);
    // A request that got no answer: exit 5 when nobody is there, else 1.
    int unreachable(const Error&);
    // An answer that is not what was asked for. `typed` = names for a guess when one is unknown.
    int refused(const Response&, const std::vector<std::string>& typed = {});
    void note(const std::string& message);

    // Units as the running supervisor knows them.
    Result<std::vector<NamedUnit>> units();

  private:
    Options options_;
    Io& io_;
    Client client_;
};

bool user_run(); // not root
std::string socket_path(const Options&, const Io&);
std::vector<NamedUnit> units_of(const Json& status_document);

} // namespace keepwell::cli
