// Names between units: requires, after, blames and ladder targets to keys, then the start order.
//
// A name is a unit's key, or the name before the @ and then all its instances. Units that were left
// out (a kind that is not available yet) are dropped from the lists with a warning.
#pragma once

#include "supervisor/config/context.h"
#include "supervisor/config/unit_reader.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace keepwell::config {

struct Names {
    std::map<std::string, std::vector<std::string>> keys; // "worker" -> worker@1 …; "web" -> web
    std::set<std::string> left_out;
};

// Positions come from `raw`, which is parallel to `units`.
void resolve_names(std::vector<UnitSpec>& units, const std::vector<RawUnit>& raw, const Names&,
                   Context&);

// Units after those they require or follow, otherwise in the order of the file. Each circle is
// reported once, with the whole path.
std::vector<UnitSpec> in_start_order(std::vector<UnitSpec> units, const std::vector<RawUnit>& raw,
                                     Context&);

} // namespace keepwell::config
