#include "supervisor/feeds/feed_cursor.h"

#include <array>

namespace keepwell::feeds {
namespace {

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr char kVersion = 1;
constexpr std::size_t kLongestCursor = 32U << 10;
constexpr std::size_t kChecksum = 4;                     // bytes
constexpr std::uint64_t kLatestMs = 253'402'300'799'999; // the end of the year 9999

void put(std::string& to, std::uint64_t value) { // seven bits a byte, the lowest first
    while (value >= 0x80) {
        to += static_cast<char>(value | 0x80);
        value >>= 7;
    }
    to += static_cast<char>(value);
}

class Reader {
  public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    bool number(std::uint64_t& to) {
        to = 0;
        for (unsigned shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(bytes_.front());
            bytes_.remove_prefix(1);
            to |= std::uint64_t{byte & 0x7FU} << shift;
            if ((byte & 0x80U) == 0) return true;
        }
        return false;
    }
    bool text(std::string& to) {
        std::uint64_t size = 0;
        if (!number(size) || size > bytes_.size()) return false;
        to = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return true;
    }
    bool at_end() const { return bytes_.empty(); }

  private:
    std::string_view bytes_;
};

std::string to_letters(std::string_view bytes) {
    std::string out;
    std::uint32_t pending = 0;
    int bits = 0;
    for (const char c : bytes) {
        pending = (pending << 8) | static_cast<unsigned char>(c);
        for (bits += 8; bits >= 6; bits -= 6) out += kLetters[(pending >> (bits - 6)) & 63U];
    }
    if (bits > 0) out += kLetters[(pending << (6 - bits)) & 63U];
    return out;
}

std::optional<std::string> from_letters(std::string_view text) {
    std::string out;
    std::uint32_t pending = 0;
    int bits = 0;
    for (const char c : text) {
        const auto value = kLetters.find(c);
        if (value == std::string_view::npos) return std::nullopt;
        pending = (pending << 6) | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        out += static_cast<char>((pending >> bits) & 0xFFU);
    }
    return out;
}

std::string checksum(std::string_view bytes) {
    const std::uint32_t hash = hash_of(bytes);
    std::string out;
    for (unsigned i = 0; i < kChecksum; ++i) out += static_cast<char>((hash >> (8 * i)) & 0xFFU);
    return out;
}

bool read_place(Reader& reader, FeedCursor& to) {
    std::uint64_t id = 0;
    FeedCursor::Place place;
    if (!reader.number(id) || id > 0xFFFFFFFFU || !reader.number(place.at.sequence) ||
        !reader.number(place.at.inode) || !reader.number(place.at.offset) ||
        !reader.number(place.lines) || !reader.text(place.at.journal))
        return false;
    return to.places.emplace(static_cast<std::uint32_t>(id), std::move(place)).second;
}

} // namespace

std::uint32_t hash_of(std::string_view text) { // FNV-1a
    std::uint32_t hash = 2166136261U;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    return hash;
}

std::uint32_t source_id(const FeedSource& source) {
    const char* const kind = source.kind == FeedSource::Kind::Journal ? "j" : "f";
    return hash_of(source.unit + '\0' + kind + source.name);
}

std::string encode(const FeedCursor& cursor) {
    std::string bytes(1, kVersion);
    put(bytes, cursor.asked);
    put(bytes, static_cast<std::uint64_t>(cursor.time_ms));
    put(bytes, cursor.places.size());
    for (const auto& [id, place] : cursor.places) {
        put(bytes, id);
        put(bytes, place.at.sequence);
        put(bytes, place.at.inode);
        put(bytes, place.at.offset);
        put(bytes, place.lines);
        put(bytes, place.at.journal.size());
        bytes += place.at.journal;
    }
    return to_letters(bytes + checksum(bytes));
}

std::optional<FeedCursor> decode_cursor(std::string_view text) {
    if (text.size() > kLongestCursor) return std::nullopt;
    const auto whole = from_letters(text);
    if (!whole || whole->size() <= kChecksum) return std::nullopt;
    const std::string_view bytes(whole->data(), whole->size() - kChecksum);
    if (checksum(bytes) != whole->substr(bytes.size()) || bytes.front() != kVersion)
        return std::nullopt;
    Reader reader(bytes.substr(1));
    FeedCursor cursor;
    std::uint64_t asked = 0;
    std::uint64_t time = 0;
    std::uint64_t count = 0;
    if (!reader.number(asked) || !reader.number(time) || !reader.number(count) || time > kLatestMs)
        return std::nullopt;
    cursor.asked = static_cast<std::uint32_t>(asked);
    cursor.time_ms = static_cast<std::int64_t>(time);
    for (std::uint64_t i = 0; i < count; ++i)
        if (!read_place(reader, cursor)) return std::nullopt;
    if (!reader.at_end()) return std::nullopt;
    return cursor;
}

} // namespace keepwell::feeds
