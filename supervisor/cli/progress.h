// Progress: the units of an action as they come along.
//
// On a terminal every unit has a line that is rewritten in place; with more units than the screen
// has rows, and in a pipe, each unit gets one line when it is done. Call show() with every new
// state and last with the finished action.
#pragma once

#include "supervisor/cli/json_doc.h"
#include "supervisor/cli/text.h"

#include <ostream>
#include <set>
#include <string>

namespace keepwell::cli {

class Progress {
  public:
    Progress(std::ostream& out, Style style) : out_(out), style_(style) {}
    void show(const Json& action); // GET /api/actions/<id>

  private:
    void rewrite(const Json& action);
    std::string line(const Json& unit, int name_width, bool cut) const;

    std::ostream& out_;
    Style style_;
    int drawn_ = 0;              // lines to go back
    std::string last_;           // what stands there
    std::set<std::string> done_; // units that have their final line
};

} // namespace keepwell::cli
