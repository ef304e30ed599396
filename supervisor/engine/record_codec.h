// UnitRecord <-> bytes, as tagged fields: [tag u8][length u16 LE][value]. Unknown tags are skipped,
// missing ones keep their defaults, so a version reads the files of its neighbours. Other units are
// named by key, since slots change.
#pragma once

#include "units/record.h"
#include "units/unit_spec.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace keepwell {

// At most limit bytes: the oldest restart times are left out first when there are too many.
std::string encode_record(const UnitRecord&, const UnitSpec&, std::size_t limit);
// Never throws; nullopt when the bytes are not a record. Counters are matched to the spec's checks
// by id hash.
std::optional<UnitRecord> decode_record(std::string_view bytes, const UnitSpec&);

std::uint32_t crc32c(std::string_view) noexcept; // RFC 3720 polynomial, bit by bit table

} // namespace keepwell
