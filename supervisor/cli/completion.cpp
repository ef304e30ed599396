#include "supervisor/cli/completion.h"

#include "supervisor/cli/verbs.h"
#include "supervisor/import/import.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace keepwell::cli {

namespace {

constexpr long kTabMs = 500;

// Where the words before the cursor leave us.
struct Position {
    const VerbInfo* verb = nullptr;
    std::string value;             // what an option before the cursor waits for
    std::size_t arguments = 0;     // of the verb, so far
    std::set<std::string> options; // that were given
    std::set<std::string> given;   // arguments
    bool only_arguments = false;   // behind "--"
};

const OptionInfo* find_option(const std::vector<OptionInfo>& options, const std::string& word) {
    for (const auto& option : options) {
        const auto& names = option.spellings;
        if (std::find(names.begin(), names.end(), word) != names.end()) return &option;
    }
    return nullptr;
}

const OptionInfo* find_option(const CommandTree& tree, const VerbInfo* verb,
                              const std::string& word) {
    if (const auto* found = find_option(tree.options, word)) return found;
    return verb == nullptr ? nullptr : find_option(verb->options, word);
}

Position walk(const CommandTree& tree, const std::vector<std::string>& words) {
    Position at;
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
        const std::string& word = words[i];
        if (!at.value.empty()) {
            at.value.clear();
        } else if (word == "--" && !at.only_arguments) {
            at.only_arguments = true;
        } else if (word.size() > 1 && word[0] == '-' && !at.only_arguments) {
            const auto* option = find_option(tree, at.verb, word.substr(0, word.find('=')));
            if (option == nullptr) continue;
            at.options.insert(option->spellings.begin(), option->spellings.end());
            if (word.find('=') == std::string::npos) at.value = option->value;
        } else if (at.verb == nullptr) {
            const auto found = std::find_if(tree.verbs.begin(), tree.verbs.end(),
                                            [&](const VerbInfo& v) { return v.is(word); });
            at.given.insert(word); // nothing to say behind a verb that is none
            if (found == tree.verbs.end()) return at;
            at.given.clear();
            at.verb = &*found;
        } else {
            ++at.arguments;
            at.given.insert(word);
        }
    }
    return at;
}

class Collector {
  public:
    Collector(const CommandTree& tree, std::string typed, const std::function<KnownNames()>& names)
        : tree_(tree), typed_(std::move(typed)), names_(names) {}

    void verbs(bool aliases) {
        for (const auto& verb : tree_.verbs) {
            offer(verb.name, verb.text);
            for (const auto& alias : verb.aliases) {
                if (aliases && !typed_.empty()) offer(alias, verb.text);
            }
        }
    }
    void options(const std::vector<OptionInfo>& options, const Position& at) {
        for (const auto& option : options) {
            for (const auto& name : option.spellings) {
                const bool twice = at.options.contains(name) && name != "-c" && name != "--config";
                if (!twice) offer(name, option.text);
            }
        }
    }
    // What may stand for "NAME", "FILE" and so on.
    void values(const std::string& kind, const std::set<std::string>& given) {
        if (kind == "FILE" || kind == "PATH" || kind == "SCENARIO") result.files = true;
        if (kind == "VERB") verbs(true);
        if (kind == "ACTION") offer_all({"add", "list", "revoke"});
        if (kind == "SCOPES") offer_all({"read", "logs", "metrics", "control", "heartbeat"});
        if (kind == "SHELL") offer_all(completion_shells());
        if (kind == "FORMAT") offer_all(importer::format_names());
        if (kind == "SIGNAL")
            offer_all({"HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "KILL", "STOP", "CONT"});
        if (kind == "DURATION" || kind == "TIME") offer_all({"10m", "30m", "1h", "8h", "1d"});
        if (kind == "LEVEL") offer_all({"error", "warn", "info", "debug"});
        if (kind == "RANGE") offer_all({"1h", "24h", "7d", "90d"});
        // One that is there; a new one has a new name.
        if (kind == "TOKEN" && given == std::set<std::string>{"revoke"}) offer_all(names_().tokens);
        if (kind == "KEY") offer_all({"state", "name", "cpu", "mem", "restarts"});
        if (!kind.starts_with("NAME")) return;
        const KnownNames known = names_();
        if (kind != "NAME/ID") units(known, given);
        if (kind != "NAME") offer_all(known.checks);
    }
    Completion result;

  private:
    void offer(const std::string& value, const std::string& text) {
        if (value.starts_with(typed_)) result.candidates.push_back({value, text});
    }
    void offer_all(const std::vector<std::string>& values) {
        for (const auto& value : values) offer(value, "");
    }
    void units(const KnownNames& known, const std::set<std::string>& given) {
        std::set<std::string> groups;
        for (const auto& unit : known.units) {
            if (!given.contains(unit.key)) offer(unit.key, unit.name == unit.key ? "" : unit.name);
            if (!unit.group.empty()) groups.insert(unit.group);
        }
        for (const auto& group : groups) offer(group + ":*", "group");
        if (!known.units.empty() && given.empty()) offer("all", "every unit");
    }

    const CommandTree& tree_;
    std::string typed_;
    const std::function<KnownNames()>& names_;
};

KnownNames names_in(const Json& status) {
    KnownNames known;
    known.units = units_of(status);
    for (const auto& unit : known.units) {
        for (const auto& check : status["services"][unit.key]["checks"].items())
            known.checks.push_back(unit.key + "/" + check["id"].text());
    }
    return known;
}

// --socket, -c and --status-file as typed so far decide whom to ask.
Options options_in(const CommandTree& tree, const std::vector<std::string>& words) {
    Options options;
    const Position at = walk(tree, words);
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
        const std::size_t equals = words[i].find('=');
        const std::string name = words[i].substr(0, equals);
        if (find_option(tree, at.verb, name) == nullptr) continue;
        const std::string value =
            equals != std::string::npos ? words[i].substr(equals + 1) : words[i + 1];
        if (name == "--socket") options.socket = value;
        if (name == "-c" || name == "--config") options.config.push_back(value);
    }
    return options;
}

KnownNames ask(const CommandTree& tree, const std::vector<std::string>& words, Io& io) {
    const Context context(options_in(tree, words), io);
    Client client(socket_path(context.options(), io), kTabMs);
    std::string text;
    if (const auto answer = client.get("/api/status"); answer && answer->status == 200) {
        text = answer->body;
    } else {
        std::ifstream file(context.status_file());
        std::stringstream all;
        all << file.rdbuf();
        text = all.str();
    }
    const auto status = Json::parse(text);
    KnownNames known = status ? names_in(*status) : KnownNames{};
    known.tokens = token_names(context);
    return known;
}

std::string escaped_colons(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == ':' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

} // namespace

Completion complete(const CommandTree& tree, const std::vector<std::string>& words,
                    const std::function<KnownNames()>& names) {
    const Position at = walk(tree, words);
    const std::string typed = words.empty() ? "" : words.back();
    const std::size_t equals = typed.find('=');
    if (at.value.empty() && typed.starts_with("--") && equals != std::string::npos) {
        const auto* option = find_option(tree, at.verb, typed.substr(0, equals));
        Collector collector(tree, typed.substr(equals + 1), names);
        if (option != nullptr) collector.values(option->value, {});
        for (auto& c : collector.result.candidates) c.value.insert(0, typed, 0, equals + 1);
        return collector.result;
    }
    Collector collector(tree, typed, names);
    if (!at.value.empty()) {
        collector.values(at.value, {});
    } else if (typed.starts_with("-") && !at.only_arguments) {
        if (at.verb != nullptr) collector.options(at.verb->options, at);
        collector.options(tree.options, at);
    } else if (at.verb == nullptr) {
        if (at.given.empty()) collector.verbs(true);
    } else if (const auto& all = at.verb->arguments; !all.empty()) {
        const bool more = at.arguments < all.size() || all.back().many;
        if (more) collector.values(all[std::min(at.arguments, all.size() - 1)].value, at.given);
    }
    return collector.result;
}

std::vector<std::string> split_line(std::string_view line) {
    std::vector<std::string> words(1);
    char quote = 0;
    bool begun = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quote == 0 && (c == ' ' || c == '\t')) {
            if (begun) words.emplace_back();
            begun = false;
            continue;
        }
        begun = true;
        if (c == quote) {
            quote = 0;
        } else if (quote == 0 && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '\\' && quote != '\'' && i + 1 < line.size()) {
            words.back() += line[++i];
        } else {
            words.back() += c;
        }
    }
    return words;
}

int complete_words(const std::vector<std::string>& arguments, Io& io) {
    if (arguments.empty()) return kExitUsage;
    const std::string& shell = arguments[0];
    std::vector<std::string> words;
    std::size_t skip = 0; // bash replaces only what stands behind the last break
    if (shell == "bash") {
        words = split_line(arguments.size() > 1 ? arguments[1] : "");
        const std::string breaks = arguments.size() > 2 ? arguments[2] : "";
        const std::size_t at = words.back().find_last_of(breaks);
        skip = at == std::string::npos ? 0 : at + 1;
        words.erase(words.begin());
    } else {
        words.assign(arguments.begin() + 1, arguments.end());
    }
    if (words.empty()) words.emplace_back();
    const CommandTree tree = command_tree();
    const Completion found = complete(tree, words, [&] { return ask(tree, words, io); });
    if (found.files) io.out << ":files\n";
    for (const auto& [value, text] : found.candidates) {
        const std::string safe = safe_text(value);
        if (shell == "zsh") {
            io.out << escaped_colons(safe) << (text.empty() ? "" : ":" + safe_text(text)) << "\n";
        } else if (shell == "fish") {
            io.out << safe << (text.empty() ? "" : "\t" + safe_text(text)) << "\n";
        } else {
            io.out << safe.substr(std::min(skip, safe.size())) << "\n";
        }
    }
    io.out.flush();
    return kExitOk;
}

} // namespace keepwell::cli
