// DIR/keeper.state: what the next keeper must know. Written with pwrite into tmpfs, it survives a
// kill -9 at any instruction and is nobody's memory. Each record has two slots; the older one is
// written; a torn one fails its checksum and the other one counts.
#include "supervisor/keeper/keeper.h"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keepwell::keeper {

namespace {

constexpr char kFileMagic[8] = {'K', 'W', 'K', 'E', 'E', 'P', 'E', 'R'};
constexpr std::uint32_t kFileVersion = 1;
constexpr std::size_t kSlotSize = 512;
constexpr std::size_t kEntrySize = 2 * kSlotSize;
constexpr std::size_t kHeaderSize = 4096;
constexpr std::size_t kMaxUnknown = 96;
constexpr std::uint32_t kStep = 64;              // entries the file grows by
constexpr char kSupervisorKey[] = "/supervisor"; // no unit can be called so

struct FileHeader {
    char magic[8];
    std::uint32_t version;
    std::uint32_t slot_size;
    char boot_id[48];
};
struct Slot {
    std::uint64_t sequence; // 0 = never written
    std::uint32_t length;
    std::uint32_t crc; // of sequence, length and fields
    unsigned char fields[kSlotSize - 16];
};
static_assert(sizeof(Slot) == kSlotSize);

enum Tag : std::uint16_t {
    TagKey = 1,
    TagGeneration,
    TagPid,
    TagStartTicks,
    TagStartedNs,
    TagPhase,
    TagUid,
    TagInode,
    TagLeaf,
    TagExit, // known, acked, tree gone, wait status, exited_ns
    TagMark,
    TagFirst = 20, // session and start time of the process that was spawned, where another is main
    TagNotify,
    TagErrorsInode = 24,
    TagMissing,   // limits of the tree that could not be set
    TagAside,     // while one keeper puts the next one in its place
    TagKept = 40, // descriptors, while one keeper puts the next one in its place
};
struct FirstField {
    std::int64_t session;
    std::uint64_t start_ticks;
};
struct ExitField {
    std::uint8_t known, acked, tree_gone, oom;
    std::int32_t wait_status;
    std::int64_t exited_ns;
};

struct CrcTable {
    std::uint32_t of[256];
    constexpr CrcTable() : of() {
        for (std::uint32_t i = 0; i < 256; ++i) {
            std::uint32_t crc = i;
            for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0x82f63b78U & (0U - (crc & 1U)));
            of[i] = crc;
        }
    }
};
constexpr CrcTable kCrc;

std::uint32_t crc32c(std::uint32_t crc, const void* data, std::size_t size) {
    const auto* at = static_cast<const unsigned char*>(data);
    crc = ~crc;
    for (; size > 0; --size) crc = crc >> 8 ^ kCrc.of[(crc ^ *at++) & 0xffU];
    return ~crc;
}

std::uint32_t checksum(const Slot& s, std::uint64_t sequence) {
    std::uint32_t crc = crc32c(0, &sequence, sizeof sequence);
    crc = crc32c(crc, &s.length, sizeof s.length);
    return crc32c(crc, s.fields, s.length);
}

off_t offset_of(std::uint32_t entry, unsigned which) {
    return static_cast<off_t>(kHeaderSize + entry * kEntrySize + which * kSlotSize);
}

bool valid(const Slot& s) {
    return s.sequence != 0 && s.length <= sizeof s.fields && s.crc == checksum(s, s.sequence);
}

struct Writer {
    Slot& slot;
    void put(std::uint16_t tag, const void* data, std::size_t size) {
        if (slot.length + 4 + size > sizeof slot.fields) return;
        const auto length = static_cast<std::uint16_t>(size);
        std::memcpy(slot.fields + slot.length, &tag, 2);
        std::memcpy(slot.fields + slot.length + 2, &length, 2);
        std::memcpy(slot.fields + slot.length + 4, data, size);
        slot.length += static_cast<std::uint32_t>(4 + size);
    }
    template <class T>
    void put(std::uint16_t tag, const T& value) {
        put(tag, &value, sizeof value);
    }
};

void encode(const Record& r, Slot& s) {
    Writer w{s};
    w.put(TagKey, r.key.text(), r.key.size());
    w.put(TagGeneration, r.generation);
    w.put(TagPhase, static_cast<std::uint8_t>(r.phase));
    w.put(TagMark, r.mark.text(), r.mark.size());
    if (r.pid != 0) {
        w.put(TagPid, static_cast<std::int64_t>(r.pid));
        w.put(TagStartTicks, r.start_ticks);
        w.put(TagStartedNs, r.started_ns);
        w.put(TagUid, r.uid);
        w.put(TagInode, r.output_inode);
        if (r.errors_inode != 0) w.put(TagErrorsInode, r.errors_inode);
        w.put(TagLeaf, static_cast<std::uint8_t>(r.leaf));
        if (r.first_ticks != r.start_ticks) w.put(TagFirst, FirstField{r.session, r.first_ticks});
        if (r.has_notify) w.put(TagNotify, std::uint8_t{1});
        if (r.missing != 0) w.put(TagMissing, r.missing);
    }
    if (r.phase == Phase::Exited) {
        ExitField e{};
        e.known = r.exit_known;
        e.acked = r.exit_acked;
        e.tree_gone = r.tree_gone;
        e.oom = r.oom;
        e.wait_status = r.wait_status;
        e.exited_ns = r.exited_ns;
        w.put(TagExit, e);
    }
    if (r.aside) {
        w.put(TagAside, std::uint8_t{1});
        w.put(TagInode, r.output_inode);
        w.put(TagErrorsInode, r.errors_inode);
    }
    if (s.length + r.unknown.size() > sizeof s.fields) return;
    std::memcpy(s.fields + s.length, r.unknown.text(), r.unknown.size());
    s.length += static_cast<std::uint32_t>(r.unknown.size());
}

template <class T>
void get(T& out, const unsigned char* data, std::size_t size) {
    if (size == sizeof out) std::memcpy(&out, data, sizeof out);
}

void get_text(Bytes& out, std::size_t room, const unsigned char* data, std::size_t size) {
    if (size < room) (void)out.set(data, ::strnlen(reinterpret_cast<const char*>(data), size));
}

// A field of a newer keeper, kept for it.
void keep_field(Bytes& all, const unsigned char* field, std::size_t size) {
    unsigned char longer[kMaxUnknown];
    if (all.size() + size > sizeof longer) return;
    std::memcpy(longer, all.text(), all.size());
    std::memcpy(longer + all.size(), field, size);
    (void)all.set(longer, all.size() + size);
}

void decode_field(Record& r, std::uint16_t tag, const unsigned char* data, std::size_t size) {
    std::int64_t pid = r.pid;
    auto phase = static_cast<std::uint8_t>(r.phase), leaf = static_cast<std::uint8_t>(r.leaf);
    ExitField e{};
    FirstField first{};
    switch (tag) {
    case TagKey: return get_text(r.key, wire::kKeySize, data, size);
    case TagMark: return get_text(r.mark, wire::kMarkSize, data, size);
    case TagGeneration: return get(r.generation, data, size);
    case TagStartTicks: return get(r.start_ticks, data, size);
    case TagStartedNs: return get(r.started_ns, data, size);
    case TagUid: return get(r.uid, data, size);
    case TagInode: return get(r.output_inode, data, size);
    case TagErrorsInode: return get(r.errors_inode, data, size);
    case TagKept: return get(r.kept, data, size);
    case TagPid:
        get(pid, data, size);
        r.pid = static_cast<pid_t>(pid); // indexed once the record is whole
        return;
    case TagPhase:
        get(phase, data, size);
        r.phase = static_cast<Phase>(phase);
        return;
    case TagLeaf:
        get(leaf, data, size);
        r.leaf = leaf != 0;
        return;
    case TagExit:
        get(e, data, size);
        r.exit_known = e.known != 0;
        r.exit_acked = e.acked != 0;
        r.tree_gone = e.tree_gone != 0;
        r.oom = e.oom != 0;
        r.wait_status = e.wait_status;
        r.exited_ns = e.exited_ns;
        return;
    case TagFirst:
        get(first, data, size);
        r.session = static_cast<pid_t>(first.session);
        r.first_ticks = first.start_ticks;
        return;
    case TagNotify: r.has_notify = true; return;
    case TagAside: r.aside = true; return;
    case TagMissing: return get(r.missing, data, size);
    default: return keep_field(r.unknown, data - 4, size + 4);
    }
}

void decode(Record& r, const Slot& s) {
    for (std::size_t at = 0; at + 4 <= s.length;) {
        std::uint16_t tag = 0, size = 0;
        std::memcpy(&tag, s.fields + at, 2);
        std::memcpy(&size, s.fields + at + 2, 2);
        if (at + 4 + size > s.length) return;
        decode_field(r, tag, s.fields + at + 4, size);
        at += 4U + size;
    }
    if (r.session != 0) return;
    r.session = r.pid;
    r.first_ticks = r.start_ticks;
}

bool make_room(Keeper& k, std::size_t size) {
    StateFile& f = k.state;
    // Taken now: a full file system must not come between a daemon's clone and its record.
    const int error = posix_fallocate(f.fd.get(), 0, static_cast<off_t>(size));
    if (error != 0) {
        errno = error;
        return false;
    }
    const auto capacity = static_cast<std::uint32_t>((size - kHeaderSize) / kEntrySize);
    void* grown = std::realloc(f.entries, capacity * sizeof(StateEntry));
    if (grown == nullptr) return false;
    f.entries = static_cast<StateEntry*>(grown);
    for (std::uint32_t i = f.capacity; i < capacity; ++i) f.entries[i] = StateEntry{};
    f.capacity = capacity;
    return true;
}

bool take_entry(Keeper& k, Record& r) {
    if (r.state_entry != ~0U) return true;
    StateFile& f = k.state;
    std::uint32_t i = f.first_free;
    while (i < f.capacity && f.entries[i].used) ++i;
    if (i == f.capacity && !make_room(k, kHeaderSize + (f.capacity + kStep) * kEntrySize))
        return false;
    f.entries[i].used = true;
    f.first_free = i + 1;
    r.state_entry = i;
    return true;
}

bool write_slot(Keeper& k, const Record& r, bool empty) {
    StateEntry& e = k.state.entries[r.state_entry];
    Slot s;
    s.sequence = e.sequence + 1;
    s.length = 0;
    if (!empty) encode(r, s);
    if (!empty && k.upgrade.handing_over) Writer{s}.put(TagKept, r.kept);
    s.crc = checksum(s, s.sequence);
    const std::size_t size = offsetof(Slot, fields) + s.length;
    const unsigned which = e.newer ^ 1U;
    if (pwrite(k.state.fd.get(), &s, size, offset_of(r.state_entry, which)) !=
        static_cast<ssize_t>(size))
        return false;
    e.sequence = s.sequence;
    e.newer = static_cast<std::uint8_t>(which);
    return true;
}

void move_aside(Keeper& k, const char* why) {
    char name[64];
    for (int i = 1; i < 10000; ++i) {
        std::snprintf(name, sizeof name, "keeper.state.corrupt-%d", i);
        if (faccessat(k.runtime.get(), name, F_OK, AT_SYMLINK_NOFOLLOW) != 0) break;
    }
    renameat(k.runtime.get(), "keeper.state", k.runtime.get(), name);
    say("%s/keeper.state %s: moved to %s, starting without it", k.runtime_dir, why, name);
}

const char* fault_of(int fd, const char* boot_id) {
    struct stat st {};
    FileHeader h{};
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return "is no regular file";
    if (pread(fd, &h, sizeof h, 0) != sizeof h) return "is too short";
    if (std::memcmp(h.magic, kFileMagic, sizeof h.magic) != 0) return "is corrupt";
    if (h.version != kFileVersion || h.slot_size != kSlotSize) return "has another version";
    if (std::strncmp(h.boot_id, boot_id, sizeof h.boot_id) != 0) return "is from another boot";
    const auto size = static_cast<std::size_t>(st.st_size);
    if (size < kHeaderSize || (size - kHeaderSize) % kEntrySize != 0) return "is truncated";
    return nullptr;
}

void read_boot_id(char (&boot_id)[48]) {
    proc::read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
    boot_id[std::strcspn(boot_id, "\n")] = '\0';
}

// Does this keeper understand the entry, or is there nothing in it?
bool readable(const Slot (&slots)[2]) {
    const bool a = valid(slots[0]), b = valid(slots[1]);
    if (!a && !b) return slots[0].sequence == 0 && slots[1].sequence == 0;
    const Slot& s = a && (!b || slots[0].sequence > slots[1].sequence) ? slots[0] : slots[1];
    if (s.length == 0) return true;
    Record r{};
    decode(r, s);
    return r.key.text()[0] != '\0' && r.phase <= Phase::Failed;
}

// The two programs of one version speak one language.
bool same_version(const char* program) {
    char command[4200], answer[64] = {};
    std::snprintf(command, sizeof command, "%s", program);
    int ends[2];
    if (pipe(ends) != 0) return false;
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        execlp(command, command, "version", nullptr);
        _exit(127);
    }
    close(ends[1]);
    const Fd from(ends[0]);
    std::size_t used = 0;
    ssize_t n = 0;
    while ((n = read(from.get(), answer + used, sizeof answer - 1 - used)) > 0)
        used += static_cast<std::size_t>(n);
    if (pid > 0) waitpid(pid, nullptr, 0);
    return std::strcmp(answer, "keepwell " KEEPWELL_VERSION "\n") == 0;
}

// Its keeper's death kills a supervisor at once; this makes sure before there is a second one.
void end_old_supervisor(const Record& r) {
    const Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, r.pid, 0)));
    proc::Stat stat;
    if (!pidfd || !proc::read_stat(r.pid, stat) || stat.start_ticks != r.start_ticks) return;
    syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
    pollfd p{pidfd.get(), POLLIN, 0};
    poll(&p, 1, 5000);
}

void load_entry(Keeper& k, std::uint32_t i) {
    Slot slots[2];
    if (pread(k.state.fd.get(), slots, sizeof slots, offset_of(i, 0)) != sizeof slots) return;
    const Slot &a = slots[0], &b = slots[1];
    const bool good_a = valid(a), good_b = valid(b);
    StateEntry& e = k.state.entries[i];
    e.sequence = a.sequence > b.sequence ? a.sequence : b.sequence;
    if (!good_a && !good_b) {
        if (e.sequence != 0)
            say("%s/keeper.state: record %u is damaged and was dropped", k.runtime_dir, i);
        e.sequence = 0;
        return;
    }
    e.newer = good_a && (!good_b || a.sequence > b.sequence) ? 0 : 1;
    const Slot& s = slots[e.newer];
    e.sequence = s.sequence;
    if (s.length == 0) return;
    Record probe{};
    decode(probe, s);
    const bool supervisor = std::strcmp(probe.key.text(), kSupervisorKey) == 0;
    Record* r = supervisor ? &k.supervisor.memory : add_record(k, probe.key.text(), false, 0);
    if (r == nullptr) return;
    e.used = true;
    r->state_entry = i;
    decode(*r, s);
    if (supervisor) return end_old_supervisor(*r);
    const pid_t pid = r->pid;
    r->pid = 0;
    set_pid(k, *r, pid);
    adopt(k, *r);
}

} // namespace

bool open_state(Keeper& k) {
    char boot_id[48] = {};
    read_boot_id(boot_id);
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    k.state.fd.reset(openat(k.runtime.get(), "keeper.state", flags, 0600));
    struct stat st {};
    if (!k.state.fd || fstat(k.state.fd.get(), &st) != 0) return false;
    const char* fault = st.st_size == 0 ? nullptr : fault_of(k.state.fd.get(), boot_id);
    if (fault != nullptr) {
        move_aside(k, fault);
        k.state.fd.reset(openat(k.runtime.get(), "keeper.state", flags | O_EXCL, 0600));
        if (!k.state.fd) return false;
        st.st_size = 0;
    }
    const bool fresh = st.st_size == 0;
    if (!make_room(k,
                   fresh ? kHeaderSize + kStep * kEntrySize : static_cast<std::size_t>(st.st_size)))
        return false;
    if (fresh) {
        FileHeader h{};
        std::memcpy(h.magic, kFileMagic, sizeof h.magic);
        h.version = kFileVersion;
        h.slot_size = kSlotSize;
        std::memcpy(h.boot_id, boot_id, sizeof h.boot_id);
        if (pwrite(k.state.fd.get(), &h, sizeof h, 0) != sizeof h) return false;
    } else {
        for (std::uint32_t i = 0; i < k.state.capacity; ++i) load_entry(k, i);
    }
    return true;
}

int check_state(const char* runtime_dir, char** program) {
    char boot_id[48] = {};
    read_boot_id(boot_id);
    if (!same_version(program[0])) {
        say("%s is not of this keeper's version (%s): install both", program[0], KEEPWELL_VERSION);
        return 1;
    }
    const Fd folder(open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const Fd file(openat(folder.get(), "keeper.state", O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!file) {
        say("cannot read %s/keeper.state: %s", runtime_dir, std::strerror(errno));
        return 1;
    }
    if (const char* fault = fault_of(file.get(), boot_id)) {
        say("cannot take over: %s/keeper.state %s", runtime_dir, fault);
        return 1;
    }
    Slot slots[2];
    for (std::uint32_t i = 0; pread(file.get(), slots, sizeof slots, offset_of(i, 0)) ==
                              static_cast<ssize_t>(sizeof slots);
         ++i) {
        if (readable(slots)) continue;
        say("cannot take over: record %u of %s/keeper.state cannot be read", i, runtime_dir);
        return 1;
    }
    return 0;
}

bool save(Keeper& k, Record& r) { return r.task || (take_entry(k, r) && write_slot(k, r, false)); }

void forget(Keeper& k, Record& r) {
    if (r.task || r.state_entry == ~0U) return;
    write_slot(k, r, true);
    k.state.entries[r.state_entry].used = false;
    if (r.state_entry < k.state.first_free) k.state.first_free = r.state_entry;
    r.state_entry = ~0U;
}

void save_supervisor(Keeper& k) {
    Record& r = k.supervisor.memory;
    (void)r.key.set(kSupervisorKey, sizeof kSupervisorKey - 1);
    proc::Stat stat;
    proc::read_stat(k.supervisor.pid, stat);
    r.phase = Phase::Running;
    r.pid = k.supervisor.pid;
    r.start_ticks = stat.start_ticks;
    save(k, r);
}

} // namespace keepwell::keeper
