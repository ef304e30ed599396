// A keeper.state that an earlier keeper, a disk or a stranger left: it is read or moved aside,
// never fatal; nobody is signalled (the kernel would refuse), and what is saved afterwards can be
// read again. The first byte chooses: the rest is the fields of one slot with a right checksum, the
// slots as they are, or the whole file.
#include "supervisor/keeper/keeper.h"
#include "tests/fuzz/harmless.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

using namespace keepwell;
using namespace keepwell::keeper;

namespace {

const std::string& folder() {
    static const std::string path = "/dev/shm/keepwell-fuzz-state-" + std::to_string(getpid());
    return path;
}

void remove_folder() {
    for (const char* name : {"/keeper.state", "/keeper.state.corrupt-1", "/keeper.state.corrupt-2"})
        unlink((folder() + name).c_str());
    rmdir(folder().c_str());
}

struct Opened {
    Keeper k;
    bool ok = false;
    Opened() {
        k.runtime_dir = folder().c_str();
        k.runtime.reset(open(folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        k.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
        k.inotify.reset(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        k.can.cgroup = false;
        k.can.pidfd_info = false;
        ok = open_state(k);
    }
    ~Opened() {
        // Not free_record: it would forget them in the file too.
        for (std::uint32_t i = 0; i < k.record_count; ++i) {
            if (k.records[i] == nullptr) continue;
            k.records[i]->~Record();
            free(k.records[i]);
        }
        free(k.records);
        free(k.state.entries);
    }
};

std::string read_state() {
    std::string text;
    const Fd fd(open((folder() + "/keeper.state").c_str(), O_RDONLY | O_CLOEXEC));
    char part[4096];
    for (ssize_t n = 0; (n = read(fd.get(), part, sizeof part)) > 0;)
        text.append(part, static_cast<std::size_t>(n));
    return text;
}

void write_state(const std::string& text) {
    const Fd fd(
        open((folder() + "/keeper.state").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (write(fd.get(), text.data(), text.size()) < 0) abort();
}

const std::string& fresh_state() {
    static const std::string text = [] {
        fuzz::become_harmless();
        mkdir(folder().c_str(), 0700);
        atexit(remove_folder);
        unlink((folder() + "/keeper.state").c_str());
        const Opened opened;
        if (!opened.ok) abort();
        return read_state();
    }();
    return text;
}

std::uint32_t crc32c(const std::string& bytes) {
    std::uint32_t crc = ~0U;
    for (const unsigned char byte : bytes) {
        crc ^= byte;
        for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (0x82f63b78U & (0U - (crc & 1U)));
    }
    return ~crc;
}

// Of state.cpp's slot: sequence, length, crc, fields.
std::string slot_of(std::string fields) {
    fields.resize(std::min<std::size_t>(fields.size(), 496));
    const std::uint64_t sequence = 5;
    const auto length = static_cast<std::uint32_t>(fields.size());
    std::string summed(reinterpret_cast<const char*>(&sequence), 8);
    summed.append(reinterpret_cast<const char*>(&length), 4).append(fields);
    const std::uint32_t crc = crc32c(summed);
    std::string slot(reinterpret_cast<const char*>(&sequence), 8);
    slot.append(reinterpret_cast<const char*>(&length), 4);
    slot.append(reinterpret_cast<const char*>(&crc), 4).append(fields);
    slot.resize(512);
    return slot;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    if (size == 0) return 0;
    std::string file = fresh_state();
    const std::string rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 3) {
    case 0: file.replace(4096, 512, slot_of(rest)); break;
    case 1:
        file.replace(4096, std::min<std::size_t>(rest.size(), file.size() - 4096),
                     rest.substr(0, file.size() - 4096));
        break;
    default: file = rest;
    }
    write_state(file);
    {
        Opened opened;
        if (!opened.ok) __builtin_trap();
        Record* r = find(opened.k, "saved-now");
        if (r == nullptr) r = add_record(opened.k, "saved-now", false, 7);
        if (r == nullptr || !save(opened.k, *r)) __builtin_trap();
        r->phase = Phase::Exited;
        r->exit_known = true;
        r->wait_status = 7 << 8;
        r->generation = 77;
        if (!save(opened.k, *r)) __builtin_trap();
    }
    {
        Opened opened;
        const Record* r = opened.ok ? find(opened.k, "saved-now") : nullptr;
        if (r == nullptr || r->generation != 77 || r->wait_status != 7 << 8) __builtin_trap();
    }
    unlink((folder() + "/keeper.state.corrupt-1").c_str());
    return 0;
}
