// Reads one table: typed access by key, ranges, and the book-keeping that turns whatever nobody
// asked for into "unknown key (did you mean …?)".
//
// Every access notes its key as known, so ask for all keys before finish(). A wrong value is
// reported at its place and leaves the target untouched; false means "not given or not usable".
// The Node and the Messages must outlive the Reader.
#pragma once

#include "supervisor/config/messages.h"
#include "supervisor/config/tree.h"
#include "units/time.h"

#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keepwell::config {

template <class Enum>
using Words = std::initializer_list<std::pair<std::string_view, Enum>>;

class Reader {
  public:
    Reader(const Node& table, Messages& messages) : table_(&table), messages_(&messages) {}

    const Node& node() const { return *table_; }
    Messages& messages() { return *messages_; }

    // The value as it is, or nullptr.
    const Node* take(std::string_view key);
    // Like take, but anything other than a table is an error.
    const Node* table(std::string_view key);

    bool text(std::string_view key, std::string& to);
    bool nonempty_text(std::string_view key, std::string& to);
    // Like text, or the contents of the file that KEY_file names (see resolve_secret_path).
    bool secret(std::string_view key, std::string& to);
    // A path, made absolute against the folder of the file that says it.
    bool path(std::string_view key, std::string& to);
    bool boolean(std::string_view key, bool& to);
    bool number(std::string_view key, double& to, double low, double high);
    bool duration(std::string_view key, Duration& to, Duration low = Duration::zero());
    bool size(std::string_view key, std::uint64_t& to);
    bool texts(std::string_view key, std::vector<std::string>& to);
    // A command line: an array with at least the program.
    bool argv(std::string_view key, Argv& to);

    template <class Integer>
    bool integer(std::string_view key, Integer& to, std::int64_t low, std::int64_t high) {
        std::int64_t value = 0;
        if (!whole(key, value, low, high)) return false;
        to = static_cast<Integer>(value);
        return true;
    }

    template <class Enum>
    bool one_of(std::string_view key, Words<Enum> words, Enum& to) {
        std::vector<std::string> names;
        for (const auto& [word, value] : words) names.emplace_back(word);
        std::size_t index = 0;
        if (!word_index(key, names, index)) return false;
        to = (words.begin() + static_cast<std::ptrdiff_t>(index))->second;
        return true;
    }

    // A key of a later version: accepted, with a warning that says so.
    bool later(std::string_view key);

    void error(const Node& at, const std::string& what);
    void warning(const Node& at, const std::string& what);
    // `cannot read unit.web.check.http: url is missing (like …)`, at the table's own key.
    void missing(std::string_view what);

    // Reports the keys nobody asked for; returns how many.
    std::size_t finish();

  private:
    bool whole(std::string_view key, std::int64_t& to, std::int64_t low, std::int64_t high);
    bool word_index(std::string_view key, const std::vector<std::string>& words,
                    std::size_t& index);
    const Node* expect(std::string_view key, NodeKind kind, std::string_view example);

    const Node* table_;
    Messages* messages_;
    std::vector<std::string> known_;
};

// `expected a string, found an integer`, with an example when there is one.
std::string wrong_kind(const Node& found, std::string_view expected, std::string_view example = {});

// Relative paths belong to the folder of the file at `where`.
std::string absolute_path(const std::string& path, const Where& where);

// For KEY_file: a bare name is first looked up among systemd's credentials
// ($CREDENTIALS_DIRECTORY), then beside the configuration file.
std::string resolve_secret_path(const std::string& path, const Where& where);

} // namespace keepwell::config
