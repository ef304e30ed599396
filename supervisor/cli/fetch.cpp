#include "supervisor/cli/fetch.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace keepwell::cli {

namespace {

void warn_of_age(Context& context, const Json& status, const std::string& path) {
    const auto written = parse_time(status["generated_at"].text());
    const double age = written ? static_cast<double>(context.now_ms() - *written) / 1000 : 0;
    std::string text = "may not open " + safe_text(context.client().socket_path()) +
                       "; this is from " + safe_text(path) + ", written " + human_age(age) + " ago";
    if (age > status["stale_after_s"].number().value_or(90)) text += " (the supervisor is silent)";
    context.note(text);
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
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    const auto parsed = Json::parse(text.str());
    if (!file || !parsed) return {std::nullopt, context.unreachable(answer.error())};
    warn_of_age(context, *parsed, path);
    return {*parsed, kExitOk};
}

} // namespace keepwell::cli
