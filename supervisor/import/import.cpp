#include "supervisor/import/import.h"

#include "supervisor/import/formats.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

Result<Imported> dispatch(Format format, const std::string& path, config::FileSource& source) {
    switch (format) {
    case Format::Monitor: return import_monitor(path, source);
    case Format::Supervisord: return import_supervisord(path, source);
    case Format::Monit: return import_monit(path, source);
    case Format::Procfile: return import_procfile(path, source);
    }
    return Error{"internal error: no such format"};
}

} // namespace

const std::vector<std::string>& format_names() {
    static const std::vector<std::string> names = {"monitor", "supervisord", "monit", "procfile"};
    return names;
}

std::optional<Format> format_of(std::string_view name) {
    constexpr Format kFormats[] = {Format::Monitor, Format::Supervisord, Format::Monit,
                                   Format::Procfile};
    const auto& names = format_names();
    const auto at = std::ranges::find(names, name);
    if (at == names.end()) return std::nullopt;
    return kFormats[at - names.begin()];
}

Result<Imported> import_file(Format format, const std::string& path, config::FileSource& source) {
    try {
        return dispatch(format, path, source);
    } catch (const std::exception& e) {
        return Error{path + ": cannot import it: " + e.what()};
    }
}

} // namespace keepwell::importer
