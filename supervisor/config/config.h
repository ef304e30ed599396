// Loading keepwell.toml: files, includes, templates and instances into a validated Configuration.
//
// load() never throws and reports every error at once, each with file:line:column. It is the same
// code for `run`, `reload` and `validate`. User names are looked up here (NSS may block), so call
// it off the loop while running.
#pragma once

#include "units/result.h"
#include "units/unit_spec.h"

#include <map>
#include <string>
#include <vector>

namespace keepwell {

struct ConfigMessage {
    SourcePosition where; // line 0 = the whole file
    std::string text;     // "cannot read unit.web.comand: unknown key (did you mean command?)"
};
std::string to_string(const ConfigMessage&); // "site.toml:14:3: cannot read …"

struct LoadOptions {
    std::vector<std::string> files; // empty: KEEPWELL_CONFIG, else the defaults of docs/config
    bool user_run = false;          // not root: paths below XDG directories
    std::string status_file;        // --status-file; wins over everything
    bool dry_run = false;           // --dry-run
};

struct LoadResult {
    Configuration config; // only meaningful when errors is empty
    std::vector<ConfigMessage> errors;
    std::vector<ConfigMessage> warnings;
    std::vector<std::string> files; // everything that was read, in order
    std::vector<std::string> texts; // what these files held
    bool ok() const { return errors.empty(); }
};

LoadResult load_configuration(const LoadOptions&);

// The default file list for this user; what "no config found" names.
std::vector<std::string> default_config_files(bool user_run);

// What a reload has to do. Unit keys; `restarted` = running parameters changed, `updated` = only
// checks, policy, log or display changed (no restart needed), `unchanged` untouched.
struct ConfigDiff {
    std::vector<std::string> added, removed, restarted, updated, unchanged;
    bool supervisor_changed =
        false; // settings that need a full restart of keepwell are named in `frozen`
    std::vector<std::string> frozen; // "runtime_dir", "log_dir" …
    // Which keys of a restarted or updated unit differ: "command", "policy.backoff", "check.http".
    // Under "" those of the supervisor.
    std::map<std::string, std::vector<std::string>> changed;
};
ConfigDiff diff(const Configuration& running, const Configuration& wanted);

} // namespace keepwell
