// Text to tree: the one place that knows the TOML library. Never throws.
#pragma once

#include "supervisor/config/messages.h"
#include "supervisor/config/tree.h"

#include <optional>

namespace keepwell::config {

// The root table of the file, or nullopt with one error (the first syntax error) in `messages`.
std::optional<Node> parse_toml(const std::string& text, const std::string& file, Messages&);

} // namespace keepwell::config
