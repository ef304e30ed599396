// The load itself, from any source of text: load_configuration and load_last_good both end here.
#pragma once

#include "supervisor/config/config.h"
#include "supervisor/config/file_source.h"

namespace keepwell::config {

LoadResult load_from(const std::vector<std::string>& roots, FileSource&, const LoadOptions&);

} // namespace keepwell::config
