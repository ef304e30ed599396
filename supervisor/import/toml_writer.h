// Writing TOML: values quoted so that the loader reads back exactly what went in, tables in the
// order in which their keys were set.
//
// Pure functions over valid UTF-8 without NUL. text() takes plain text and doubles the dollars that
// the loader would expand; expanding() takes text in which ${NAME} is meant as a variable.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keepwell::importer {

std::string escape_dollars(std::string_view plain);

namespace toml {
std::string key(std::string_view name); // bare where TOML allows it
std::string text(std::string_view plain);
std::string expanding(std::string_view with_variables);
std::string number(std::uint64_t value);
std::string boolean(bool value);
std::string array(const std::vector<std::string>& rendered);
std::string texts(const std::vector<std::string>& plain);
std::string expandings(const std::vector<std::string>& with_variables);
} // namespace toml

class TomlTable {
  public:
    // `path` is written as it is ("log.keep"); `value` is rendered already. A path that is set
    // again is replaced in its place.
    void set(std::string path, std::string value);
    void erase(std::string_view path);
    bool has(std::string_view path) const;
    bool empty() const { return entries_.empty(); }
    std::string lines() const;   // path = value, each on its own line
    std::string inlined() const; // { path = value, … }

  private:
    std::vector<std::pair<std::string, std::string>> entries_;
};

class TomlDocument {
  public:
    void comment(std::string_view text);                    // of one line
    void table(std::string_view heading, const TomlTable&); // "unit.web"; heading is rendered
    const std::string& text() const { return text_; }

  private:
    std::string text_;
};

} // namespace keepwell::importer
