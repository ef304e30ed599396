// All files of a load as one tree: several -c files, each with its includes.
//
// Within one -c file and its includes a name (unit, template, policy, notify) stands once, and a
// key of the shared tables once; a later -c file is merged over the earlier ones. ${VAR} is
// already expanded. A file that cannot be read or parsed is reported and left out, and `incomplete`
// says that names may be missing for that reason alone.
#pragma once

#include "supervisor/config/file_source.h"
#include "supervisor/config/messages.h"
#include "supervisor/config/tree.h"

#include <string>
#include <vector>

namespace keepwell::config {

struct Sources {
    Node root;
    std::vector<std::string> files; // in the order they were read
    std::vector<std::string> texts; // what they held
    bool incomplete = false;
};

Sources read_sources(const std::vector<std::string>& roots, FileSource&, Messages&);

} // namespace keepwell::config
