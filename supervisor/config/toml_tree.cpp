#include "supervisor/config/toml_tree.h"

#include <algorithm>
#include <sstream>
#include <toml++/toml.h>

namespace keepwell::config {
namespace {

using File = std::shared_ptr<const std::string>;

Where where_of(const toml::source_region& region, const File& file) {
    return {file, static_cast<std::uint32_t>(region.begin.line),
            static_cast<std::uint32_t>(region.begin.column)};
}

std::string quoted_if_needed(std::string_view key) {
    return key.find('.') == std::string_view::npos ? std::string(key)
                                                   : "\"" + std::string(key) + "\"";
}

template <class T>
std::string as_text(const T& value) {
    std::ostringstream out;
    out << value;
    return out.str();
}

Node convert(const toml::node& from, const File& file, const std::string& path);

void convert_table(const toml::table& table, const File& file, Node& to) {
    to.kind = NodeKind::Table;
    to.items.reserve(table.size());
    for (auto&& [key, value] : table) {
        const std::string name = quoted_if_needed(key.str());
        Node item = convert(value, file, to.path.empty() ? name : to.path + "." + name);
        item.key = key.str();
        item.key_where = where_of(key.source(), file);
        to.items.push_back(std::move(item));
    }
    // The library keeps tables sorted by name; people think in the order they wrote.
    std::ranges::stable_sort(to.items, [](const Node& a, const Node& b) {
        return std::pair(a.key_where.line, a.key_where.column) <
               std::pair(b.key_where.line, b.key_where.column);
    });
}

void convert_array(const toml::array& array, const File& file, Node& to) {
    to.kind = NodeKind::Array;
    to.items.reserve(array.size());
    for (const toml::node& element : array) {
        Node item = convert(element, file, to.path + "[" + std::to_string(to.items.size()) + "]");
        item.key_where = item.where;
        to.items.push_back(std::move(item));
    }
}

Node convert(const toml::node& from, const File& file, const std::string& path) {
    Node to;
    to.path = path;
    to.where = where_of(from.source(), file);
    switch (from.type()) {
    case toml::node_type::none: break;
    case toml::node_type::table: convert_table(*from.as_table(), file, to); break;
    case toml::node_type::array: convert_array(*from.as_array(), file, to); break;
    case toml::node_type::string:
        to.kind = NodeKind::String;
        to.text = from.as_string()->get();
        break;
    case toml::node_type::integer:
        to.kind = NodeKind::Integer;
        to.integer = from.as_integer()->get();
        break;
    case toml::node_type::floating_point:
        to.kind = NodeKind::Float;
        to.number = from.as_floating_point()->get();
        break;
    case toml::node_type::boolean:
        to.kind = NodeKind::Boolean;
        to.boolean = from.as_boolean()->get();
        break;
    case toml::node_type::date:
        to.kind = NodeKind::Time;
        to.text = as_text(from.as_date()->get());
        break;
    case toml::node_type::time:
        to.kind = NodeKind::Time;
        to.text = as_text(from.as_time()->get());
        break;
    case toml::node_type::date_time:
        to.kind = NodeKind::Time;
        to.text = as_text(from.as_date_time()->get());
        break;
    }
    return to;
}

// Tables are destroyed and converted recursively, and the library bounds only the depth of values,
// not the number of parts of a dotted key.
bool has_endless_key(std::string_view text) {
    constexpr int kMaxParts = 1000;
    int dots = 0;
    for (const char c : text) {
        if (c == '.') {
            if (++dots > kMaxParts) return true;
        } else if (c == '\n' || c == '=' || c == ',' || c == '[' || c == '{' || c == '#') {
            dots = 0;
        }
    }
    return false;
}

} // namespace

std::optional<Node> parse_toml(const std::string& text, const std::string& file,
                               Messages& messages) {
    const auto name = std::make_shared<const std::string>(file);
    if (has_endless_key(text)) {
        messages.error(Where{name, 0, 0}, "cannot read the file: a line has more than 1000 dots "
                                          "(split it)");
        return std::nullopt;
    }
    try {
        const toml::table table = toml::parse(std::string_view(text), std::string_view(file));
        Node root = convert(table, name, "");
        root.where = root.key_where = Where{name, 0, 0};
        return root;
    } catch (const toml::parse_error& e) {
        messages.error(where_of(e.source(), name),
                       "cannot read TOML: " + std::string(e.description()));
    } catch (const std::exception& e) {
        messages.error(Where{name, 0, 0}, std::string("cannot read TOML: ") + e.what());
    }
    return std::nullopt;
}

} // namespace keepwell::config
