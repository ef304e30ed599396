// A folder of this test as if it lay in /etc: imported from there, loaded from there, with nothing
// of this machine but its users.
#pragma once

#include "supervisor/config/load.h"
#include "supervisor/import/import.h"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>
#include <string>

namespace keepwell::importer {

inline std::string read_text(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// Every file below `folder` by the path it would have below `root`.
inline config::BundleSource bundle_of(const std::filesystem::path& folder,
                                      const std::string& root) {
    config::BundleSource::Files files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        const auto name = std::filesystem::relative(entry.path(), folder).string();
        files.emplace_back(root + "/" + name, read_text(entry.path()));
    }
    return config::BundleSource(std::move(files));
}

inline Result<Imported> import_text(Format format, const std::string& text) {
    config::BundleSource source({{"/etc/source", text}});
    return import_file(format, "/etc/source", source);
}

inline LoadResult load_toml(const std::string& toml) {
    config::BundleSource source({{"/etc/keepwell.toml", toml}});
    LoadOptions options;
    options.files = {"/etc/keepwell.toml"};
    return config::load_from(options.files, source, options);
}

// All errors as lines; "" when it loads.
inline std::string errors_in(const std::string& toml) {
    std::string out;
    for (const ConfigMessage& error : load_toml(toml).errors) out += to_string(error) + "\n";
    return out;
}

inline std::string lines_of_notes(const Imported& imported) {
    std::string out;
    for (const Note& note : imported.notes) out += to_string(note) + "\n";
    return out;
}

} // namespace keepwell::importer
