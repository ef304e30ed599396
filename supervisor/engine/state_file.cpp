#include "supervisor/engine/state_file.h"

#include "supervisor/engine/record_codec.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr char kMagic[8] = {'K', 'W', 'S', 'U', 'P', 'S', 'T', '1'};
constexpr std::size_t kHeaderSize = 4096;
constexpr std::size_t kSlotSize = 1024;
constexpr int kKeptAside = 5;

struct Header {
    char magic[8];
    std::uint32_t version;
    std::uint32_t slot_size;
    char boot_id[40];
    StageOwner owners[kStageCount];
};
static_assert(sizeof(Header) <= kHeaderSize);

struct SlotHead {
    std::uint64_t sequence; // 0 = never used
    std::uint32_t crc;      // of key and fields
    std::uint16_t length;   // of the fields
    std::uint16_t used;     // 0 = erased
    char key[64];
};
constexpr std::size_t kPayload = kSlotSize - sizeof(SlotHead);

std::string errno_text(const std::string& what) { return what + ": " + std::strerror(errno); }

std::uint32_t slot_crc(const SlotHead& h, std::string_view fields) {
    std::string bytes(reinterpret_cast<const char*>(&h.sequence), sizeof h.sequence);
    bytes.append(reinterpret_cast<const char*>(&h.used), sizeof h.used);
    bytes.append(h.key, sizeof h.key);
    bytes.append(fields);
    return crc32c(bytes);
}

// nullopt: not a whole slot.
std::optional<std::string> valid_fields(const char* slot, SlotHead& head) {
    std::memcpy(&head, slot, sizeof head);
    if (head.sequence == 0 || head.length > kPayload || head.key[sizeof head.key - 1] != 0)
        return std::nullopt;
    std::string fields(slot + sizeof head, head.length);
    if (slot_crc(head, fields) != head.crc) return std::nullopt;
    return fields;
}

void move_aside(const std::string& path) {
    const auto name = [&path](int n) { return path + ".corrupt-" + std::to_string(n); };
    int n = 1;
    while (n < kKeptAside && access(name(n).c_str(), F_OK) == 0) ++n;
    if (access(name(n).c_str(), F_OK) == 0)
        for (int i = 1; i < kKeptAside; ++i) (void)rename(name(i + 1).c_str(), name(i).c_str());
    (void)rename(path.c_str(), name(n).c_str());
}

// Empty: the file can be used (or is new).
std::string what_is_wrong(int fd) {
    struct stat st {};
    if (fstat(fd, &st) != 0 || st.st_size == 0) return "";
    Header h{};
    if (pread(fd, &h, sizeof h, 0) != static_cast<ssize_t>(sizeof h)) return "is cut short";
    if (std::memcmp(h.magic, kMagic, sizeof kMagic) != 0) return "is not a state file";
    if (h.version != 1 || h.slot_size != kSlotSize) return "is of another version";
    if (std::strncmp(h.boot_id, read_boot_id().c_str(), sizeof h.boot_id - 1) != 0)
        return "is of another boot";
    return "";
}

int open_file(const std::string& path) {
    return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

} // namespace

std::string read_boot_id() {
    char text[64] = {};
    const int fd = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return "unknown";
    const ssize_t n = ::read(fd, text, 36);
    ::close(fd);
    return n > 0 ? std::string(text, static_cast<std::size_t>(n)) : "unknown";
}

Result<std::unique_ptr<StateFile>> StateFile::open(const std::string& path, std::string* note) {
    int fd = open_file(path);
    if (fd < 0) return Error{errno_text("cannot open " + path), errno};
    if (const std::string wrong = what_is_wrong(fd); !wrong.empty()) {
        ::close(fd);
        move_aside(path);
        if (note) *note = path + " " + wrong + "; it was moved aside and counters start afresh";
        fd = open_file(path);
        if (fd < 0) return Error{errno_text("cannot open " + path), errno};
    }
    std::unique_ptr<StateFile> file(new StateFile(fd));
    if (const Status s = file->map_header(); !s) return s.error();
    file->scan();
    return file;
}

Result<std::unique_ptr<StateFile>> StateFile::open_afresh(const std::string& path) {
    Header old{};
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    const bool good = fd >= 0 && what_is_wrong(fd).empty() &&
                      pread(fd, &old, sizeof old, 0) == static_cast<ssize_t>(sizeof old);
    if (fd >= 0) ::close(fd);
    move_aside(path);
    auto file = open(path, nullptr);
    if (file && good) std::memcpy((*file)->stage_owner(0), old.owners, sizeof old.owners);
    return file;
}

StateFile::~StateFile() {
    if (header_) munmap(header_, kHeaderSize);
    if (fd_ >= 0) ::close(fd_);
}

Status StateFile::map_header() {
    struct stat st {};
    if (fstat(fd_, &st) != 0) return Error{errno_text("cannot read the state file"), errno};
    const bool fresh = st.st_size == 0;
    if (fresh && ftruncate(fd_, kHeaderSize) != 0)
        return Error{errno_text("cannot size the state file"), errno};
    void* p = mmap(nullptr, kHeaderSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (p == MAP_FAILED) return Error{errno_text("cannot map the state file"), errno};
    header_ = p;
    if (fresh) {
        auto* h = static_cast<Header*>(header_);
        h->version = 1;
        h->slot_size = kSlotSize;
        std::strncpy(h->boot_id, read_boot_id().c_str(), sizeof h->boot_id - 1);
        std::memcpy(h->magic, kMagic,
                    sizeof kMagic); // last: a half-made header is "not a state file"
    }
    return Done{};
}

void StateFile::scan() {
    std::string pair(2 * kSlotSize, '\0');
    for (;; ++pairs_) {
        const auto at = static_cast<off_t>(kHeaderSize + pairs_ * pair.size());
        if (pread(fd_, pair.data(), pair.size(), at) <= 0) break;
        SlotHead best{};
        std::optional<std::string> fields;
        std::uint64_t last = 0;
        for (std::size_t s = 0; s < 2; ++s) {
            SlotHead head{};
            auto f = valid_fields(pair.data() + s * kSlotSize, head);
            if (f) last = std::max(last, head.sequence);
            if (f && (!fields || head.sequence > best.sequence)) {
                best = head;
                fields = std::move(f);
            }
        }
        if (!fields || !best.used) {
            free_.push_back(Place{pairs_, last, 0});
            continue;
        }
        places_[best.key] = Place{pairs_, best.sequence, 0};
        stored_[best.key] = *fields;
    }
}

StateFile::Place& StateFile::place_of(const std::string& key) {
    const auto [it, is_new] = places_.try_emplace(key);
    if (is_new) {
        if (free_.empty())
            it->second.position = pairs_++;
        else {
            it->second = free_.back();
            free_.pop_back();
        }
    }
    return it->second;
}

Status StateFile::save(const std::string& key, const std::string& encoded) {
    Place& place = place_of(key);
    const std::uint32_t crc = crc32c(encoded);
    if (place.crc == crc && place.sequence != 0) return Done{};
    SlotHead head{};
    head.sequence = ++place.sequence;
    head.used = 1;
    head.length = static_cast<std::uint16_t>(std::min(encoded.size(), kPayload));
    std::strncpy(head.key, key.c_str(), sizeof head.key - 1);
    const std::string_view fields = std::string_view(encoded).substr(0, head.length);
    head.crc = slot_crc(head, fields);
    char slot[kSlotSize];
    std::memcpy(slot, &head, sizeof head);
    std::memcpy(slot + sizeof head, fields.data(), fields.size());
    const std::size_t at = kHeaderSize + (place.position * 2 + (head.sequence & 1U)) * kSlotSize;
    const std::size_t size = sizeof head + fields.size();
    if (pwrite(fd_, slot, size, static_cast<off_t>(at)) != static_cast<ssize_t>(size))
        return Error{errno_text("cannot save the state of " + key), errno};
    place.crc = crc;
    return Done{};
}

void StateFile::erase(const std::string& key) {
    const auto it = places_.find(key);
    if (it == places_.end()) return;
    SlotHead head{};
    head.sequence = it->second.sequence + 1;
    std::strncpy(head.key, key.c_str(), sizeof head.key - 1);
    head.crc = slot_crc(head, {});
    const std::size_t at =
        kHeaderSize + (it->second.position * 2 + (head.sequence & 1U)) * kSlotSize;
    (void)pwrite(fd_, &head, sizeof head, static_cast<off_t>(at));
    free_.push_back(Place{it->second.position, head.sequence, 0});
    places_.erase(it);
}

StageOwner* StateFile::stage_owner(std::size_t i) {
    return &static_cast<Header*>(header_)->owners[i];
}

} // namespace keepwell
