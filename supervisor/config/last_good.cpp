#include "supervisor/config/last_good.h"

#include "supervisor/config/load.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <set>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell {
namespace {

// Bundle: the magic line, then for each file "file SIZE NAME_SIZE\n" NAME "\n" TEXT "\n", then
// "end\n". Lengths, not separators, so that any text fits.
constexpr std::string_view kMagic = "keepwell configuration bundle 1\n";
constexpr std::string_view kEnd = "end\n";
constexpr std::uint64_t kLargestBundle = 1U << 30;

using Files = config::BundleSource::Files;

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    int fd_;
};

std::string absolute(const std::string& path) {
    std::error_code ignored;
    const auto whole = std::filesystem::absolute(path, ignored);
    return ignored ? path : whole.lexically_normal().string();
}

std::string pack(const Files& files) {
    std::string bundle(kMagic);
    for (const auto& [path, text] : files) {
        const std::string name = absolute(path);
        bundle += "file " + std::to_string(text.size()) + " " + std::to_string(name.size()) + "\n";
        bundle += name + "\n" + text + "\n";
    }
    return bundle.append(kEnd);
}

bool take_number(std::string_view& rest, std::size_t& value, char end) {
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc() || stop == rest.data() + rest.size() || *stop != end) return false;
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()) + 1);
    return true;
}

bool take_text(std::string_view& rest, std::size_t size, std::string& text) {
    if (rest.size() <= size || rest[size] != '\n') return false;
    text = rest.substr(0, size);
    rest.remove_prefix(size + 1);
    return true;
}

bool unpack(std::string_view rest, Files& files) {
    constexpr std::string_view kFile = "file ";
    if (!rest.starts_with(kMagic)) return false;
    rest.remove_prefix(kMagic.size());
    while (rest.starts_with(kFile)) {
        rest.remove_prefix(kFile.size());
        std::size_t text_size = 0;
        std::size_t name_size = 0;
        auto& [name, text] = files.emplace_back();
        if (!take_number(rest, text_size, ' ') || !take_number(rest, name_size, '\n')) return false;
        if (!take_text(rest, name_size, name) || !take_text(rest, text_size, text)) return false;
    }
    return rest == kEnd && !files.empty();
}

Error cannot_save(const std::string& path, int code) {
    return {"cannot save the last good configuration in " + path + ": " + std::strerror(code) +
                " (make the folder writable and leave some space)",
            code};
}

int write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return ::fsync(fd) == 0 ? 0 : errno;
}

Status write_durably(const std::string& folder, const std::string& path, std::string_view text) {
    const std::string temporary = path + ".new";
    // A left-over of a crash may have any mode; a fresh file has ours.
    ::unlink(temporary.c_str());
    int error = 0;
    {
        const Descriptor file(
            ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (file.get() < 0) return cannot_save(path, errno);
        error = write_all(file.get(), text);
    }
    if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
    if (error != 0) {
        ::unlink(temporary.c_str());
        return cannot_save(path, error);
    }
    const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() < 0 || ::fsync(directory.get()) != 0) return cannot_save(path, errno);
    return Done{};
}

// The files that no other one includes, in order: the bundle keeps reading order, and a file that
// is included is always read after the one that names it.
LoadResult load_bundle(const Files& files, const LoadOptions& options) {
    config::BundleSource source(files);
    std::vector<std::string> roots;
    std::set<std::string> read;
    for (const auto& [path, text] : files) {
        if (read.contains(path)) continue;
        roots.push_back(path);
        const LoadResult one = config::load_from({path}, source, options);
        read.insert(one.files.begin(), one.files.end());
    }
    return config::load_from(roots, source, options);
}

} // namespace

std::string last_good_file(const std::string& state_dir) { return state_dir + "/last-good.conf"; }

Status save_last_good(const std::string& state_dir, const std::vector<std::string>& files) {
    Files texts;
    for (const std::string& path : files) {
        auto text = config::read_regular_file(path, config::kLargestConfigFile);
        if (!text) return text.error();
        texts.emplace_back(path, std::move(*text));
    }
    return write_durably(state_dir, last_good_file(state_dir), pack(texts));
}

Status save_last_good(const std::string& state_dir, const LoadResult& loaded) {
    Files texts;
    for (std::size_t i = 0; i < loaded.files.size(); ++i) {
        texts.emplace_back(loaded.files[i], loaded.texts[i]);
    }
    return write_durably(state_dir, last_good_file(state_dir), pack(texts));
}

LoadResult load_last_good(const std::string& state_dir, const LoadOptions& options) {
    LoadResult failed;
    const std::string path = last_good_file(state_dir);
    auto text = config::read_regular_file(path, kLargestBundle);
    if (!text) {
        const std::string why = text.error().code == ENOENT
                                    ? "cannot read " + path +
                                          ": no configuration was ever loaded without an error "
                                          "(run keepwell with one first)"
                                    : text.error().message;
        failed.errors.push_back({{}, why});
        return failed;
    }
    Files files;
    if (!unpack(*text, files)) {
        failed.errors.push_back({{},
                                 "cannot read " + path +
                                     ": it is damaged (start keepwell with a good "
                                     "configuration once, which writes it anew)"});
        return failed;
    }
    try {
        return load_bundle(files, options);
    } catch (const std::exception& e) {
        failed.errors.push_back({{}, "cannot load " + path + ": " + e.what()});
        return failed;
    }
}

LoadResult load_last_good(const std::string& state_dir) {
    LoadOptions options;
    options.user_run = ::geteuid() != 0;
    return load_last_good(state_dir, options);
}

} // namespace keepwell
