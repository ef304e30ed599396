#include "supervisor/app/scenario.h"

#include "units/types.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <sstream>

namespace keepwell {

namespace {

constexpr Duration kAfterTheLast = std::chrono::minutes(10);

struct Word {
    std::string_view word;
    StepKind kind;
};
constexpr std::array<Word, 12> kStepWords = {{{"fail", StepKind::Fail},
                                              {"pass", StepKind::Pass},
                                              {"exit", StepKind::Exit},
                                              {"kill", StepKind::Kill},
                                              {"crash", StepKind::Crash},
                                              {"steady", StepKind::Steady},
                                              {"start", StepKind::Start},
                                              {"stop", StepKind::Stop},
                                              {"restart", StepKind::Restart},
                                              {"pause", StepKind::Pause},
                                              {"resume", StepKind::Resume},
                                              {"reset", StepKind::Reset}}};

std::optional<int> number_of(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

// "90s", "2m", "1h30m"
std::optional<Duration> time_of(std::string_view text) {
    Duration total{};
    if (text.empty()) return std::nullopt;
    while (!text.empty()) {
        const std::size_t digits = text.find_first_not_of("0123456789");
        if (digits == 0 || digits == std::string_view::npos || digits > 9) return std::nullopt;
        const auto number = number_of(text.substr(0, digits));
        text.remove_prefix(digits);
        const std::size_t unit = std::min(text.find_first_of("0123456789"), text.size());
        const std::string_view name = text.substr(0, unit);
        text.remove_prefix(unit);
        if (!number) return std::nullopt;
        if (name == "ms")
            total += std::chrono::milliseconds(*number);
        else if (name == "s")
            total += std::chrono::seconds(*number);
        else if (name == "m")
            total += std::chrono::minutes(*number);
        else if (name == "h")
            total += std::chrono::hours(*number);
        else if (name == "d")
            total += std::chrono::hours(24) * *number;
        else
            return std::nullopt;
    }
    return total;
}

// Reads one line; "" or what is wrong with it.
std::string read_step(std::istringstream& words, ScenarioStep& step) {
    std::string verb, target, word;
    words >> verb >> target;
    const auto* known = std::find_if(kStepWords.begin(), kStepWords.end(),
                                     [&](const Word& w) { return w.word == verb; });
    if (known == kStepWords.end())
        return "\"" + verb +
               "\" is no step (fail, pass, exit, kill, crash, steady, start, stop, "
               "restart, pause, resume, reset, end)";
    step.kind = known->kind;
    if (target.empty()) return verb + " needs the key of a unit";
    step.unit = target;
    const bool of_check = step.kind == StepKind::Fail || step.kind == StepKind::Pass;
    if (of_check) {
        const std::size_t slash = target.rfind('/');
        if (slash == std::string::npos) return verb + " needs UNIT/CHECK";
        step.unit = target.substr(0, slash);
        step.check = target.substr(slash + 1);
    }
    if (step.kind == StepKind::Fail) {
        std::getline(words >> std::ws, step.text);
        return {};
    }
    const bool more = static_cast<bool>(words >> word);
    if (step.kind == StepKind::Exit) {
        const auto code = more ? number_of(word) : 1;
        if (!code || *code > 255) return "\"" + word + "\" is no exit code";
        step.number = *code;
    } else if (step.kind == StepKind::Kill) {
        const auto signal = parse_signal(more ? word : "KILL");
        if (!signal) return "\"" + word + "\" is no signal";
        step.number = *signal;
    } else if (step.kind == StepKind::Crash) {
        std::string time;
        words >> time;
        const auto after = time_of(more ? time : "1s");
        if ((more && word != "after") || !after) return "crash is written as: crash UNIT after 2s";
        step.after = *after;
    } else if (more) {
        return "\"" + word + "\" is too much here";
    }
    return {};
}

} // namespace

Result<Scenario> parse_scenario(std::string_view text, const std::string& file) {
    Scenario scenario;
    std::istringstream lines{std::string(text)};
    std::size_t number = 0;
    bool ended = false;
    Duration last{};
    for (std::string line; std::getline(lines, line);) {
        ++number;
        const auto wrong = [&](const std::string& why) {
            return Error{file + ":" + std::to_string(number) + ": cannot read this step: " + why};
        };
        line.resize(std::min(line.find('#'), line.size()));
        std::istringstream words(line);
        std::string time;
        if (!(words >> time)) continue;
        const auto at = time_of(time);
        if (!at) return wrong("\"" + time + "\" is no time (like 90s or 1h30m)");
        if (*at < last) return wrong("time goes back");
        if (ended) return wrong("it stands behind the end");
        last = *at;
        std::string rest;
        const auto place = words.tellg();
        if (words >> rest && rest == "end") {
            ended = true;
            continue;
        }
        words.clear();
        words.seekg(place);
        ScenarioStep step;
        step.at = *at;
        step.line = number;
        if (const auto why = read_step(words, step); !why.empty()) return wrong(why);
        scenario.steps.push_back(std::move(step));
    }
    if (scenario.steps.empty() && !ended)
        return Error{file + ": cannot run it: there are no steps"};
    scenario.end = ended ? last : last + kAfterTheLast;
    return scenario;
}

} // namespace keepwell
