#include "supervisor/app/simulate.h"
#include "supervisor/cli/fetch.h"
#include "supervisor/cli/table.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/config/config.h"

#include <array>
#include <fstream>
#include <sstream>

namespace keepwell::cli {

namespace {

std::int64_t ms_of(Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

// "0:04:12.500"
std::string offset_text(Duration at) {
    const std::int64_t ms = ms_of(at);
    std::array<char, 48> text{};
    std::snprintf(text.data(), text.size(), "%d:%02d:%02d.%03d", static_cast<int>(ms / 3'600'000),
                  static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1000 % 60),
                  static_cast<int>(ms % 1000));
    return text.data();
}

std::string as_json(const Simulated& story) {
    std::string lines, units;
    for (const auto& line : story.lines) {
        lines += (lines.empty() ? "" : ",") + ("{\"at_ms\":" + std::to_string(ms_of(line.at))) +
                 ",\"service\":" + json_quote(line.unit) + ",\"kind\":" + json_quote(line.kind) +
                 ",\"subject\":" + json_quote(line.subject) + ",\"text\":" + json_quote(line.text) +
                 ",\"detail\":" + json_quote(line.detail) + "}";
    }
    for (const auto& unit : story.units) {
        units += (units.empty() ? "" : ",") + ("{\"key\":" + json_quote(unit.key)) +
                 ",\"state\":" + json_quote(unit.state) + ",\"health\":" + json_quote(unit.health) +
                 ",\"restarts\":" + std::to_string(unit.restarts) +
                 ",\"unwell_ms\":" + std::to_string(ms_of(unit.unwell)) + "}";
    }
    return "{\"lines\":[" + lines + "],\"units\":[" + units + "]}";
}

void print(Context& context, const Simulated& story) {
    Table table({{"TIME"}, {"UNIT", 0, 24}, {"WHAT"}, {"TEXT"}});
    for (const auto& line : story.lines) {
        const std::string what = line.kind + (line.subject.empty() ? "" : " " + line.subject);
        const std::string text =
            line.text + (line.detail.empty() ? "" : "  \"" + line.detail + "\"");
        const Colour colour = line.kind == "scenario" ? Colour::Yellow : Colour::None;
        table.add({{offset_text(line.at), Colour::None, {}},
                   {safe_text(line.unit), Colour::None, {}},
                   {safe_text(what), colour, {}},
                   {safe_text(text), Colour::None, {}}});
    }
    context.out() << table.render(context.style(), false) << "\nat the end\n";
    for (const auto& unit : story.units) {
        const double seconds = static_cast<double>(ms_of(unit.unwell)) / 1000;
        context.out() << "  " << safe_text(unit.key) << "  " << unit.state << ", " << unit.health
                      << ", " << plural(unit.restarts, "restart") << ", "
                      << (ms_of(unit.unwell) > 0 ? "not well for " + human_seconds(seconds)
                                                 : "always well")
                      << "\n";
    }
}

} // namespace

int verb_simulate(Context& context) {
    LoadOptions load;
    load.files = context.options().config;
    load.user_run = user_run();
    const LoadResult loaded = load_configuration(load);
    for (const auto& error : loaded.errors) context.err() << safe_text(to_string(error)) << "\n";
    if (!loaded.ok())
        return context.fail("cannot simulate: " + plural(loaded.errors.size(), "error") +
                            " in the configuration");
    const std::string& name = context.options().scenario;
    std::ifstream file(name);
    std::stringstream text;
    text << file.rdbuf();
    if (!file) return context.fail("cannot read the scenario " + in_quotes(name));
    const auto scenario = parse_scenario(text.str(), name);
    if (!scenario) return context.fail(safe_text(scenario.error().message));
    const auto story = simulate(loaded.config, *scenario, name);
    if (!story) return context.fail(safe_text(story.error().message));
    if (context.options().json) {
        if (const auto document = Json::parse(as_json(*story))) print_json(context, *document);
    } else {
        print(context, *story);
    }
    return kExitOk;
}

} // namespace keepwell::cli
