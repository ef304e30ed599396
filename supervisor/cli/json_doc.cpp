#include "supervisor/cli/json_doc.h"

#include <nlohmann/json.hpp>

namespace keepwell::cli {

namespace {
using Node = nlohmann::ordered_json;
const Node* as_node(const void* p) { return static_cast<const Node*>(p); }
} // namespace

Result<Json> Json::parse(std::string_view text) {
    auto root = std::make_shared<Node>();
    try {
        *root = Node::parse(text);
    } catch (const std::exception& e) {
        return Error{std::string("cannot read JSON: ") + e.what()};
    }
    Json json;
    json.node_ = root.get();
    json.root_ = std::move(root);
    return json;
}

bool Json::is_null() const { return node_ == nullptr || as_node(node_)->is_null(); }
bool Json::is_object() const { return node_ != nullptr && as_node(node_)->is_object(); }
bool Json::is_array() const { return node_ != nullptr && as_node(node_)->is_array(); }

Json Json::operator[](std::string_view key) const {
    if (!is_object()) return {};
    const auto found = as_node(node_)->find(std::string(key));
    if (found == as_node(node_)->end()) return {};
    Json json = *this;
    json.node_ = &*found;
    return json;
}

std::vector<Json> Json::items() const {
    std::vector<Json> out;
    if (!is_array()) return out;
    for (const auto& item : *as_node(node_)) {
        Json json = *this;
        json.node_ = &item;
        out.push_back(json);
    }
    return out;
}

std::vector<std::string> Json::keys() const {
    std::vector<std::string> out;
    if (!is_object()) return out;
    for (const auto& [key, value] : as_node(node_)->items()) out.push_back(key);
    return out;
}

std::string Json::text(std::string_view fallback) const {
    if (node_ == nullptr || !as_node(node_)->is_string()) return std::string(fallback);
    return as_node(node_)->get_ref<const std::string&>();
}

std::optional<double> Json::number() const {
    if (node_ == nullptr || !as_node(node_)->is_number()) return std::nullopt;
    return as_node(node_)->get<double>();
}

std::int64_t Json::integer(std::int64_t fallback) const {
    if (node_ == nullptr || !as_node(node_)->is_number_integer()) return fallback;
    return as_node(node_)->get<std::int64_t>();
}

bool Json::boolean(bool fallback) const {
    if (node_ == nullptr || !as_node(node_)->is_boolean()) return fallback;
    return as_node(node_)->get<bool>();
}

std::string Json::dump(int indent) const {
    if (node_ == nullptr) return "null";
    return as_node(node_)->dump(indent, ' ', false, Node::error_handler_t::replace);
}

std::string json_quote(std::string_view text) {
    return Node(text).dump(-1, ' ', false, Node::error_handler_t::replace);
}

std::string json_quote(const std::vector<std::string>& texts) {
    return Node(texts).dump(-1, ' ', false, Node::error_handler_t::replace);
}

} // namespace keepwell::cli
