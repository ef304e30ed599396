#include "supervisor/logs/packed_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <zlib.h>

namespace keepwell {
namespace {

constexpr std::size_t kText = 256U << 10; // of one member
constexpr std::uint32_t kMostText = 1U << 20, kMostMember = 2U << 20;
constexpr int kLevel = 6, kRaw = -15; // deflate without zlib's own header

struct Header { // of each member; RFC 1952 with one field of ours
    std::uint8_t id1 = 0x1f, id2 = 0x8b, method = 8, flags = 4 /* FEXTRA */;
    std::uint8_t time[4] = {};
    std::uint8_t extra_flags = 0, system = 3;
    std::uint8_t extra_size[2] = {20, 0};
    std::uint8_t field[2] = {'K', 'W'};
    std::uint8_t field_size[2] = {16, 0};
    std::uint8_t size[4] = {}, text_size[4] = {}, inode[8] = {};
};
static_assert(sizeof(Header) == 32 && alignof(Header) == 1);

template <class T>
void put(std::uint8_t* to, T value) {
    std::memcpy(to, &value, sizeof value); // little-endian, as gzip and the machine
}
template <class T>
T get(const std::uint8_t* from) {
    T value{};
    std::memcpy(&value, from, sizeof value);
    return value;
}

Error errno_error(const std::string& what) {
    const int error = errno;
    return Error{what + ": " + std::generic_category().message(error), error};
}

bool read_whole(int fd, char* to, std::size_t size, std::uint64_t offset) {
    std::size_t got = 0;
    while (got < size) {
        const ssize_t n = ::pread(fd, to + got, size - got, static_cast<off_t>(offset + got));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        got += static_cast<std::size_t>(n);
    }
    return true;
}

bool write_whole(int fd, const std::vector<char>& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t n = ::write(fd, bytes.data() + done, bytes.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        done += static_cast<std::size_t>(n);
    }
    return true;
}

// One member of `text`; empty for want of memory.
std::vector<char> make_member(const std::vector<char>& text, std::size_t size,
                              std::uint64_t inode) {
    z_stream z{};
    if (::deflateInit2(&z, kLevel, Z_DEFLATED, kRaw, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
    std::vector<char> out(sizeof(Header) + ::deflateBound(&z, size) + 8);
    auto* const data = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.next_in = data;
    z.avail_in = static_cast<uInt>(size);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + sizeof(Header));
    z.avail_out = static_cast<uInt>(out.size() - sizeof(Header) - 8);
    const bool whole = ::deflate(&z, Z_FINISH) == Z_STREAM_END;
    const std::size_t packed = z.total_out;
    ::deflateEnd(&z);
    if (!whole) return {};
    out.resize(sizeof(Header) + packed + 8);
    Header header;
    put(header.size, static_cast<std::uint32_t>(out.size()));
    put(header.text_size, static_cast<std::uint32_t>(size));
    put(header.inode, inode);
    std::memcpy(out.data(), &header, sizeof header);
    auto* const trailer = reinterpret_cast<std::uint8_t*>(out.data() + out.size() - 8);
    put(trailer, static_cast<std::uint32_t>(::crc32(0, data, static_cast<uInt>(size))));
    put(trailer + 4, static_cast<std::uint32_t>(size));
    return out;
}

Status pack_into(int from, int to, const struct stat& info, const std::string& target,
                 const std::atomic<bool>& stop) {
    std::vector<char> text(kText);
    const auto end = static_cast<std::uint64_t>(info.st_size);
    std::uint64_t at = 0;
    do {
        if (stop) return Error{"cannot write " + target + ": told to stop", ECANCELED};
        const std::size_t size = std::min<std::uint64_t>(kText, end - at);
        if (!read_whole(from, text.data(), size, at)) {
            return Error{"cannot write " + target + ": its source cannot be read", EIO};
        }
        const std::vector<char> member = make_member(text, size, info.st_ino);
        if (member.empty()) return Error{"cannot write " + target + ": no memory", ENOMEM};
        if (!write_whole(to, member)) return errno_error("cannot write " + target);
        at += size;
    } while (at < end);
    (void)!::fchown(to, info.st_uid, info.st_gid);
    ::fchmod(to, info.st_mode & 0777U);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ::futimens(to, times);
    if (::fsync(to) != 0) return errno_error("cannot write " + target);
    return Done{};
}

} // namespace

std::string packed_temporary(const std::string& target) { return target + ".tmp"; }

Status pack_log(const std::string& source, const std::string& target,
                const std::atomic<bool>& stop) {
    constexpr int kRead = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    const Fd from(::open(source.c_str(), kRead));
    struct stat info {};
    if (!from || ::fstat(from.get(), &info) != 0) return errno_error("cannot read " + source);
    if (!S_ISREG(info.st_mode)) return Error{"cannot read " + source + ": not a regular file", 0};
    const std::string temporary = packed_temporary(target);
    ::unlink(temporary.c_str());
    const Fd to(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!to) return errno_error("cannot write " + target);
    Status packed = pack_into(from.get(), to.get(), info, target, stop);
    if (packed && ::rename(temporary.c_str(), target.c_str()) != 0) {
        packed = errno_error("cannot write " + target);
    }
    if (!packed) ::unlink(temporary.c_str());
    return packed;
}

Result<PackedLog> PackedLog::open(Fd file, const std::string& path) {
    const Error broken{"cannot read " + path + ": not as keepwell wrote it (use zcat)", 0};
    PackedLog log;
    struct stat info {};
    if (::fstat(file.get(), &info) != 0) return broken;
    const auto end = static_cast<std::uint64_t>(info.st_size);
    std::uint64_t at = 0;
    while (at < end) {
        Header header;
        if (!read_whole(file.get(), reinterpret_cast<char*>(&header), sizeof header, at)) {
            return broken;
        }
        Member member{at, log.size_, get<std::uint32_t>(header.size),
                      get<std::uint32_t>(header.text_size)};
        constexpr Header kWanted;
        const bool ours = std::memcmp(&header, &kWanted, 4) == 0 && header.field[0] == 'K' &&
                          header.field[1] == 'W' && header.extra_size[0] == kWanted.extra_size[0];
        if (!ours || member.size < sizeof header + 8 || member.size > kMostMember ||
            member.size > end - at || member.text_size > kMostText) {
            return broken;
        }
        log.inode_ = get<std::uint64_t>(header.inode);
        log.size_ += member.text_size;
        at += member.size;
        if (member.text_size > 0) log.members_.push_back(member);
    }
    log.file_ = std::move(file);
    return log;
}

bool PackedLog::load(std::size_t wanted) {
    if (loaded_ == wanted) return true;
    loaded_ = static_cast<std::size_t>(-1);
    const Member& member = members_[wanted];
    packed_.resize(member.size);
    text_.resize(member.text_size);
    if (!read_whole(file_.get(), packed_.data(), packed_.size(), member.at)) return false;
    z_stream z{};
    if (::inflateInit2(&z, kRaw) != Z_OK) return false;
    z.next_in = reinterpret_cast<Bytef*>(packed_.data() + sizeof(Header));
    z.avail_in = static_cast<uInt>(packed_.size() - sizeof(Header) - 8);
    z.next_out = reinterpret_cast<Bytef*>(text_.data());
    z.avail_out = static_cast<uInt>(text_.size());
    const bool whole = ::inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_out == 0;
    ::inflateEnd(&z);
    if (whole) loaded_ = wanted;
    return whole;
}

std::size_t PackedLog::read(std::uint64_t offset, char* to, std::size_t size) {
    std::size_t got = 0;
    while (got < size && offset + got < size_) {
        const std::uint64_t at = offset + got;
        const auto behind = std::ranges::upper_bound(members_, at, {}, &Member::text_at);
        const auto index = static_cast<std::size_t>(behind - members_.begin()) - 1;
        if (!load(index)) break;
        const std::size_t within = at - members_[index].text_at;
        const std::size_t part = std::min(size - got, text_.size() - within);
        std::memcpy(to + got, text_.data() + within, part);
        got += part;
    }
    return got;
}

} // namespace keepwell
