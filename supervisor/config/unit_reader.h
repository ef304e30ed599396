// One merged unit table (template under unit, {instance} already expanded) to one UnitSpec.
//
// Names of other units stay as written; dependencies.h resolves them.
#pragma once

#include "supervisor/config/context.h"
#include "supervisor/config/reader.h"

#include <map>
#include <optional>
#include <string>

namespace keepwell::config {

struct UnitTables {
    std::map<std::string, Node> policies; // merged over "default"; always holds "default"
    const Node* check_defaults = nullptr;
};

// A unit as the file says it, before it is a spec: for names and positions of references.
struct RawUnit {
    std::string family; // "worker" of worker@3
    std::string key;
    std::optional<std::uint32_t> instance;
    Node node;
};

// nullopt: too broken to go on. A template without units is read the same way, for its errors only.
std::optional<UnitSpec> read_unit(const RawUnit&, const UnitTables&, bool is_template, Context&);

} // namespace keepwell::config
