// The file check: age, size, contents, and whether something can still be written there.
#include "watchers/local_checks.h"

#include "units/reason.h"
#include "watchers/text.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

namespace keepwell {

namespace {

constexpr std::size_t kReadAtMost = 1U << 20;
constexpr std::size_t kWritten = 4096; // a block: an empty file can still be made on a full disk

class Fd {
  public:
    explicit Fd(int fd) noexcept : fd_(fd) {}
    ~Fd() {
        if (fd_ >= 0) close(fd_);
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

  private:
    int fd_;
};

std::string error_text(int error) {
    std::string text = std::generic_category().message(error);
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z')
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

Observation failed(std::string text) {
    Observation seen;
    seen.outcome = CheckOutcome::Fail;
    seen.output = std::move(text);
    return seen;
}

// What is past the last MiB of a large file: what was written last is what people look for.
std::optional<std::string> mismatch(const FileCheckSpec& spec) {
    const Fd fd(open(spec.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat info {};
    if (!fd || fstat(fd.get(), &info) != 0) return "cannot read: " + error_text(errno);
    if (!S_ISREG(info.st_mode)) return "is not a regular file";
    const auto size = static_cast<std::size_t>(std::max<off_t>(info.st_size, 0));
    const std::size_t from = size > kReadAtMost ? size - kReadAtMost : 0;
    std::string text(std::min(std::max<std::size_t>(size, 1), kReadAtMost), '\0');
    std::size_t got = 0;
    while (got < text.size()) {
        const ssize_t n =
            pread(fd.get(), text.data() + got, text.size() - got, static_cast<off_t>(from + got));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return "cannot read: " + error_text(errno);
        if (n == 0) break;
        got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    if (text.find(spec.contains) != std::string::npos) return std::nullopt;
    return "does not contain \"" + clean_text(spec.contains, 80) + '"';
}

// A nameless file where the file system has them, else one with a name of ours that goes at once.
int scratch_file(const std::string& folder) {
    const int fd = open(folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT && errno != EINVAL))
        return fd;
    std::string name = folder + "/.keepwell-XXXXXX";
    const int named = mkostemp(name.data(), O_CLOEXEC);
    if (named >= 0) unlink(name.c_str());
    return named;
}

std::optional<std::string> not_writable(const FileCheckSpec& spec, bool folder) {
    const Fd fd(folder ? scratch_file(spec.path)
                       : open(spec.path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd) return "cannot be written: " + error_text(errno);
    if (!folder) return std::nullopt;
    static const std::array<char, kWritten> block{};
    const ssize_t n = write(fd.get(), block.data(), block.size());
    if (n < 0) return "cannot be written: " + error_text(errno);
    if (n < static_cast<ssize_t>(block.size())) return "cannot be written: no space left on device";
    return std::nullopt;
}

} // namespace

Observation look_at_file(const FileCheckSpec& spec, WallTime now) {
    struct stat info {};
    if (stat(spec.path.c_str(), &info) != 0)
        return failed(errno == ENOENT ? "does not exist" : "cannot look: " + error_text(errno));
    const bool folder = S_ISDIR(info.st_mode);
    if (!folder && !S_ISREG(info.st_mode)) return failed("is neither a regular file nor a folder");
    const std::int64_t modified =
        std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000;
    const Duration age = std::chrono::milliseconds(std::max<std::int64_t>(now.ms - modified, 0));
    if (spec.max_age && age > *spec.max_age)
        return failed("is " + short_duration(age) + " old > " + short_duration(*spec.max_age));
    const auto size = static_cast<std::uint64_t>(std::max<off_t>(info.st_size, 0));
    if (spec.max_size && size > *spec.max_size)
        return failed("has " + human_size(size) + " > " + human_size(*spec.max_size));
    if (!spec.contains.empty())
        if (auto why = mismatch(spec)) return failed(std::move(*why));
    if (spec.writable)
        if (auto why = not_writable(spec, folder)) return failed(std::move(*why));
    Observation seen;
    seen.output = folder ? "is there" : human_size(size) + ", " + short_duration(age) + " old";
    return seen;
}

} // namespace keepwell
