// Import: the configuration of another supervisor as TOML for keepwell.
//
// import_file() never throws, starts nothing and reads only the named file and those it includes.
// What it writes loads without an error on a host that has the users and variables which the source
// names. Nothing is dropped in silence: each option without a counterpart is a note with its line.
// An Error means that there is nothing to write at all; its text begins with FILE:LINE: where a
// place is known.
#pragma once

#include "supervisor/config/file_source.h"
#include "units/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::importer {

enum class Format { Monitor, Supervisord, Monit, Procfile };

const std::vector<std::string>& format_names(); // as the command line spells them
std::optional<Format> format_of(std::string_view name);

struct Note {
    std::string file;
    std::uint32_t line = 0; // 0 = the whole file
    std::string text;       // "cannot import priority of web: …"
};
std::string to_string(const Note&); // "supervisord.conf:12: cannot import …"

struct Imported {
    std::string toml;
    std::vector<Note> notes; // by file and line
    std::size_t units = 0;
};

Result<Imported> import_file(Format, const std::string& path, config::FileSource&);

} // namespace keepwell::importer
