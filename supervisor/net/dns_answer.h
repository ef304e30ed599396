// The records of one type in a DNS answer, as text (see DnsResult::answers).
//
// The bytes are foreign: what does not fit its frame ends the reading, what was read before counts.
#pragma once

#include "units/unit_spec.h"

#include <cstddef>
#include <string>
#include <vector>

namespace keepwell {

int dns_type(DnsRecord) noexcept; // its number on the wire
std::vector<std::string> dns_answers(const unsigned char* message, std::size_t size, DnsRecord);
// "4.3.2.1.in-addr.arpa" for an address, anything else as it is.
std::string reverse_name(const std::string& name);

} // namespace keepwell
