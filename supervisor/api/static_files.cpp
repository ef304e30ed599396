#include "supervisor/api/static_files.h"

#include "supervisor/api/query.h"
#include "supervisor/api/tokens.h"

#include <utility>

namespace keepwell::api {

namespace {

constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".ico", "image/x-icon"},
    {".json", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".woff2", "font/woff2"},
    {".txt", "text/plain; charset=utf-8"},
};

} // namespace

std::string content_type_of(std::string_view path) {
    for (const auto& [ending, type] : kTypes)
        if (path.ends_with(ending)) return std::string(type);
    return "application/octet-stream";
}

StaticFiles::StaticFiles(const std::vector<EmbeddedFile>& files) {
    for (const auto& file : files)
        files_["/" + std::string(file.path)] = {file, content_type_of(file.path),
                                                hex(sha256(file.plain)).substr(0, 24)};
    if (const auto index = files_.find("/index.html"); index != files_.end())
        files_["/"] = index->second;
}

std::optional<Reply> StaticFiles::find(const Request& request,
                                       const std::vector<std::string>& segments) const {
    std::string path;
    for (const auto& segment : segments) path += "/" + segment;
    const auto it = files_.find(path);
    if (it == files_.end()) return std::nullopt;
    const File& file = it->second;
    const bool pack = request.gzip && !file.embedded.packed.empty() &&
                      file.embedded.packed.size() < file.embedded.plain.size();
    const std::string etag = "\"" + file.etag + (pack ? "-gz\"" : "\"");
    Reply reply;
    reply.content_type = file.type;
    reply.headers = {{"ETag", etag}, {"Cache-Control", "no-cache"}, {"Vary", "Accept-Encoding"}};
    if (etag_matches(request.if_none_match, etag)) {
        reply.status = 304;
        reply.fixed_body = "";
        return reply;
    }
    reply.fixed_body = pack ? file.embedded.packed : file.embedded.plain;
    if (pack) reply.headers.emplace_back("Content-Encoding", "gzip");
    return reply;
}

} // namespace keepwell::api
