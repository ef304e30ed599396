#include "supervisor/config/tree.h"

#include <algorithm>

namespace keepwell::config {

const Node* Node::find(std::string_view name) const {
    if (kind != NodeKind::Table) return nullptr;
    const auto it = std::ranges::find(items, name, &Node::key);
    return it == items.end() ? nullptr : &*it;
}

Node* Node::find(std::string_view name) {
    return const_cast<Node*>(static_cast<const Node*>(this)->find(name));
}

void Node::erase(std::string_view name) {
    std::erase_if(items, [&](const Node& item) { return item.key == name; });
}

std::string_view kind_name(NodeKind kind) noexcept {
    switch (kind) {
    case NodeKind::Boolean: return "true or false";
    case NodeKind::Integer: return "an integer";
    case NodeKind::Float: return "a number";
    case NodeKind::String: return "a string";
    case NodeKind::Array: return "an array";
    case NodeKind::Table: return "a table";
    case NodeKind::Time: return "a date or time";
    }
    return "";
}

namespace {

// The other spelling of the same setting, which the newer one replaces.
void drop_alternatives(Node& base, const std::string& key) {
    constexpr std::string_view suffix = "_file";
    base.erase(key + std::string(suffix));
    if (key.ends_with(suffix)) base.erase(key.substr(0, key.size() - suffix.size()));
    if (key == "command") base.erase("shell");
    if (key == "shell") base.erase("command");
}

} // namespace

void merge(Node& base, const Node& over) {
    if (!base.is_table() || !over.is_table()) {
        base = over;
        return;
    }
    base.where = over.where;
    base.key_where = over.key_where;
    for (const Node& item : over.items) {
        if (!item.is_table() && base.key != "environment") drop_alternatives(base, item.key);
        if (Node* old = base.find(item.key)) {
            merge(*old, item);
        } else {
            base.items.push_back(item);
        }
    }
}

void for_each_string(Node& node, const std::function<void(Node&)>& visit) {
    if (node.is_string()) visit(node);
    for (Node& item : node.items) for_each_string(item, visit);
}

void rebase_path(Node& node, const std::string& path) {
    const std::size_t old = node.path.size();
    for (Node& item : node.items) rebase_path(item, path + item.path.substr(old));
    node.path = path;
}

} // namespace keepwell::config
