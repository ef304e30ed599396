// Values of supervisord: %(…)s expressions and KEY="value" lists.
//
// What comes out is configuration text: ${NAME} in it is a variable for keepwell's loader, every
// other dollar is escaped.
#pragma once

#include "supervisor/import/source_text.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keepwell::importer {

// What %(name)s stands for. Numbers are formatted as the expression asks (%(process_num)02d).
class Expressions {
  public:
    void set(const std::string& name, std::string plain) { texts_[name] = std::move(plain); }
    void set(const std::string& name, std::uint64_t number) { numbers_[name] = number; }
    // A variable of the environment that the configuration itself sets; text as expand() gives it.
    void define(const std::string& variable, std::string expanded) {
        defined_["ENV_" + variable] = std::move(expanded);
    }
    // process_num becomes {instance}.
    void count_instances() { instances_ = true; }

    // Unknown expressions stay as they are and are noted as part of `what`.
    std::string expand(std::string_view raw, const Place&, const std::string& what, Notes&) const;

  private:
    // The text of one expression, nullopt when nobody knows it.
    std::optional<std::string> value(const std::string& name, std::string_view format) const;

    std::map<std::string, std::string> texts_, defined_;
    std::map<std::string, std::uint64_t> numbers_;
    bool instances_ = false;
};

// How a text uses %(process_num): with a width, or only as %(process_num)s and d.
enum class NumberUse { None, Plain, Padded };
NumberUse uses_process_num(std::string_view raw);

// A="1",B='2', C=3; what is none is noted.
using Pairs = std::vector<std::pair<std::string, std::string>>;
Pairs split_pairs(std::string_view text, const Place&, const std::string& what, Notes&);

std::optional<bool> truth(std::string_view word); // true, yes, on, 1 …

} // namespace keepwell::importer
