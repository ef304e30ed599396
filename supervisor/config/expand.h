// ${VAR}, ${VAR:-default} and $$ in strings.
//
// A default is taken when the variable is unset or empty, as in a shell; defaults may hold further
// ${…}. A dollar before anything else stands for itself.
#pragma once

#include "supervisor/config/messages.h"
#include "supervisor/config/tree.h"
#include "units/result.h"

#include <functional>
#include <optional>
#include <string>

namespace keepwell::config {

using Lookup = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> from_environment(const std::string& name);

Result<std::string> expand(std::string_view text, const Lookup&);

// Every string of the tree, in place; what cannot be expanded is an error at its position.
void expand_tree(Node&, const Lookup&, Messages&);

// {instance} in every string.
void expand_instance(Node&, std::uint32_t instance);

} // namespace keepwell::config
