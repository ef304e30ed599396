// The regular expression of "matching" as patterns of keepwell, which knows text and globs.
//
// Pure. What a glob cannot say becomes a star: the patterns match at least what the expression
// does, and exact = false says that they may match more. They are empty when so little text is
// left that any process might match.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keepwell::importer {

struct ProcessPatterns {
    std::vector<std::string> patterns;
    bool exact = true;
};

ProcessPatterns process_patterns(std::string_view regex);

} // namespace keepwell::importer
