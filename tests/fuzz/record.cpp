// The supervisor's state: any bytes are a record or none, a record that was read can be written and
// read back the same, and any file opens (after the damaged one was moved aside) and then keeps
// what is saved.
#include "supervisor/engine/record_codec.h"
#include "supervisor/engine/state_file.h"

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace keepwell;

namespace {

UnitSpec spec_with_checks() {
    UnitSpec spec;
    spec.key = spec.name = "web";
    for (const char* id : {"http", "port"}) {
        CheckSpec check;
        check.id = id;
        spec.checks.push_back(check);
    }
    return spec;
}

void records(std::string_view bytes) {
    static const UnitSpec spec = spec_with_checks();
    const auto record = decode_record(bytes, spec);
    if (!record) return;
    const std::string once = encode_record(*record, spec, 4096);
    const auto again = decode_record(once, spec);
    if (!again || encode_record(*again, spec, 4096) != once) __builtin_trap();
}

struct Folder {
    Folder() : path("/dev/shm/keepwell-fuzz-" + std::to_string(getpid())) {
        std::filesystem::create_directories(path);
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path;
};

// The header is made right, so that what comes behind it is looked at.
void files(std::string_view bytes) {
    static const Folder folder;
    const std::string path = folder.path + "/supervisor.state";
    std::filesystem::remove(path);
    std::string whole;
    {
        auto fresh = StateFile::open(path, nullptr);
        if (!fresh || !(*fresh)->save("old", "kept")) __builtin_trap();
    }
    {
        std::ifstream in(path, std::ios::binary);
        whole.assign(std::istreambuf_iterator<char>(in), {});
    }
    const bool keep_header = !bytes.empty() && (bytes[0] & 1) != 0;
    if (keep_header) {
        const std::size_t at = 4096 + (static_cast<unsigned char>(bytes[0]) >> 1) * 16U;
        whole.resize(std::max(whole.size(), at + bytes.size()));
        whole.replace(at, bytes.size(), bytes);
    } else {
        whole = bytes;
    }
    std::ofstream(path, std::ios::binary | std::ios::trunc) << whole;
    std::string note;
    {
        auto file = StateFile::open(path, &note);
        if (!file || !(*file)->save("web", "state of web")) __builtin_trap();
    }
    auto file = StateFile::open(path, &note);
    if (!file) __builtin_trap();
    const auto it = (*file)->stored().find("web");
    if (it == (*file)->stored().end() || it->second != "state of web") __builtin_trap();
    for (int n = 1; n < 4; ++n) std::filesystem::remove(path + ".corrupt-" + std::to_string(n));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (size == 0) return 0;
    if ((bytes[0] & 0x80) != 0)
        files(bytes.substr(1));
    else
        records(bytes.substr(1));
    return 0;
}
