#include "supervisor/systemd/unit_names.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>

namespace keepwell::systemd {

namespace {

constexpr std::size_t kLongest = 255;
constexpr std::array<std::string_view, 11> kTypes = {"service", "socket",    "target", "device",
                                                     "mount",   "automount", "swap",   "timer",
                                                     "path",    "slice",     "scope"};

// Not <cctype>: no locale has a say in this.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool in_name(char c) {
    return is_digit(c) || is_letter(c) ||
           std::string_view(":-_.\\@").find(c) != std::string_view::npos;
}
bool is_glob(char c) { return c == '*' || c == '?' || c == '[' || c == ']'; }

} // namespace

bool valid_unit_name(std::string_view name) {
    if (name.size() > kLongest || !std::all_of(name.begin(), name.end(), in_name)) return false;
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return false;
    if (std::find(kTypes.begin(), kTypes.end(), name.substr(dot + 1)) == kTypes.end()) return false;
    const auto at = name.find('@');
    return at == std::string_view::npos || (at != 0 && at + 1 != dot);
}

bool valid_unit_glob(std::string_view glob) {
    return !glob.empty() && glob.size() <= kLongest &&
           std::any_of(glob.begin(), glob.end(), is_glob) &&
           std::all_of(glob.begin(), glob.end(),
                       [](char c) { return in_name(c) || is_glob(c) || c == '!' || c == '^'; });
}

bool matches(const std::string& glob, const std::string& name) {
    return fnmatch(glob.c_str(), name.c_str(), FNM_NOESCAPE) == 0;
}

std::string unit_object_path(std::string_view name) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string path(kUnitPaths);
    bool first = true;
    for (const char c : name) {
        if (is_letter(c) || (is_digit(c) && !first)) {
            path += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            path += '_';
            path += kHex[byte >> 4];
            path += kHex[byte & 15];
        }
        first = false;
    }
    if (name.empty()) path += '_';
    return path;
}

} // namespace keepwell::systemd
