// StaticFiles: the panel's files, which are part of the program: index.html at "/", the others
// beside it. Nothing is looked up on the disk: a path is one of these or there is no such file.
//
// Answers share the program's own bytes, packed where the client takes gzip, with a strong ETag of
// the content. Immutable.
#pragma once

#include "supervisor/api/http_types.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

struct EmbeddedFile {
    std::string_view path; // "index.html"
    std::string_view plain, packed;
};
std::vector<EmbeddedFile> embedded_panel(); // of contrib/panel, see panel.cmake

class StaticFiles {
  public:
    explicit StaticFiles(const std::vector<EmbeddedFile>&);
    // `segments`: of the decoded path.
    std::optional<Reply> find(const Request&, const std::vector<std::string>& segments) const;
    std::size_t size() const { return files_.size(); }

  private:
    struct File {
        EmbeddedFile embedded;
        std::string type, etag;
    };
    std::map<std::string, File, std::less<>> files_;
};

std::string content_type_of(std::string_view path);

} // namespace keepwell::api
