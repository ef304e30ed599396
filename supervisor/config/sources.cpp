#include "supervisor/config/sources.h"

#include "supervisor/config/expand.h"
#include "supervisor/config/reader.h"
#include "supervisor/config/suggest.h"
#include "supervisor/config/toml_tree.h"
#include "supervisor/config/values.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace keepwell::config {
namespace {

std::string place_name(const Where& where) {
    const SourcePosition at = where.position();
    return at.file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column);
}

bool is_pattern(const std::string& name) { return name.find_first_of("*?[") != std::string::npos; }

std::string escape_pattern(const std::string& folder) {
    std::string out;
    for (const char c : folder) {
        if (c == '*' || c == '?' || c == '[' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

// Reads one -c file with everything it includes into one tree.
class TreeBuilder {
  public:
    TreeBuilder(FileSource& source, Messages& messages, Sources& sources)
        : source_(source), messages_(messages), sources_(sources) {}

    Node take() { return std::move(tree_); }

    void add_file(const std::string& path, const Where& from) {
        const std::string identity = source_.identity(path);
        if (const auto open = std::ranges::find(chain_, identity, &Open::identity);
            open != chain_.end()) {
            refuse_loop(static_cast<std::size_t>(open - chain_.begin()), path, from);
            return;
        }
        if (!done_.insert(identity).second) return; // two patterns may meet in one file
        auto text = source_.read(path);
        if (!text) {
            sources_.incomplete = true;
            messages_.error(from, text.error().message);
            return;
        }
        sources_.files.push_back(path);
        sources_.texts.push_back(*text);
        auto root = parse_toml(*text, path, messages_);
        if (!root) {
            sources_.incomplete = true;
            return;
        }
        expand_tree(*root, from_environment, messages_);
        chain_.push_back({identity, path});
        const std::optional<Node> include = cut_include(*root);
        combine(tree_, *root, 0);
        if (include) add_includes(*include);
        chain_.pop_back();
    }

  private:
    struct Open {
        std::string identity;
        std::string path;
    };

    void refuse_loop(std::size_t first, const std::string& path, const Where& from) {
        std::string chain;
        for (std::size_t i = first; i < chain_.size(); ++i) chain += chain_[i].path + " -> ";
        messages_.error(from, "cannot include " + path + ": it includes itself (" + chain + path +
                                  "); remove one of these includes");
    }

    static std::optional<Node> cut_include(Node& root) {
        const Node* found = root.find("include");
        if (found == nullptr) return std::nullopt;
        Node include = *found;
        root.erase("include");
        return include;
    }

    void add_includes(const Node& include) {
        if (include.is_string()) {
            add_pattern(include);
        } else if (include.kind == NodeKind::Array) {
            for (const Node& item : include.items) {
                if (item.is_string()) {
                    add_pattern(item);
                } else {
                    messages_.error(item.where, "cannot read " + item.path + ": " +
                                                    wrong_kind(item, "a string"));
                }
            }
        } else {
            messages_.error(include.where,
                            "cannot read include: " +
                                wrong_kind(include, "an array", "[\"conf.d/*.toml\"]"));
        }
    }

    void add_pattern(const Node& name) {
        if (name.text.empty()) {
            messages_.error(name.where, "cannot read " + name.path +
                                            ": an empty string names no file (remove it)");
            return;
        }
        const bool absolute = name.text.starts_with('/');
        std::string folder =
            absolute ? "" : std::filesystem::path(*name.where.file).parent_path().string();
        if (!folder.empty() && !folder.ends_with('/')) folder += '/';
        if (!is_pattern(name.text)) {
            add_file(folder + name.text, name.where);
            return;
        }
        for (const std::string& path : source_.match(escape_pattern(folder) + name.text)) {
            add_file(path, name.where);
        }
    }

    // Level 0 holds the tables of the root, level 1 the names in them. Units, templates, policies
    // and alerts are whole at level 1; the shared tables (supervisor, defaults, fleet) go deeper.
    void combine(Node& into, const Node& from, int level) {
        for (const Node& item : from.items) {
            Node* old = into.find(item.key);
            if (old == nullptr) {
                into.items.push_back(item);
            } else if (old->is_table() && item.is_table() && (level == 0 || !named_)) {
                const bool outer = named_;
                if (level == 0) {
                    named_ = item.key == "unit" || item.key == "template" || item.key == "policy" ||
                             item.key == "notify";
                }
                combine(*old, item, level + 1);
                named_ = outer;
            } else if (level == 0 && old->kind == NodeKind::Array && item.kind == NodeKind::Array) {
                old->items.insert(old->items.end(), item.items.begin(), item.items.end());
            } else {
                messages_.error(item.key_where, "cannot read " + item.path + ": already set at " +
                                                    place_name(old->key_where) +
                                                    " (remove one of the two)");
            }
        }
    }

    FileSource& source_;
    Messages& messages_;
    Sources& sources_;
    Node tree_;
    bool named_ = false;
    std::vector<Open> chain_;
    std::set<std::string> done_;
};

} // namespace

Sources read_sources(const std::vector<std::string>& roots, FileSource& source,
                     Messages& messages) {
    Sources sources;
    for (const std::string& path : roots) {
        TreeBuilder builder(source, messages, sources);
        builder.add_file(path, Where{});
        merge(sources.root, builder.take());
    }
    return sources;
}

} // namespace keepwell::config
