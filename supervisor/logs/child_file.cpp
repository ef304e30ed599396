#include "supervisor/logs/child_file.h"

#include "supervisor/logs/fd.h"
#include "supervisor/logs/log_names.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>

namespace keepwell {

namespace {

constexpr std::int64_t kTimeToReopen = 5; // seconds

bool grows(const std::string& rotated, const struct stat& fresh) {
    struct stat old {};
    return ::lstat(rotated.c_str(), &old) == 0 && S_ISREG(old.st_mode) &&
           old.st_mtim.tv_sec > fresh.st_ctim.tv_sec + kTimeToReopen;
}

} // namespace

Result<ChildFile> rotate_child_file(const std::string& dir, const std::string& key,
                                    const LogSpec& spec) {
    const std::string path = log_path(dir, key);
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return ChildFile::Fine;
    auto sequences = rotated_sequences(dir, key);
    if (info.st_size == 0 && !sequences.empty() &&
        grows(rotated_path(dir, key, sequences.back()), info))
        return ChildFile::NotReopened;
    if (static_cast<std::uint64_t>(info.st_size) < spec.max_size) return ChildFile::Fine;
    sequences.push_back(sequences.empty() ? 1 : sequences.back() + 1);
    const std::string target = rotated_path(dir, key, sequences.back());
    if (::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) != 0) {
        const int error = errno;
        return Error{"cannot rotate " + path + ": " + std::generic_category().message(error),
                     error};
    }
    // A child without the right to make files there finds the new one.
    const Fd fresh(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (fresh) {
        (void)!::fchown(fresh.get(), info.st_uid, info.st_gid);
        ::fchmod(fresh.get(), info.st_mode & 0777U);
    }
    for (std::size_t i = 0; i + spec.keep < sequences.size(); ++i) {
        ::unlink(rotated_path(dir, key, sequences[i]).c_str());
        ::unlink(packed_path(dir, key, sequences[i]).c_str());
    }
    return ChildFile::Rotated;
}

} // namespace keepwell
