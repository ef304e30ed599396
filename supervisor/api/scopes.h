// Scopes: what a caller may do, and the words for it in tokens and configuration.
//
// Plain values. `Open` is had by everybody and no word of a token; control implies heartbeat.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

// What a caller must be allowed for a route. The unix socket's rights allow everything.
enum class Scope { Open, Read, Logs, Metrics, Control, Heartbeat };

std::string_view to_string(Scope) noexcept;                  // "read"
std::optional<Scope> parse_scope(std::string_view) noexcept; // of a token: never Open

class Scopes {
  public:
    Scopes() = default;
    Scopes(std::initializer_list<Scope> list) {
        for (const Scope s : list) add(s);
    }
    static Scopes all();
    void add(Scope s) { bits_ |= bit(s); }
    void add(Scopes other) { bits_ |= other.bits_; }
    bool has(Scope s) const {
        if (s == Scope::Open) return true;
        if (s == Scope::Heartbeat && (bits_ & bit(Scope::Control)) != 0) return true;
        return (bits_ & bit(s)) != 0;
    }
    bool empty() const { return bits_ == 0; }
    std::vector<std::string> names() const; // in the order of the enum
    bool operator==(const Scopes&) const = default;

  private:
    static unsigned bit(Scope s) { return 1U << static_cast<unsigned>(s); }
    unsigned bits_ = 0;
};

// "read,control"; nullopt when empty or when one is no scope.
std::optional<Scopes> parse_scopes(std::string_view text);

} // namespace keepwell::api
