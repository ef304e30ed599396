// Any text as a configuration file: it loads, or every error has a place and a text that begins
// with "cannot"; loading the same text twice gives the same, and what loads is no difference to
// itself.
#include "supervisor/config/load.h"

#include <cstdlib>

using namespace keepwell;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    // The environment and the files that a configuration may name are this machine's; HOME is
    // nobody's.
    static const bool once = setenv("HOME", "/nonexistent", 1) == 0;
    (void)once;
    const std::string text(reinterpret_cast<const char*>(data), size);
    LoadOptions options;
    options.files = {"/fuzz/keepwell.toml"};
    const auto load = [&] {
        config::BundleSource source({{"/fuzz/keepwell.toml", text}});
        return config::load_from(options.files, source, options);
    };
    const LoadResult first = load();
    for (const auto& error : first.errors)
        if (error.text.rfind("cannot", 0) != 0) __builtin_trap();
    const LoadResult second = load();
    if (first.ok() != second.ok() || first.errors.size() != second.errors.size()) __builtin_trap();
    if (!first.ok()) return 0;
    const ConfigDiff d = diff(first.config, second.config);
    if (!d.added.empty() || !d.removed.empty() || !d.restarted.empty() || !d.updated.empty())
        __builtin_trap();
    return 0;
}
