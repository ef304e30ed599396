// The INI dialect of supervisord: sections of options, each with the line it began on.
//
// Reads as Python's RawConfigParser with the comment rules of supervisord does: "; " and "# " end a
// value, indented lines go on with it, the same section or option again adds to or replaces the
// first. Lines that are nothing become notes; nothing is fatal.
#pragma once

#include "supervisor/import/source_text.h"

#include <optional>
#include <string>
#include <vector>

namespace keepwell::importer {

struct IniOption {
    std::string name; // in small letters
    std::string value;
    Place place;
};

class IniSection {
  public:
    IniSection(std::string title, Place place)
        : title_(std::move(title)), place_(std::move(place)) {}

    const std::string& title() const { return title_; }
    const Place& place() const { return place_; }
    std::string kind() const; // "program" of "program:web"; the whole title without a colon
    std::string name() const; // "web", or ""

    void put(IniOption option);
    IniOption* last() { return options_.empty() ? nullptr : &options_.back(); }
    const IniOption* find(std::string_view name) const;
    // The option, which no longer counts as left over.
    std::optional<IniOption> take(std::string_view name);
    const std::vector<IniOption>& left() const { return options_; }

  private:
    std::string title_;
    Place place_;
    std::vector<IniOption> options_;
};

class IniFile {
  public:
    void read(const std::string& text, const std::string& file, Notes&);
    std::vector<IniSection>& sections() { return sections_; }
    IniSection* find(const std::string& title);

  private:
    // Nullptr when there are too many.
    IniSection* section(const std::string& title, const Place&, Notes&);
    std::vector<IniSection> sections_;
    std::map<std::string, std::size_t> index_; // by title
};

} // namespace keepwell::importer
