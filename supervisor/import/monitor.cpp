// monitor.yml: a list of services with url, port, systemd and process_match, which that monitor
// looked at every 30 seconds and restarted after the second failure. The only source that sees the
// YAML library.
//
// Aliases are followed only as deep as a service is: list, entry, list of numbers or texts. So
// neither a circle nor a "billion laughs" costs more than the file is long.
#include "supervisor/config/values.h"
#include "supervisor/import/formats.h"
#include "supervisor/import/source_text.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>

namespace keepwell::importer {

namespace {

constexpr std::size_t kMostEntries = 10'000;
constexpr std::size_t kMostValues = 100; // of a list in a service
constexpr std::string_view kKeys[] = {"key",       "name",       "url",           "port",
                                      "host",      "systemd",    "process_match", "expected_http",
                                      "container", "description"};

std::uint32_t line_of(const YAML::Node& node) {
    return node.Mark().line < 0 ? 0 : static_cast<std::uint32_t>(node.Mark().line) + 1;
}

// "" for what is no plain value; null counts as nothing.
std::string text_of(const YAML::Node& node) { return node.IsScalar() ? node.Scalar() : ""; }

// One service as it was said: by name, in the order of the file.
class Entry {
  public:
    Entry(std::string key, Place place) : key_(std::move(key)), place_(std::move(place)) {}

    const Place& place() const { return place_; }
    const std::string& key() const { return key_; }

    // The keys of a mapping; those of a merged one ("<<") only where the entry has none.
    void read(const YAML::Node& map, Notes& notes, bool merged = false) {
        for (const auto& item : map) {
            const std::string name = text_of(item.first);
            if (name == "<<" && item.second.IsMap() && !merged) {
                inherited_.push_back(item.second);
                continue;
            }
            if (values_.contains(name)) continue;
            if (std::ranges::find(kKeys, name) == std::end(kKeys)) {
                if (!merged) unknown(name, item.first, notes);
                continue;
            }
            if (!item.second.IsNull()) values_.emplace(name, item.second);
        }
        for (const YAML::Node& base : std::exchange(inherited_, {})) read(base, notes, true);
    }

    std::string text(const std::string& name) const {
        const auto at = values_.find(name);
        return at == values_.end() ? "" : std::string(trimmed(text_of(at->second)));
    }
    // One value or a list of them; anything else in it is noted.
    std::vector<std::string> texts(const std::string& name, Notes& notes) const {
        std::vector<std::string> all;
        const auto at = values_.find(name);
        if (at == values_.end()) return all;
        if (!at->second.IsSequence()) {
            if (const std::string one = text(name); !one.empty()) all.push_back(one);
            return all;
        }
        for (const auto& item : at->second) {
            const std::string one(trimmed(text_of(item)));
            if (one.empty() || all.size() == kMostValues) {
                notes.cannot(place(name), label(name), "it is no list of at most 100 values");
                return all;
            }
            all.push_back(one);
        }
        return all;
    }
    bool has(const std::string& name) const { return values_.contains(name); }
    Place place(const std::string& name) const {
        const auto at = values_.find(name);
        const std::uint32_t line = at == values_.end() ? 0 : line_of(at->second);
        return {place_.file, line == 0 ? place_.line : line};
    }
    std::string label(const std::string& name) const {
        const std::string who = text("key").empty() ? key_ : text("key");
        return shortened(name).substr(1, shortened(name).size() - 2) + " of " +
               (who.empty() ? text("name") : who);
    }

  private:
    void unknown(const std::string& name, const YAML::Node& at, Notes& notes) {
        const std::uint32_t line = line_of(at);
        notes.cannot({place_.file, line == 0 ? place_.line : line},
                     label(name.empty() ? "a key" : name), "it is not understood");
    }

    std::string key_;
    Place place_;
    std::map<std::string, YAML::Node> values_;
    std::vector<YAML::Node> inherited_;
};

class MonitorImporter {
  public:
    explicit MonitorImporter(std::string path) : path_(std::move(path)) {}

    Result<Imported> run(const std::string& text, Notes notes) {
        notes_ = std::move(notes);
        const YAML::Node document = YAML::Load(text);
        top(document);
        return write();
    }

  private:
    Place at(const YAML::Node& node) const { return {path_, line_of(node)}; }

    // services: [...], services: { key: … }, a bare list, or a bare mapping.
    void top(const YAML::Node& document) {
        if (document.IsSequence()) {
            list(document);
        } else if (document.IsMap()) {
            const YAML::Node services = find(document, "services");
            if (!services.IsDefined()) {
                mapping(document);
                return;
            }
            for (const auto& item : document) {
                if (text_of(item.first) != "services")
                    notes_.cannot(at(item.first), shortened(text_of(item.first)),
                                  "only services is understood here");
            }
            if (services.IsSequence()) list(services);
            if (services.IsMap()) mapping(services);
        }
    }

    // Without operator[], which compares whole keys and would throw on odd ones.
    static YAML::Node find(const YAML::Node& map, std::string_view name) {
        for (const auto& item : map) {
            if (text_of(item.first) == name) return item.second;
        }
        return YAML::Node(YAML::NodeType::Undefined);
    }

    void list(const YAML::Node& services) {
        for (const auto& item : services) service("", item, at(item));
    }

    void mapping(const YAML::Node& services) {
        for (const auto& item : services) service(text_of(item.first), item.second, at(item.first));
    }

    void service(const std::string& key, const YAML::Node& node, const Place& place) {
        if (!node.IsMap()) {
            notes_.cannot(place, key.empty() ? "an entry" : shortened(key),
                          "a service is a mapping with url, port, systemd or process_match");
            return;
        }
        if (entries_.size() == kMostEntries) {
            notes_.cannot(place, "the rest", "10000 services are the most");
            return;
        }
        Entry entry(key, place);
        entry.read(node, notes_);
        entries_.push_back(std::move(entry));
    }

    Result<Imported> write() {
        TomlDocument document;
        begin(document, "monitor", path_);
        document.comment("As that monitor did: a look every 30 seconds, a restart after the second "
                         "failure.");
        TomlTable check;
        check.set("interval", toml::text("30s"));
        check.set("retry_interval", toml::text("30s"));
        document.table("defaults.check", check);
        TomlTable policy;
        policy.set("failures", toml::number(2));
        document.table("policy.monitor", policy);
        std::size_t units = 0;
        for (const Entry& entry : entries_) {
            std::string name = entry.text("key");
            if (name.empty()) name = entry.key();
            if (name.empty()) name = entry.text("name");
            if (names_.find(name) != nullptr)
                notes_.cannot(entry.place(), shortened(name) + " as it is",
                              "it is there twice; this one got a number");
            TomlTable unit;
            if (!fill(entry, unit)) continue;
            const std::string key = names_.add(name);
            if (entry.text("name").empty()) UnitNames::show(unit, key, name);
            document.table("unit." + toml::key(key), unit);
            ++units;
        }
        return finish(document, notes_, units, path_);
    }

    // False, with a note, when there is nothing to look at.
    bool fill(const Entry& entry, TomlTable& unit) {
        if (!entry.text("name").empty()) unit.set("name", toml::text(entry.text("name")));
        if (!entry.text("description").empty())
            unit.set("description", toml::text(entry.text("description")));
        const std::string systemd = unit_file(entry);
        const auto match = entry.texts("process_match", notes_);
        if (!systemd.empty()) {
            unit.set("systemd", toml::text(systemd));
        } else if (!match.empty()) {
            unit.set("match", toml::texts(match));
        }
        unit.set("policy", toml::text("monitor"));
        http(entry, unit);
        tcp(entry, unit);
        if (!systemd.empty() && !match.empty()) {
            TomlTable process;
            process.set("match", toml::texts(match));
            set_check(unit, "process", process);
        }
        if (entry.has("container"))
            notes_.cannot(entry.place("container"), entry.label("container"),
                          "keepwell does not look into containers");
        for (const char* name :
             {"key", "name", "url", "port", "host", "systemd", "container", "description"})
            plain(entry, name);
        const bool any =
            !systemd.empty() || !match.empty() || unit.has("check.http") || unit.has("check.tcp");
        if (!any)
            notes_.cannot(entry.place(), entry.label("the service"),
                          "it has no url, port, systemd or process_match to look at");
        return any;
    }

    // As systemctl reads a name: a service unless it says otherwise. "" when there is none.
    std::string unit_file(const Entry& entry) {
        const std::string said = entry.text("systemd");
        if (said.empty()) return "";
        auto name = config::systemd_unit_name(said);
        if (name) return *name;
        notes_.cannot(entry.place("systemd"), entry.label("systemd"), name.error().message);
        return "";
    }

    void plain(const Entry& entry, const std::string& name) {
        if (entry.has(name) && entry.text(name).empty() && name != "container")
            notes_.cannot(entry.place(name), entry.label(name), "it is no plain value");
    }

    void http(const Entry& entry, TomlTable& unit) {
        const std::string url = entry.text("url");
        const auto codes = entry.texts("expected_http", notes_);
        if (url.empty()) {
            if (!codes.empty())
                notes_.cannot(entry.place("expected_http"), entry.label("expected_http"),
                              "there is no url");
            return;
        }
        if (const Status good = config::check_http_url(url); !good) {
            notes_.cannot(entry.place("url"), entry.label("url"), good.error().message);
            return;
        }
        TomlTable check;
        check.set("url", toml::text(url));
        std::string set;
        for (const std::string& code : codes) set += (set.empty() ? "" : ",") + code;
        if (!set.empty() && config::parse_status_set(set)) {
            check.set("expect", "{ status = " + toml::text(set) + " }");
        } else if (!set.empty()) {
            notes_.cannot(entry.place("expected_http"), entry.label("expected_http"),
                          shortened(set) + " are no HTTP codes");
        }
        set_check(unit, "http", check);
    }

    void tcp(const Entry& entry, TomlTable& unit) {
        const std::string said = entry.text("port");
        const std::string host = entry.text("host");
        if (said.empty()) {
            if (!host.empty())
                notes_.cannot(entry.place("host"), entry.label("host"), "there is no port");
            return;
        }
        const auto port = whole_number(said);
        if (!port || *port < 1 || *port > 65535) {
            notes_.cannot(entry.place("port"), entry.label("port"),
                          shortened(said) + " is no port from 1 to 65535");
            return;
        }
        TomlTable check;
        if (!host.empty() && host != "localhost" && host != "127.0.0.1")
            check.set("host", toml::text(host));
        check.set("port", toml::number(*port));
        check.set("effect", toml::text("down"));
        set_check(unit, "tcp", check);
    }

    std::string path_;
    Notes notes_;
    std::vector<Entry> entries_;
    UnitNames names_;
};

} // namespace

Result<Imported> import_monitor(const std::string& path, config::FileSource& source) {
    Notes notes;
    const auto text = read_source(path, source, notes);
    if (!text) return text.error();
    try {
        return MonitorImporter(path).run(*text, std::move(notes));
    } catch (const YAML::Exception& e) {
        const std::string where = e.mark.is_null() ? path
                                                   : path + ":" + std::to_string(e.mark.line + 1) +
                                                         ":" + std::to_string(e.mark.column + 1);
        return Error{where + ": cannot read it as YAML: " + e.msg};
    }
}

} // namespace keepwell::importer
