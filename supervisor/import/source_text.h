// What the importers share: the text of a source cut into what TOML can hold, notes, names of
// units, words of a command line, durations.
//
// Everything is pure but read_source(), which reads one regular file of at most 4 MiB.
#pragma once

#include "supervisor/import/import.h"
#include "supervisor/import/toml_writer.h"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::importer {

struct Place {
    std::string file;
    std::uint32_t line = 0;
};

class Notes {
  public:
    // "cannot import WHAT: WHY", once for the same place and text.
    void cannot(const Place&, const std::string& what, const std::string& why);
    std::vector<Note> take(); // by line within each file, files in the order of their first note

  private:
    std::vector<Note> notes_;
    std::set<std::string> seen_;
};

Error failure(const Place&, const std::string& text); // "FILE:LINE: cannot import …"

// What is no UTF-8 and every NUL becomes U+FFFD, and the first of them is noted: TOML holds
// neither.
Result<std::string> read_source(const std::string& path, config::FileSource&, Notes&);

std::string folder_of(const std::string& path);                        // "." for a bare name
std::string below(const std::string& folder, const std::string& path); // unless it is absolute
std::string absolute_folder_of(const std::string& path);               // reads the working folder
std::vector<std::string> lines_of(const std::string& text);            // without CR and LF
std::string_view trimmed(std::string_view text);
std::string lower(std::string_view text);
std::string shortened(std::string_view text); // quoted, one line, at most 60 bytes
std::optional<std::uint64_t> whole_number(std::string_view text);

// Words as a POSIX shell splits them, without expanding anything.
Result<std::vector<std::string>> split_words(std::string_view text);

// Whether the kernel would take these as the arguments of one program; the loader refuses others.
bool fits(const std::vector<std::string>& words);

std::string seconds_text(std::uint64_t seconds); // "90s", "5m", "2h"
// A size like 50MB, 1.5 G or 4096 (of bytes) as keepwell writes it; nullopt for what is none.
std::optional<std::string> size_text(std::string_view text);

// Names of the source as unique unit keys.
class UnitNames {
  public:
    // Small letters, what is not allowed becomes '-'; a number is appended where needed.
    std::string add(const std::string& name);
    const std::string* find(const std::string& name) const; // as it was added first
    // The display name where the key says less.
    static void show(TomlTable&, const std::string& key, const std::string& name);

  private:
    std::map<std::string, std::string> keys_; // name, key
    std::set<std::string> taken_;
    std::map<std::string, std::size_t> copies_; // of a key, so far
};

// A check ID that the unit does not have yet: "http", "http-2".
std::string check_id(const TomlTable& unit, const std::string& type);
// Sets it as check.ID, with a type where the ID does not say it.
void set_check(TomlTable& unit, const std::string& type, const TomlTable& keys);

// The first lines of every result.
void begin(TomlDocument&, std::string_view format, const std::string& path);
Result<Imported> finish(const TomlDocument&, Notes&, std::size_t units, const std::string& path);

} // namespace keepwell::importer
