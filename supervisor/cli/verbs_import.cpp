#include "supervisor/cli/verbs.h"
#include "supervisor/config/load.h"
#include "supervisor/import/import.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace keepwell::cli {

namespace {

// Never over a file that is there: it may be the configuration in use.
Status write_new(const std::string& path, const std::string& text) {
    const auto failed = [&] {
        const int code = errno;
        const char* hint = code == EEXIST ? " (remove it, or choose another name)" : "";
        return Error{"cannot write " + in_quotes(path) + ": " + std::strerror(code) + hint, code};
    };
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) return failed();
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        done += static_cast<std::size_t>(n);
    }
    // What was written by halves would pass for the whole.
    if (done < text.size() || ::close(fd) != 0) {
        const Error error = failed();
        static_cast<void>(::unlink(path.c_str()));
        if (done < text.size()) ::close(fd);
        return error;
    }
    return Done{};
}

// What only this host can tell: users that it lacks, variables that are not set.
void say_what_is_missing(Context& context, const std::string& name, const std::string& toml) {
    const std::string path = name.starts_with('/') ? name : "/" + name;
    config::BundleSource source({{path, toml}});
    LoadOptions options;
    options.files = {path};
    options.user_run = user_run();
    for (const ConfigMessage& error : config::load_from(options.files, source, options).errors) {
        context.note("the result will not load here yet: line " + std::to_string(error.where.line) +
                     ", " + safe_text(error.text));
    }
}

} // namespace

int verb_import(Context& context) {
    const Options& options = context.options();
    const auto format = importer::format_of(options.format);
    if (!format) return context.fail("unknown format " + in_quotes(options.format), kExitUsage);
    config::DiskSource disk;
    const auto imported = importer::import_file(*format, options.source, disk);
    if (!imported) return context.fail(safe_text(imported.error().message));
    for (const importer::Note& note : imported->notes)
        context.err() << safe_text(importer::to_string(note)) << "\n";
    if (imported->units == 0) return kExitError;
    if (options.output.empty()) {
        context.out() << imported->toml;
        say_what_is_missing(context, "stdout", imported->toml);
        return kExitOk;
    }
    if (const Status written = write_new(options.output, imported->toml); !written)
        return context.fail(written.error().message);
    say_what_is_missing(context, options.output, imported->toml);
    context.note(plural(imported->units, "unit") + " in " + safe_text(options.output) +
                 "; look it through, then: keepwell validate -c " + safe_text(options.output));
    return kExitOk;
}

} // namespace keepwell::cli
