// Completion: what may stand where the cursor is, and the scripts that ask for it.
//
// The scripts of all shells only call `keepwell __complete`, which walks the same command tree as
// the parser and asks the running supervisor for names; so they cannot drift from the options.
// complete() is pure; complete_words() never prints an error and never waits longer than half a
// second.
#pragma once

#include "supervisor/cli/context.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::cli {

struct Candidate {
    std::string value, text;
};
struct Completion {
    std::vector<Candidate> candidates;
    bool files = false; // the shell completes the names of files by itself
};
struct KnownNames {
    std::vector<NamedUnit> units;
    std::vector<std::string> checks; // NAME/ID
    std::vector<std::string> tokens; // names
};

// words: everything behind "keepwell"; the last is the one being typed, perhaps empty. `names` is
// called only where names may stand.
Completion complete(const CommandTree&, const std::vector<std::string>& words,
                    const std::function<KnownNames()>& names);

// A line of bash as words, without quotes and backslashes.
std::vector<std::string> split_line(std::string_view line);

std::string completion_script(std::string_view shell); // "" for an unknown shell
const std::vector<std::string>& completion_shells();

// `keepwell __complete SHELL …`: argv without "keepwell __complete".
int complete_words(const std::vector<std::string>& arguments, Io& io);

} // namespace keepwell::cli
