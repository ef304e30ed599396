// Any text as a file of another supervisor: the first byte chooses the format. It ends with an
// error that has a place and says "cannot", or with TOML that the loader reads without finding a
// key or a value it does not know; the same text gives the same.
#include "supervisor/import/import.h"
#include "supervisor/config/load.h"

#include <cstdlib>

using namespace keepwell;

namespace {

// What depends on the host or on what the source asks for: users, variables, circles, sizes.
bool is_excused(const std::string& text) {
    for (const char* part :
         {"no user", "user", "group", "environment", "circle", "wait for each other", "variable"})
        if (text.find(part) != std::string::npos) return true;
    return false;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0) return 0;
    constexpr importer::Format kFormats[] = {importer::Format::Monit, importer::Format::Supervisord,
                                             importer::Format::Monitor, importer::Format::Procfile};
    const importer::Format format = kFormats[data[0] % 4];
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    config::BundleSource source({{"/fuzz/source", text}, {"/fuzz/other", "# nothing\n"}});
    const auto first = importer::import_file(format, "/fuzz/source", source);
    if (!first) {
        if (first.error().message.find("cannot") == std::string::npos) __builtin_trap();
        return 0;
    }
    for (const auto& note : first->notes)
        if (note.text.rfind("cannot import ", 0) != 0 || note.file.empty()) __builtin_trap();
    const auto second = importer::import_file(format, "/fuzz/source", source);
    if (!second || second->toml != first->toml) __builtin_trap();
    if (first->units > 50) return 0; // loading them all would be all that is tested
    config::BundleSource result({{"/fuzz/keepwell.toml", first->toml}});
    LoadOptions options;
    options.files = {"/fuzz/keepwell.toml"};
    for (const auto& error : config::load_from(options.files, result, options).errors)
        if (first->units > 0 && !is_excused(error.text)) __builtin_trap();
    return 0;
}
