// FeedCursor: places in several sources as one opaque text that survives rotation, compression and
// a restart of the supervisor. Pure.
//
// The text holds a few letters only (base64url), with a checksum: what was changed or cut is no
// cursor. Sources are known by a hash, so that a name does not make it long.
#pragma once

#include "supervisor/feeds/feed_source.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell::feeds {

std::uint32_t source_id(const FeedSource&);

// Place::lines says above this bit which run of its follower counted; counts of different runs are
// not compared.
inline constexpr unsigned kEpochShift = 40;

struct FeedCursor {
    struct Place {
        FeedPosition at;
        std::uint64_t lines = 0; // of a stream: read up to there since the supervisor's start
    };
    std::uint32_t asked = 0;  // a hash of what was asked for: it fits no other question
    std::int64_t time_ms = 0; // when it was made; what it does not name is known by that
    std::map<std::uint32_t, Place> places; // by source_id()
};

std::uint32_t hash_of(std::string_view text); // the same in every process
std::string encode(const FeedCursor&);
std::optional<FeedCursor> decode_cursor(std::string_view text); // nullopt: it is none

} // namespace keepwell::feeds
