#include "supervisor/api/moment.h"

#include "supervisor/config/values.h"

#include <algorithm>
#include <charconv>
#include <chrono>

namespace keepwell::api {

namespace {

constexpr std::int64_t kLatest = 253'402'300'799; // the year 9999

bool digits(std::string_view text) {
    return !text.empty() && text.size() < 16 &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

int number(std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// "2026-01-31T12:00:00.250Z" as places of a fixed shape.
std::optional<WallTime> rfc3339_time(std::string_view t) {
    if (t.empty() || t.back() != 'Z') return std::nullopt;
    t.remove_suffix(1);
    int millis = 0;
    if (const auto dot = t.find('.'); dot != std::string_view::npos) {
        std::string_view rest = t.substr(dot + 1);
        if (!digits(rest) || rest.size() > 9) return std::nullopt;
        for (std::size_t i = 0; i < 3; ++i)
            millis = millis * 10 + (i < rest.size() ? rest[i] - '0' : 0);
        t = t.substr(0, dot);
    }
    constexpr std::string_view kShape = "0000-00-00T00:00:00";
    if (t.size() != kShape.size() && t.size() != kShape.size() - 3) return std::nullopt;
    for (std::size_t i = 0; i < t.size(); ++i)
        if (kShape[i] == '0' ? !digits(t.substr(i, 1)) : t[i] != kShape[i]) return std::nullopt;
    using namespace std::chrono;
    const year_month_day day{year(number(t.substr(0, 4))),
                             month(static_cast<unsigned>(number(t.substr(5, 2)))),
                             std::chrono::day(static_cast<unsigned>(number(t.substr(8, 2))))};
    const int hour = number(t.substr(11, 2)), minute = number(t.substr(14, 2));
    const int second = t.size() == kShape.size() ? number(t.substr(17, 2)) : 0;
    if (!day.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
    const auto at = sys_days(day) + hours(hour) + minutes(minute) + seconds(second);
    return WallTime{duration_cast<milliseconds>(at.time_since_epoch()).count() + millis};
}

} // namespace

std::optional<WallTime> parse_moment(std::string_view text, WallTime now) {
    if (digits(text)) {
        std::int64_t seconds = 0;
        std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (seconds > kLatest) return std::nullopt;
        return WallTime{seconds * 1000};
    }
    if (const auto at = rfc3339_time(text)) return at;
    const auto ago = config::parse_duration(text);
    if (!ago) return std::nullopt;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*ago).count();
    return WallTime{std::max<std::int64_t>(0, now.ms - ms)};
}

} // namespace keepwell::api
