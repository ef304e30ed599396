// A configuration file as a small tree of own values, each of which knows where it stands and what
// it is called.
//
// Made by toml_tree.cpp, merged here, read by reader.h. A Node is a plain value: copying copies
// the whole subtree with its positions, so an error about a value that came from a template names
// the template's file, line and path. Positions share the file name.
#pragma once

#include "units/unit_spec.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::config {

struct Where {
    std::shared_ptr<const std::string> file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    SourcePosition position() const { return {file ? *file : std::string(), line, column}; }
};

enum class NodeKind { Boolean, Integer, Float, String, Array, Table, Time };

struct Node {
    NodeKind kind = NodeKind::Table;
    std::string key;  // within its table; empty in an array
    std::string path; // "unit.web.check.http.interval"
    Where key_where;  // where the key stands; the value's own place in an array
    Where where;      // where the value stands
    bool boolean = false;
    bool expanded = false; // text held a ${VAR}: numeric keys then accept it
    std::int64_t integer = 0;
    double number = 0;
    std::string text;        // String, and Time as written
    std::vector<Node> items; // Array, Table

    bool is_table() const { return kind == NodeKind::Table; }
    bool is_string() const { return kind == NodeKind::String; }
    const Node* find(std::string_view name) const;
    Node* find(std::string_view name);
    void erase(std::string_view name);
};

// "an integer", "a table" …: for messages.
std::string_view kind_name(NodeKind) noexcept;

// Puts `over` on top of `base`: tables merge key by key, everything else (arrays too) replaces.
// `x` in one removes `x_file` from the other, and `command` removes `shell`, both ways.
void merge(Node& base, const Node& over);

// Calls `visit` for every node with text below and including this one, in order.
void for_each_string(Node&, const std::function<void(Node&)>& visit);

// Renames the subtree: paths below start with the new path instead of the old one.
void rebase_path(Node&, const std::string& path);

} // namespace keepwell::config
