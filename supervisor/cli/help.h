// Help: the pages of `keepwell`, `keepwell help` and `keepwell help VERB`, made from the command
// tree and a few examples.
//
// Pure text of plain values; knows no option parser. An example is a command line that the parser
// accepts (a test walks them all).
#pragma once

#include "supervisor/cli/options.h"

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::cli {

struct Example {
    std::string_view verb, line, text; // line without "keepwell "
};
const std::vector<Example>& examples();

std::string short_help(); // for somebody who typed only "keepwell"
std::string whole_help(const CommandTree&);
std::string verb_help(const CommandTree&, const VerbInfo&);

} // namespace keepwell::cli
