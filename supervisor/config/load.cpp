#include "supervisor/config/load.h"

#include "supervisor/config/check_reader.h"
#include "supervisor/config/dependencies.h"
#include "supervisor/config/expand.h"
#include "supervisor/config/policy_reader.h"
#include "supervisor/config/sources.h"
#include "supervisor/config/suggest.h"
#include "supervisor/config/supervisor_reader.h"
#include "supervisor/config/unit_reader.h"
#include "supervisor/config/values.h"
#include "supervisor/logs/log_names.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

namespace keepwell {
namespace config {
namespace {

constexpr std::int64_t kMostInstances = 10'000;
constexpr std::size_t kLongestSocketPath = 107; // of sockaddr_un

class Loader {
  public:
    Loader(const Node& root, Context& context, const LoadOptions& options)
        : root_(root), context_(context), options_(options) {}

    Configuration load() {
        Reader top(root_, context_.messages);
        Configuration config;
        config.supervisor = read_supervisor(top.table("supervisor"), options_, context_.messages);
        context_.dry_run = config.supervisor.dry_run;
        read_defaults(top.table("defaults"));
        read_policies(top.table("policy"));
        templates_ = top.table("template");
        refuse_chains();
        const Node* units = top.table("unit");
        static_cast<void>(top.take("include"));
        warn_of_alerts(top.table("notify"));
        for (const std::string_view key : {"escalate", "fleet"}) top.later(key);
        top.finish();
        if (units != nullptr) {
            for (const Node& item : units->items) add_unit(item);
        }
        check_notify_paths(config.supervisor.runtime_dir);
        read_unused_templates();
        warn_if_empty(units);
        refuse_shared_logs();
        resolve_names(specs_, raws_, names_, context_);
        config.units = in_start_order(std::move(specs_), raws_, context_);
        return config;
    }

  private:
    void warn_of_alerts(const Node* notify) {
        if (notify == nullptr) return;
        Reader reader(*notify, context_.messages);
        for (const Node& item : notify->items) reader.later(item.key);
    }

    // The stderr of web goes to web.err.log, which is also where the output of a unit web.err goes.
    void refuse_shared_logs() {
        for (const UnitSpec& spec : specs_) {
            const auto other = std::ranges::find(specs_, errors_key(spec.key),
                                                 [](const auto& u) { return u.key; });
            if (!spec.log.separate_stderr || other == specs_.end()) continue;
            const Node& node = raws_[static_cast<std::size_t>(other - specs_.begin())].node;
            context_.messages.error(node.key_where,
                                    "cannot read " + node.path +
                                        ": its log would be the one of the stderr of " +
                                        quote(spec.key) + " (rename one of them)");
        }
    }

    // Daemons are told of their socket by its path, and the kernel's addresses are short.
    void check_notify_paths(const std::string& runtime_dir) {
        for (std::size_t i = 0; i < specs_.size(); ++i) {
            const std::string path = runtime_dir + "/notify/" + specs_[i].key;
            if (!has_notify_socket(specs_[i]) || path.size() <= kLongestSocketPath) continue;
            context_.messages.error(
                raws_[i].node.key_where,
                "cannot use " + raws_[i].node.path + ": the path of its notify socket, " + path +
                    ", has more than " + std::to_string(kLongestSocketPath) +
                    " bytes (shorten supervisor.runtime_dir or the unit's name)");
        }
    }

    // A template is one level: what looks like a chain would silently lose a part.
    void refuse_chains() {
        if (templates_ == nullptr) return;
        for (const Node& item : templates_->items) {
            const Node* chained = item.find("template");
            if (chained == nullptr) continue;
            context_.messages.error(chained->key_where,
                                    "cannot read " + chained->path +
                                        ": a template cannot use another one (repeat its keys)");
        }
    }

    void read_defaults(const Node* defaults) {
        if (defaults == nullptr) return;
        Reader reader(*defaults, context_.messages);
        tables_.check_defaults = reader.table("check");
        if (tables_.check_defaults != nullptr) {
            validate_check_defaults(*tables_.check_defaults, context_.messages);
        }
        reader.finish();
    }

    void read_policies(const Node* policies) {
        Node base;
        base.path = "policy.default";
        if (policies != nullptr) {
            if (const Node* found = policies->find("default"); found && found->is_table()) {
                base = *found;
            }
        }
        tables_.policies["default"] = base;
        if (policies == nullptr) return;
        for (const Node& item : policies->items) {
            if (!expect_table(item)) continue;
            Node merged = base;
            if (item.key != "default") merge(merged, item);
            Reader reader(merged, context_.messages);
            static_cast<void>(read_policy(reader));
            reader.finish();
            tables_.policies[item.key] = std::move(merged);
        }
    }

    bool expect_table(const Node& item) {
        if (item.is_table()) return true;
        context_.messages.error(item.where,
                                "cannot read " + item.path + ": " + wrong_kind(item, "a table"));
        return false;
    }

    bool check_name(const Node& item) {
        const auto refuse = [&](const std::string& why) {
            context_.messages.error(item.key_where, "cannot read " + item.path + ": " + why);
            return false;
        };
        if (item.key == "all") {
            return refuse("\"all\" means every unit on the command line (choose another name)");
        }
        if (is_unit_key(item.key)) return true;
        return refuse(quote(item.key) + " is not a unit name (1 to 63 of a-z 0-9 _ . : @ -, "
                                        "starting with a letter or digit)");
    }

    // The unit over its template; an unknown template is reported.
    Node with_template(const Node& item) {
        const Node* name = item.find("template");
        if (name == nullptr || !name->is_string()) return item;
        const Node* found = templates_ == nullptr ? nullptr : templates_->find(name->text);
        if (found == nullptr || !found->is_table()) {
            if (!context_.incomplete) {
                std::vector<std::string> known;
                if (templates_ != nullptr) {
                    for (const Node& one : templates_->items) known.push_back(one.key);
                }
                context_.messages.error(name->where,
                                        "cannot read " + name->path + ": no template named " +
                                            quote(name->text) + did_you_mean(name->text, known));
            }
            return item;
        }
        used_templates_.insert(name->text);
        Node merged = *found;
        merge(merged, item);
        merged.key = item.key;
        merged.path = item.path;
        return merged;
    }

    void add_unit(const Node& item) {
        if (!expect_table(item) || !check_name(item)) return;
        Node merged = with_template(item);
        if (merged.find("instances") == nullptr) {
            add(RawUnit{item.key, item.key, std::nullopt, std::move(merged)});
            return;
        }
        Reader reader(merged, context_.messages);
        std::uint32_t count = 0;
        if (!reader.integer("instances", count, 1, kMostInstances)) count = 1;
        for (std::uint32_t i = 1; i <= count; ++i) {
            RawUnit raw{item.key, item.key + "@" + std::to_string(i), i, merged};
            expand_instance(raw.node, i);
            if (!is_unit_key(raw.key)) {
                reader.missing("the instance " + quote(raw.key) +
                               " has a name of more than 63 characters (shorten it)");
                return;
            }
            add(std::move(raw));
        }
    }

    void add(RawUnit raw) {
        if (const auto taken = names_.keys.find(raw.key);
            taken != names_.keys.end() || names_.left_out.contains(raw.key)) {
            context_.messages.error(raw.node.key_where,
                                    "cannot read " + raw.node.path + ": there is another unit " +
                                        quote(raw.key) + " (rename one of them)");
            return;
        }
        auto spec = read_unit(raw, tables_, false, context_);
        if (!spec) {
            names_.left_out.insert(raw.key);
            names_.left_out.insert(raw.family);
            return;
        }
        if (raw.instance) names_.keys[raw.family].push_back(raw.key);
        names_.keys[raw.key].push_back(raw.key);
        specs_.push_back(std::move(*spec));
        raws_.push_back(std::move(raw));
    }

    // A mistake in a template is worth knowing before the first unit uses it.
    void read_unused_templates() {
        if (templates_ == nullptr) return;
        for (const Node& item : templates_->items) {
            if (!expect_table(item) || used_templates_.contains(item.key)) continue;
            static_cast<void>(read_unit(RawUnit{item.key, item.key, std::nullopt, item}, tables_,
                                        true, context_));
        }
    }

    void warn_if_empty(const Node* units) {
        if ((units != nullptr && !units->items.empty()) || context_.incomplete) return;
        context_.messages.warning(root_.where,
                                  "cannot find any unit (add [unit.NAME] with a command)");
    }

    const Node& root_;
    Context& context_;
    const LoadOptions& options_;
    const Node* templates_ = nullptr;
    UnitTables tables_;
    Names names_;
    std::vector<UnitSpec> specs_;
    std::vector<RawUnit> raws_;
    std::set<std::string> used_templates_;
};

} // namespace

LoadResult load_from(const std::vector<std::string>& roots, FileSource& source,
                     const LoadOptions& options) {
    LoadResult result;
    Messages messages;
    UserTable users;
    Sources sources = read_sources(roots, source, messages);
    if (!sources.files.empty()) {
        sources.root.where.file = std::make_shared<const std::string>(sources.files.front());
    }
    Context context{messages, users, options.user_run, options.dry_run, sources.incomplete};
    result.config = Loader(sources.root, context, options).load();
    result.files = std::move(sources.files);
    result.texts = std::move(sources.texts);
    result.errors = messages.take_errors(result.files);
    result.warnings = messages.take_warnings(result.files);
    return result;
}

} // namespace config

LoadResult load_configuration(const LoadOptions& options) {
    try {
        std::vector<std::string> roots = options.files;
        if (roots.empty()) {
            roots = default_config_files(options.user_run);
            const std::string& file = roots.front();
            if (::access(file.c_str(), F_OK) != 0 && errno == ENOENT) {
                LoadResult none;
                none.errors.push_back({{},
                                       "cannot find a configuration: there is no " + file +
                                           " (create it, name one with -c FILE, or set "
                                           "KEEPWELL_CONFIG)"});
                return none;
            }
        }
        config::DiskSource disk;
        return config::load_from(roots, disk, options);
    } catch (const std::exception& e) {
        LoadResult failed;
        failed.errors.push_back(
            {{}, std::string("cannot load the configuration: ") + e.what() + " (internal error)"});
        return failed;
    }
}

} // namespace keepwell
