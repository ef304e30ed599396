// Compares the values at RFC 6901 pointers of a JSON text with wanted values.
//
// The text is foreign: whatever it holds (not JSON, invalid UTF-8, absurd nesting), nothing throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keepwell {

// wanted: pointer -> JSON text of the value ("" is the whole document). A wanted text that is not
// JSON itself means the string it spells. Gives what differs first, for people:
// `/status is "sick", expected "healthy"`, `/status is missing, …`, `the body is not JSON`;
// nullopt when all are equal. Numbers compare by value (1 equals 1.0).
std::optional<std::string>
json_mismatch(std::string_view body,
              const std::vector<std::pair<std::string, std::string>>& wanted) noexcept;

} // namespace keepwell
