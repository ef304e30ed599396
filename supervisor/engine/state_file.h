// StateFile: what must survive the supervisor's own death, in runtime_dir (a tmpfs): every unit's
// record, and the owner words of the staging pipes.
//
// For each unit two fixed slots {sequence, length, CRC32C, key, fields}; the older one is written
// by one pwrite, so a torn write leaves the other whole. Only the small header is mapped (the owner
// words are written by the log threads). A file of another boot or version, or a damaged one, is
// moved aside as NAME.corrupt-N (five are kept, the newest has the highest number) and a fresh one
// begins: monotonic times and pids of another boot mean nothing.
#pragma once

#include "supervisor/logs/log_mover.h"
#include "units/record.h"
#include "units/result.h"
#include "units/unit_spec.h"

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace keepwell {

inline constexpr std::size_t kStageCount = 2;

class StateFile {
  public:
    // note: empty, or what was wrong with the file that was there.
    static Result<std::unique_ptr<StateFile>> open(const std::string& path, std::string* note);
    // The file that is there is moved aside whatever it says, and a fresh one begins; whose bytes
    // the staging pipes hold is taken over from it.
    static Result<std::unique_ptr<StateFile>> open_afresh(const std::string& path);
    ~StateFile();
    StateFile(const StateFile&) = delete;
    StateFile& operator=(const StateFile&) = delete;

    // The stored bytes of each unit by key (newest valid slot), as found at open().
    const std::unordered_map<std::string, std::string>& stored() const { return stored_; }
    // Writes when the encoded record differs from what was written last. Errors are reported once
    // by the Status.
    Status save(const std::string& key, const std::string& encoded);
    void erase(const std::string& key);
    StageOwner* stage_owner(std::size_t i);

  private:
    struct Place {
        std::size_t position = 0; // of the pair of slots
        std::uint64_t sequence = 0;
        std::uint32_t crc = 0;
    };
    explicit StateFile(int fd) : fd_(fd) {}
    Status map_header();
    void scan();
    Place& place_of(const std::string& key);

    int fd_ = -1;
    void* header_ = nullptr;
    std::unordered_map<std::string, Place> places_;
    std::unordered_map<std::string, std::string> stored_;
    std::vector<Place> free_; // with the sequence that a new owner must exceed
    std::size_t pairs_ = 0;
};

std::string read_boot_id();

} // namespace keepwell
