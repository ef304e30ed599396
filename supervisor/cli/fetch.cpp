#include "supervisor/cli/fetch.h"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

namespace keepwell::cli {

namespace {

double age_of(const Context& context, const Json& status) {
    const auto written = parse_time(status["generated_at"].text());
    return written ? static_cast<double>(context.now_ms() - *written) / 1000 : 0;
}

std::string source_text(const Context& context, const Json& status, const std::string& path) {
    const double age = age_of(context, status);
    std::string text = "this is from " + safe_text(path) + ", written " + human_age(age) + " ago";
    if (age > status["stale_after_s"].number().value_or(90)) text += " (the supervisor is silent)";
    return text;
}

// nullopt when there is no file or it is none of ours.
std::optional<Json> read_status_file(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    const auto parsed = Json::parse(text.str());
    if (!file || !parsed || !(*parsed)["services"].is_object()) return std::nullopt;
    return *parsed;
}

// Members are only ever added at the end of a document that has some.
Json with_source(const Context& context, const Json& status, const std::string& path,
                 const std::string& warning) {
    std::string text = status.dump(-1);
    text.pop_back();
    const auto age = static_cast<std::int64_t>(std::max(0.0, age_of(context, status)));
    text += ",\"_file\":{\"path\":" + json_quote(path) + ",\"age_seconds\":" + std::to_string(age) +
            "},\"_warning\":" + json_quote(warning) + "}";
    const auto parsed = Json::parse(text);
    return parsed ? *parsed : status;
}

} // namespace

void print_json(Context& context, const Json& document) {
    context.out() << document.dump(context.style().terminal ? 2 : -1) << "\n";
}

Fetched fetch(Context& context, const std::string& path, const std::vector<std::string>& names) {
    auto answer = context.client().get(path);
    if (!answer) return {std::nullopt, context.unreachable(answer.error())};
    if (answer->status != 200) return {std::nullopt, context.refused(*answer, names)};
    auto parsed = Json::parse(answer->body);
    if (!parsed) return {std::nullopt, context.fail(safe_text(parsed.error().message))};
    return {*parsed, kExitOk};
}

Fetched fetch_status(Context& context) {
    auto answer = context.client().get("/api/status");
    if (answer) {
        if (answer->status != 200) return {std::nullopt, context.refused(*answer)};
        auto parsed = Json::parse(answer->body);
        if (!parsed) return {std::nullopt, context.fail(safe_text(parsed.error().message))};
        return {*parsed, kExitOk};
    }
    if (answer.error().code != EACCES) return {std::nullopt, context.unreachable(answer.error())};
    const std::string path = context.status_file();
    const auto status = read_status_file(path);
    if (!status) return {std::nullopt, context.unreachable(answer.error())};
    const std::string warning = "may not open " + safe_text(context.client().socket_path()) + "; " +
                                source_text(context, *status, path);
    context.note(warning);
    return {with_source(context, *status, path, warning), kExitOk};
}

std::optional<Json> old_status(const Context& context) {
    const std::string path = context.status_file();
    const auto status = read_status_file(path);
    if (!status) return std::nullopt;
    return with_source(context, *status, path,
                       "keepwell is not running; " + source_text(context, *status, path));
}

} // namespace keepwell::cli
