// Pure parsers of the words a configuration uses: durations, sizes, names, ports, HTTP status sets.
//
// None of them allocates on success except where it returns a list, and none throws. An error's
// message is the tail of a sentence: `"10 parsecs" is not a duration (like "10s")`.
#pragma once

#include "units/result.h"
#include "units/time.h"
#include "units/unit_spec.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::config {

// "500ms" "1.5s" "10s" "5m" "1h30m" "7d"; at most 100 years; never negative.
Result<Duration> parse_duration(std::string_view);
// "64M" "1G" "512K" "4096" "16MiB"; powers of 1024.
Result<std::uint64_t> parse_size(std::string_view);
// "200-299,404": each a code 100–599 or a range of them.
Result<std::vector<StatusRange>> parse_status_set(std::string_view);
// "022" "0027" "0o22": octal, up to 0777.
Result<std::uint32_t> parse_umask(std::string_view);
// "127.0.0.1:5001", "[::1]:5001", "localhost:80".
Status check_host_port(std::string_view);
// http:// or https:// with a host.
Status check_http_url(std::string_view);
// "nginx" -> "nginx.service"; "worker@*.service" and what has a type stay as they are.
Result<std::string> systemd_unit_name(std::string_view);
// ^[a-z0-9][a-z0-9_.:@-]{0,62}$
bool is_unit_key(std::string_view) noexcept;
// What getenv can find: no '=', no NUL, not empty.
bool is_environment_name(std::string_view) noexcept;
std::string quote(std::string_view);

} // namespace keepwell::config
