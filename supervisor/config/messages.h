// The errors and warnings of one load, collected and never thrown.
//
// Each is said once (a template used by ten units complains once) and take() gives them in the
// order of the files, lines and columns.
#pragma once

#include "supervisor/config/config.h"
#include "supervisor/config/tree.h"

#include <set>
#include <string>
#include <vector>

namespace keepwell::config {

class Messages {
  public:
    void error(const Where& where, std::string text) { add(errors_, where, std::move(text)); }
    void warning(const Where& where, std::string text) { add(warnings_, where, std::move(text)); }
    std::size_t error_count() const { return errors_.size(); }

    // Files in the order they were read decide the order of their messages.
    std::vector<ConfigMessage> take_errors(const std::vector<std::string>& files);
    std::vector<ConfigMessage> take_warnings(const std::vector<std::string>& files);

  private:
    void add(std::vector<ConfigMessage>& to, const Where& where, std::string text);
    std::vector<ConfigMessage> errors_;
    std::vector<ConfigMessage> warnings_;
    std::set<std::string> seen_;
};

} // namespace keepwell::config
