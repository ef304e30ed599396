// Unix users by name, looked up once for each load.
//
// "name", "name:group", or numbers in either place. Messages end a sentence: `no user named "wwww"
// (…)`. Lookups go through NSS and may block.
#pragma once

#include "units/result.h"
#include "units/unit_spec.h"

#include <map>
#include <string>

namespace keepwell::config {

class UserTable {
  public:
    Result<UserSpec> find(const std::string& spec);
    // The user keepwell itself runs as.
    const UserSpec& own();

  private:
    std::map<std::string, Result<UserSpec>> found_;
    std::optional<UserSpec> own_;
};

} // namespace keepwell::config
