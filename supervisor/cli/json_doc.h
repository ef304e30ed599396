// Json: read-only access to a parsed JSON document; the only door to the JSON library.
//
// A Json is a cheap handle that keeps its whole document alive. Asking a value for what it is not
// never fails: a missing key or a wrong type gives the null Json, and text(), number() … give the
// fallback. Members keep the order of the document. Parsing never throws.
#pragma once

#include "units/result.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::cli {

class Json {
  public:
    Json() = default; // null
    static Result<Json> parse(std::string_view text);

    bool is_null() const;
    bool is_object() const;
    bool is_array() const;
    Json operator[](std::string_view key) const;
    std::vector<Json> items() const;       // of an array
    std::vector<std::string> keys() const; // of an object
    std::string text(std::string_view fallback = {}) const;
    std::optional<double> number() const;
    std::int64_t integer(std::int64_t fallback = 0) const;
    bool boolean(bool fallback = false) const;
    std::string dump(int indent) const; // invalid UTF-8 is replaced

  private:
    std::shared_ptr<const void> root_;
    const void* node_ = nullptr;
};

// "text" as a JSON string, quotes included; a list of them as a JSON array.
std::string json_quote(std::string_view text);
std::string json_quote(const std::vector<std::string>& texts);

} // namespace keepwell::cli
