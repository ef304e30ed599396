// Where configuration text comes from: the disk, or a saved bundle (the last good configuration).
//
// Errors start with "cannot read PATH:" and end with what to do; `code` is the errno.
#pragma once

#include "units/result.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace keepwell::config {

inline constexpr std::uint64_t kLargestConfigFile = 16U << 20;

// The whole of a regular file of at most `limit` bytes. Anything else than a regular file is
// refused without waiting for it.
Result<std::string> read_regular_file(const std::string& path, std::uint64_t limit);

class FileSource {
  public:
    virtual ~FileSource() = default;
    virtual Result<std::string> read(const std::string& path) = 0;
    // The files that match a pattern, sorted bytewise; none is not an error.
    virtual std::vector<std::string> match(const std::string& pattern) = 0;
    // Equal for two names of one file.
    virtual std::string identity(const std::string& path) = 0;
};

class DiskSource final : public FileSource {
  public:
    Result<std::string> read(const std::string& path) override;
    std::vector<std::string> match(const std::string& pattern) override;
    std::string identity(const std::string& path) override;
};

class BundleSource final : public FileSource {
  public:
    using Files = std::vector<std::pair<std::string, std::string>>; // path, text
    explicit BundleSource(Files files) : files_(std::move(files)) {}
    Result<std::string> read(const std::string& path) override;
    std::vector<std::string> match(const std::string& pattern) override;
    std::string identity(const std::string& path) override;

  private:
    Files files_;
};

} // namespace keepwell::config
