#include "supervisor/import/monit_rule.h"

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::size_t kLongestStatement = 200;

bool one_of(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::ranges::find(words, word) != words.end();
}

// Behind which only values stand, so a word there begins no statement.
bool begins_statement(const Token& token) {
    if (token.kind != TokenKind::Word) return false;
    if (one_of(token.small, {"check", "set", "include", "if", "depends", "depend"})) return true;
    return token.first && one_of(token.small, {"start", "stop", "restart", "group", "every", "mode",
                                               "alert", "noalert", "onreboot", "not"});
}

std::uint64_t factor_of(std::string_view unit) {
    if (unit.starts_with("minute")) return 60;
    if (unit.starts_with("hour")) return 3600;
    if (unit.starts_with("day")) return 86400;
    if (unit.starts_with("week")) return 7 * 86400;
    return unit.starts_with("second") ? 1 : 0;
}

} // namespace

Token MonitReader::next() {
    Token token = lexer_.next();
    if (statement_.size() < kLongestStatement && token.kind != TokenKind::End) {
        if (!statement_.empty()) statement_ += ' ';
        statement_ += token.text;
    }
    return token;
}

bool MonitReader::at_statement() { return begins_statement(peek()); }

bool MonitReader::accept(std::string_view text) {
    const Token& token = peek();
    const bool same = token.kind == TokenKind::Word
                          ? token.small == text
                          : token.kind == TokenKind::Symbol && token.text == text;
    if (same) static_cast<void>(next());
    return same;
}

void MonitReader::include() {
    if (at_end()) return;
    const Token pattern = next();
    lexer_.include(pattern.text, pattern.place);
}

std::optional<std::uint64_t> MonitReader::number() {
    if (peek().kind != TokenKind::Word) return std::nullopt;
    const auto value = whole_number(peek().text);
    if (value) static_cast<void>(next());
    return value;
}

std::uint64_t MonitReader::seconds() {
    constexpr std::uint64_t kYear = 366ULL * 86400;
    const auto value = number();
    if (!value) return 0;
    std::uint64_t factor = peek().kind == TokenKind::Word ? factor_of(peek().small) : 0;
    if (factor > 0) static_cast<void>(next());
    factor = std::max<std::uint64_t>(factor, 1);
    return *value > kYear / factor ? kYear : *value * factor;
}

MonitAmount MonitReader::amount() {
    MonitAmount amount;
    const Token& token = peek();
    if (token.kind == TokenKind::Symbol && token.text.find_first_of("=!<>") == 0) {
        amount.comparison = next().text;
    } else if (one_of(token.small, {"greater", "gt", "older", "higher"})) {
        static_cast<void>(next());
        amount.comparison = ">";
    } else if (one_of(token.small, {"less", "lt", "newer", "lower"})) {
        static_cast<void>(next());
        amount.comparison = "<";
    } else if (one_of(token.small, {"equal", "eq"})) {
        static_cast<void>(next());
        amount.comparison = "==";
    } else if (one_of(token.small, {"notequal", "ne"})) {
        static_cast<void>(next());
        amount.comparison = "!=";
    }
    static_cast<void>(accept("or") && accept("equal"));
    if (peek().kind != TokenKind::Word) return amount;
    const std::string word = peek().text;
    const std::size_t end = std::min(word.find_first_not_of("0123456789."), word.size());
    if (end == 0) return amount;
    static_cast<void>(next());
    amount.number = word.substr(0, end);
    amount.unit = lower(word.substr(end));
    const bool unit = amount.unit.empty() && peek().kind == TokenKind::Word &&
                      (one_of(peek().small, {"%", "b", "byte", "bytes", "k", "kb", "kilobyte", "m",
                                             "mb", "megabyte", "g", "gb", "gigabyte"}) ||
                       factor_of(peek().small) > 0);
    if (unit) amount.unit = next().small;
    return amount;
}

// ---- the rule

std::optional<MonitRule> MonitRuleParser::parse(const Place& place) {
    MonitRule rule;
    rule.place = place;
    const bool understood = condition(rule);
    if (understood) rate(rule.rate);
    const bool ends_well = understood && in_.accept("then") && action(rule);
    if (!ends_well) rest_of_rule(false);
    rule.text = in_.statement();
    if (!ends_well) {
        notes_.cannot(place, rule.text, "keepwell has no such check");
        return std::nullopt;
    }
    // else if succeeded then alert, repeat every 5 cycles: keepwell tells both ways, once.
    rest_of_rule(true);
    return rule;
}

// Up to what begins another statement, or another line once the action has been seen.
void MonitRuleParser::rest_of_rule(bool acted) {
    bool otherwise = false; // "else if" belongs to the rule, another "if" does not
    while (!in_.at_end()) {
        in_.skip_braces();
        const Token& ahead = in_.peek();
        if (ahead.kind == TokenKind::End || (in_.at_statement() && !otherwise)) return;
        if (acted && ahead.first && !otherwise && !one_of(ahead.small, {"else", "repeat"})) return;
        const std::string word = in_.next().small;
        otherwise = word == "else";
        if (word != "then") continue;
        acted = true;
        static_cast<void>(text()); // the action, which may begin a line
    }
}

bool MonitRuleParser::condition(MonitRule& rule) {
    if (const auto restarts = in_.number()) {
        rule.test = MonitTest::Restarts;
        rule.restarts = *restarts;
        const bool named = in_.accept("restarts") || in_.accept("restart");
        rule.cycles = in_.number().value_or(0);
        return named && rule.cycles > 0 && (in_.accept("cycles") || in_.accept("cycle"));
    }
    if (in_.peek().kind != TokenKind::Word) return false;
    const std::string first = in_.next().small;
    if (first == "failed") return failed(rule);
    if (one_of(first, {"does", "doesn't", "not"})) {
        static_cast<void>(in_.accept("not"));
        rule.test = MonitTest::Absent;
        return in_.accept("exist") || in_.accept("exists");
    }
    if (one_of(first, {"timestamp", "mtime", "modification"})) {
        if (first == "modification") static_cast<void>(in_.accept("time"));
        rule.test = MonitTest::Age;
        rule.amount = in_.amount();
        return rule.amount.comparison.starts_with(">") && !rule.amount.number.empty();
    }
    if (one_of(first, {"size", "status"})) {
        rule.test = first == "size" ? MonitTest::Size : MonitTest::Exit;
        rule.amount = in_.amount();
        return !rule.amount.comparison.empty() && !rule.amount.number.empty();
    }
    return resource(rule, first);
}

bool MonitRuleParser::resource(MonitRule& rule, const std::string& first) {
    std::string name = first;
    if (name == "total") name = "total " + in_.next().small;
    if (one_of(name, {"totalmem", "totalmemory", "total mem"})) name = "total memory";
    if (name == "totalcpu") name = "total cpu";
    if (name == "mem") name = "memory";
    if (!one_of(name, {"cpu", "total cpu", "memory", "total memory", "children", "threads",
                       "filedescriptors"}))
        return false;
    static_cast<void>(in_.accept("usage"));
    rule.test = MonitTest::Resource;
    rule.resource = name;
    rule.amount = in_.amount();
    return rule.amount.comparison.starts_with(">") && !rule.amount.number.empty();
}

bool MonitRuleParser::failed(MonitRule& rule) {
    rule.test = MonitTest::Connection;
    MonitConnection& to = rule.connection;
    while (!in_.at_end() && !in_.at_statement() && in_.peek().small != "then" &&
           in_.peek().small != "for") {
        // "3 times within 5 cycles" without the word for
        if (whole_number(in_.peek().text)) break;
        const Token token = in_.next();
        if (!connection_word(to, token)) return false;
    }
    return !to.port.empty() || !to.unix_path.empty() || !to.protocol.empty();
}

bool MonitRuleParser::connection_word(MonitConnection& to, const Token& token) {
    const std::string& word = token.small;
    if (one_of(word, {"host", "hostname"})) {
        to.host = text();
    } else if (word == "port") {
        to.port = text();
    } else if (one_of(word, {"unixsocket", "unix"})) {
        static_cast<void>(in_.accept("path"));
        to.unix_path = text();
    } else if (word == "type") {
        return true; // tcp, udp and so on are words of their own
    } else if (one_of(word, {"tcp", "udp"})) {
        to.udp = word == "udp";
    } else if (one_of(word, {"tcpssl", "ssl", "tls"})) {
        to.tls = true;
        if (in_.accept("options")) to.ignored.emplace_back("ssl options");
        in_.skip_braces();
    } else if (word == "certificate") {
        if (!in_.accept("valid")) return false;
        const MonitAmount valid = in_.amount();
        to.tls = true;
        to.certificate_days = whole_number(valid.number).value_or(0);
    } else if (one_of(word, {"protocol", "proto"})) {
        to.protocol = lower(text());
    } else if (word == "request") {
        to.request = text();
    } else if (word == "method") {
        to.method = text();
    } else if (word == "status") {
        const MonitAmount status = in_.amount();
        to.status = status.number;
        to.status_operator = status.comparison;
    } else if (word == "content") {
        static_cast<void>(in_.accept("=") || in_.accept("=="));
        to.content = text();
    } else if (word == "send") {
        to.send = text();
    } else if (word == "expect") {
        to.expect = text();
    } else if (word == "timeout") {
        to.timeout_s = in_.seconds();
    } else if (one_of(word, {"retry", "hostheader", "username", "password", "address", "version",
                             "target", "ipv4", "ipv6", "http", "headers"})) {
        to.ignored.push_back(word);
        if (!one_of(word, {"ipv4", "ipv6", "http", "headers"})) static_cast<void>(text());
        if (in_.accept("[")) {
            while (!in_.at_end() && !in_.accept("]")) static_cast<void>(in_.next());
        }
    } else {
        return false;
    }
    return true;
}

void MonitRuleParser::rate(MonitRate& rate) {
    static_cast<void>(in_.accept("for"));
    const auto first = in_.number();
    if (!first) return;
    rate.failures = std::max<std::uint64_t>(*first, 1);
    if (in_.accept("times") || in_.accept("time")) {
        const auto cycles = in_.number();
        rate.of = cycles.value_or(0);
    }
    static_cast<void>(in_.accept("cycles") || in_.accept("cycle"));
    if (rate.of <= rate.failures) rate.of = 0;
}

bool MonitRuleParser::action(MonitRule& rule) {
    const std::string word = in_.next().small;
    if (word == "alert") {
        rule.action = MonitAction::Alert;
    } else if (word == "restart") {
        rule.action = MonitAction::Restart;
    } else if (word == "start") {
        rule.action = MonitAction::Start;
    } else if (word == "stop") {
        rule.action = MonitAction::Stop;
    } else if (one_of(word, {"unmonitor", "timeout"})) {
        rule.action = MonitAction::Unmonitor;
    } else if (word == "exec") {
        rule.action = MonitAction::Exec;
        static_cast<void>(text());
    } else {
        return false;
    }
    return true;
}

} // namespace keepwell::importer
