#include "supervisor/import/monit_parser.h"

#include "supervisor/import/monit_rule.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::size_t kMostServices = 10'000;
constexpr std::size_t kMostRules = 200; // of a service

bool is_one_of(const std::string& word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

class Parser {
  public:
    Parser(MonitLexer& lexer, Notes& notes) : in_(lexer), notes_(notes), rules_(in_, notes_) {}

    MonitControl parse() {
        while (!in_.at_end()) {
            in_.begin_statement();
            const Token token = in_.next();
            if (token.small == "check" && token.kind == TokenKind::Word) {
                check(token.place);
            } else if (token.small == "set") {
                set(token.place);
            } else if (token.small == "include") {
                in_.include();
            } else {
                unknown(token.place, "it belongs to no service");
            }
        }
        return std::move(control_);
    }

  private:
    void unknown(const Place& place, const std::string& why) {
        skip_statement();
        notes_.cannot(place, in_.statement(), why);
    }

    // Up to what begins another statement.
    void skip_statement() {
        while (!in_.at_end() && !in_.at_statement()) {
            in_.skip_braces();
            if (!in_.at_end() && !in_.at_statement()) static_cast<void>(in_.next());
        }
    }

    void set(const Place& place) {
        if (in_.accept("daemon")) {
            const auto seconds = in_.number();
            if (!seconds || *seconds == 0) {
                unknown(place, "it says no seconds");
                return;
            }
            control_.cycle_s = *seconds;
            static_cast<void>(in_.accept("second") || in_.accept("seconds"));
            if (!in_.at_statement() && !in_.at_end())
                unknown(place, "keepwell starts to check at once (see grace)");
            return;
        }
        // Only its first word is shown: there may be passwords behind it.
        const std::string what = "set " + (in_.at_end() ? std::string() : in_.next().text);
        skip_statement();
        notes_.cannot(place, shortened(what),
                      "it is about monit itself (see [supervisor] and notify of keepwell.toml(5))");
    }

    void check(const Place& place) {
        MonitService service;
        service.place = place;
        service.type = in_.next().small;
        service.name = in_.next().text;
        const bool known =
            is_one_of(service.type, {"process", "file", "directory", "filesystem", "fifo", "host",
                                     "program", "system", "network"});
        if (!known || service.name.empty()) {
            unknown(place, "keepwell knows no such check");
            return;
        }
        head(service);
        while (!in_.at_end() && !is_one_of(in_.peek().small, {"check", "set"})) {
            in_.begin_statement();
            statement(service);
        }
        if (control_.services.size() == kMostServices) {
            notes_.cannot(place, "check " + service.name, "10000 services are the most");
            return;
        }
        control_.services.push_back(std::move(service));
    }

    // pidfile, matching, path, address and so on, before the first statement.
    void head(MonitService& service) {
        while (!in_.at_end() && !in_.at_statement()) {
            const Token token = in_.next();
            std::string* to = nullptr;
            if (token.small == "pidfile") to = &service.pidfile;
            if (is_one_of(token.small, {"matching", "match"})) to = &service.matching;
            if (is_one_of(token.small, {"path", "pathname", "interface"})) to = &service.path;
            if (token.small == "address") to = &service.address;
            if (is_one_of(token.small, {"uid", "user"})) to = &service.user;
            if (token.small == "gid") to = &service.group_of_user;
            if (token.small == "timeout") {
                service.timeout_s = in_.seconds();
            } else if (to != nullptr && !in_.at_end()) {
                *to = in_.next().text;
            } else {
                notes_.cannot(token.place, shortened(token.text) + " of " + service.name,
                              "keepwell does not understand it here");
            }
        }
    }

    void statement(MonitService& service) {
        const Token token = in_.next();
        const Place& place = token.place;
        if (is_one_of(token.small, {"start", "stop", "restart"})) {
            program(service, token);
        } else if (token.small == "if") {
            rule(service, place);
        } else if (is_one_of(token.small, {"depends", "depend"})) {
            names([&](const Token& name) { service.depends.emplace_back(name.text, name.place); });
        } else if (token.small == "group") {
            names([&](const Token& name) { service.groups.push_back(name.text); });
        } else if (token.small == "every") {
            every(service, place);
        } else if (token.small == "mode") {
            const std::string mode = in_.next().small;
            service.passive = mode == "passive";
            service.manual = service.manual || mode == "manual";
        } else if (token.small == "onreboot") {
            const std::string what = in_.next().small;
            service.manual = service.manual || what == "nostart";
            if (what == "laststate")
                notes_.cannot(place, "onreboot laststate",
                              "keepwell remembers what was stopped by hand anyway");
        } else if (token.small == "include") {
            in_.include();
        } else {
            const bool alert = is_one_of(token.small, {"alert", "noalert"});
            unknown(place, alert ? "alerts are said once for all units (see notify)"
                                 : "keepwell does not understand it");
        }
    }

    void program(MonitService& service, const Token& kind) {
        static_cast<void>(in_.accept("program"));
        static_cast<void>(in_.accept("="));
        MonitProgram program;
        program.place = kind.place;
        if (in_.at_end() || in_.peek().kind == TokenKind::Symbol) {
            unknown(kind.place, "it names no program");
            return;
        }
        program.line = in_.next().text;
        while (!in_.at_end() && !in_.at_statement()) {
            if (in_.accept("uid")) {
                program.user = in_.next().text;
            } else if (in_.accept("gid")) {
                program.group = in_.next().text;
            } else if (in_.accept("timeout")) {
                program.timeout_s = in_.seconds();
            } else {
                unknown(kind.place, "keepwell does not understand the end of it");
                break;
            }
        }
        auto& to = kind.small == "start"  ? service.start
                   : kind.small == "stop" ? service.stop
                                          : service.restart;
        to = std::move(program);
    }

    template <class Add>
    void names(Add add) {
        do {
            if (in_.at_end()) return;
            add(in_.next());
        } while (in_.accept(","));
    }

    void every(MonitService& service, const Place& place) {
        const auto cycles = in_.number();
        if (cycles && *cycles > 0 && (in_.accept("cycles") || in_.accept("cycle"))) {
            service.every = *cycles;
        } else {
            unknown(place, "a check has an interval, no calendar");
        }
    }

    void rule(MonitService& service, const Place& place) {
        auto parsed = rules_.parse(place);
        if (!parsed) return;
        if (service.rules.size() == kMostRules) {
            notes_.cannot(place, parsed->text, "200 tests are the most of a service");
            return;
        }
        service.rules.push_back(std::move(*parsed));
    }

    MonitReader in_;
    Notes& notes_;
    MonitRuleParser rules_;
    MonitControl control_;
};

} // namespace

MonitControl parse_monit(MonitLexer& lexer, Notes& notes) { return Parser(lexer, notes).parse(); }

} // namespace keepwell::importer
