// Running the command line inside a test: output, exit code, a fixed clock and no environment.
#pragma once

#include "supervisor/cli/context.h"

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace keepwell::cli {

struct Ran {
    int code = -1;
    std::string out, err;
};

inline constexpr std::int64_t kNow = 1761566400000; // 2025-10-27T12:00:00Z

inline Ran run(std::vector<std::string> words, Style style = {},
               std::map<std::string, std::string> environment = {}, std::int64_t now = kNow) {
    words.insert(words.begin(), "keepwell");
    std::vector<const char*> argv;
    for (const auto& word : words) argv.push_back(word.c_str());
    std::ostringstream out;
    std::ostringstream err;
    Io io{out, err, style,
          [environment](const char* name) {
              const auto found = environment.find(name);
              return found == environment.end() ? std::string() : found->second;
          },
          [now] { return now; }};
    const int code = run_cli(static_cast<int>(argv.size()), argv.data(), io);
    return {code, out.str(), err.str()};
}

inline std::string read_file(const std::string& name) {
    std::ifstream file(std::string(CLI_TEST_DIR) + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

inline Style terminal(int width, bool colour = false) {
    Style style;
    style.terminal = true;
    style.colour = colour;
    style.width = width;
    return style;
}

} // namespace keepwell::cli
