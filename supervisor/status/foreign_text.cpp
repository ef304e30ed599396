#include "supervisor/status/json_writer.h"
#include "supervisor/status/service_json.h"

#include <algorithm>
#include <cmath>

namespace keepwell::status_detail {

namespace {

constexpr std::size_t kForeignLimit = 512;

// C0, DEL and, in UTF-8, C1: a terminal may obey them.
bool is_control(std::string_view sequence) {
    const auto a = static_cast<unsigned char>(sequence[0]);
    if (sequence.size() == 1) return a < 0x20 || a == 0x7F;
    return sequence.size() == 2 && a == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
}

bool is_blank(char c) { return c == '\n' || c == '\r' || c == '\t'; }

} // namespace

std::string foreign(std::string_view raw) {
    std::string out;
    while (!raw.empty()) {
        const std::size_t n = utf8_sequence(raw);
        std::string_view piece = n > 0 ? raw.substr(0, n) : kReplacementCharacter;
        if (n == 1 && is_blank(raw.front())) piece = " ";
        raw.remove_prefix(std::max<std::size_t>(n, 1));
        if (is_control(piece)) continue;
        if (out.size() + piece.size() > kForeignLimit) break;
        out += piece;
    }
    return out;
}

double round_to(double value, double digits) { return std::round(value * digits) / digits; }

std::optional<double> rounded(std::optional<double> value, double digits) {
    if (value) value = round_to(*value, digits);
    return value;
}

void append_joined(std::string& list, std::string_view elements) {
    if (!list.empty() && !elements.empty()) list += ',';
    list += elements;
}

} // namespace keepwell::status_detail
