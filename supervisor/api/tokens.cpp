#include "supervisor/api/tokens.h"

#include "supervisor/config/file_source.h"
#include "supervisor/logs/fd.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keepwell::api {

namespace {

constexpr std::uint64_t kLargestFile = 256U << 10;
constexpr Duration kLookGap = std::chrono::seconds(1);
constexpr std::string_view kHash = "sha256:";
constexpr const char* kHead = "# The API's tokens: keepwell token add|list|revoke.\n";

Error failed(const std::string& what, const std::string& path, const std::string& advice = "") {
    const int code = errno;
    return Error{fmt::format("cannot {} {}: {}{} (supervisor.api.tokens_file)", what, path,
                             std::strerror(code), advice),
                 code};
}

std::optional<Digest> parse_digest(std::string_view text) {
    if (!text.starts_with(kHash)) return std::nullopt;
    text.remove_prefix(kHash.size());
    Digest digest{};
    if (text.size() != 2 * digest.size()) return std::nullopt;
    const auto value = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    for (std::size_t i = 0; i < digest.size(); ++i) {
        const int high = value(text[2 * i]), low = value(text[2 * i + 1]);
        if (high < 0 || low < 0) return std::nullopt;
        digest[i] = static_cast<unsigned char>(high * 16 + low);
    }
    return digest;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (true) {
        const auto begin = line.find_first_not_of(" \t\r");
        if (begin == std::string_view::npos) return words;
        line.remove_prefix(begin);
        const auto end = std::min(line.find_first_of(" \t\r"), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

std::optional<Token> parse_token(const std::vector<std::string_view>& words) {
    if (words.size() < 3 || words.size() > 4 || !is_token_name(words[0])) return std::nullopt;
    const auto digest = parse_digest(words[1]);
    const auto scopes = parse_scopes(words[2]);
    if (!digest || !scopes) return std::nullopt;
    return Token{std::string(words[0]), *digest, *scopes,
                 words.size() > 3 ? std::string(words[3]) : ""};
}

Status check_rights(const std::string& path, const struct stat& info) {
    if ((info.st_mode & 0077U) != 0)
        return Error{fmt::format("cannot use {}: others than its owner may open it; chmod 600 it "
                                 "(supervisor.api.tokens_file)",
                                 path),
                     EPERM};
    if (info.st_uid != 0 && info.st_uid != ::geteuid())
        return Error{fmt::format("cannot use {}: it belongs to uid {}; it must be keepwell's own "
                                 "or root's (supervisor.api.tokens_file)",
                                 path, info.st_uid),
                     EPERM};
    return Done{};
}

Status write_whole(const std::string& path, const std::string& text) {
    const std::string fresh = path + ".new";
    {
        const Fd fd(
            ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
        if (fd.get() < 0) return failed("write", fresh);
        if (::fchmod(fd.get(), 0600) < 0) return failed("write", fresh);
        for (std::string_view rest = text; !rest.empty();) {
            const ssize_t n = ::write(fd.get(), rest.data(), rest.size());
            if (n < 0) return failed("write", fresh);
            rest.remove_prefix(static_cast<std::size_t>(n));
        }
        if (::fsync(fd.get()) < 0) return failed("write", fresh);
    }
    if (::rename(fresh.c_str(), path.c_str()) < 0) return failed("write", path);
    return Done{};
}

} // namespace

Digest sha256(std::string_view text) {
    Digest digest{};
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
    return digest;
}

std::string hex(const Digest& digest) {
    std::string out;
    for (const unsigned char c : digest) out += fmt::format("{:02x}", c);
    return out;
}

std::string random_secret() {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    Digest bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1)
        throw std::runtime_error("cannot make a random secret: no entropy");
    std::string out;
    unsigned held = 0;
    int bits = 0;
    for (const unsigned char c : bytes) {
        held = held << 8 | c;
        for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[held >> (bits - 6) & 63U];
        held &= (1U << bits) - 1;
    }
    out += kAlphabet[held << (6 - bits) & 63U];
    return out;
}

bool is_token_name(std::string_view name) noexcept {
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    return !name.empty() && name.size() <= 63 && alphanumeric(name.front()) &&
           std::all_of(name.begin(), name.end(), [&](char c) {
               return alphanumeric(c) || c == '_' || c == '.' || c == '@' || c == '-';
           });
}

std::vector<Token> parse_tokens(std::string_view text, std::vector<std::string>& problems) {
    std::vector<Token> tokens;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto words = words_of(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (words.empty() || words[0].starts_with('#')) continue;
        if (auto token = parse_token(words))
            tokens.push_back(std::move(*token));
        else
            problems.push_back(fmt::format("line {} is no token", number));
    }
    return tokens;
}

std::string print_token(const Token& token) {
    std::string scopes;
    for (const auto& scope : token.scopes.names()) scopes += (scopes.empty() ? "" : ",") + scope;
    return fmt::format("{} {}{} {} {}", token.name, kHash, hex(token.digest), scopes,
                       token.created);
}

Result<std::vector<Token>> read_tokens(const std::string& path, std::vector<std::string>& problems,
                                       bool credential) {
    struct stat info {};
    if (::stat(path.c_str(), &info) < 0) {
        if (errno == ENOENT) return std::vector<Token>{};
        return failed("read", path);
    }
    if (!credential)
        if (const Status good = check_rights(path, info); !good) return good.error();
    const auto text = config::read_regular_file(path, kLargestFile);
    if (!text)
        return Error{text.error().message + " (supervisor.api.tokens_file)", text.error().code};
    std::vector<std::string> lines;
    auto tokens = parse_tokens(*text, lines);
    for (const auto& line : lines)
        problems.push_back(fmt::format("cannot use a token of {}: {}", path, line));
    return tokens;
}

Status change_tokens(const std::string& path,
                     const std::function<Status(std::vector<Token>&)>& change) {
    const std::string lock_path = path + ".lock";
    const Fd lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (lock.get() < 0) return failed("open", lock_path);
    if (::flock(lock.get(), LOCK_EX) < 0) return failed("lock", lock_path);
    std::vector<std::string> problems;
    auto tokens = read_tokens(path, problems);
    if (!tokens) return tokens.error();
    if (!problems.empty()) // writing would lose it
        return Error{problems.front() + "; correct or remove it", 0};
    if (const Status done = change(*tokens); !done) return done;
    std::string text = kHead;
    for (const auto& token : *tokens) text += print_token(token) + "\n";
    return write_whole(path, text);
}

std::string tokens_credential() {
    const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
    if (folder == nullptr || *folder != '/') return "";
    return std::string(folder) + "/keepwell.tokens";
}

TokenStore::TokenStore(std::string path, Report report) : report_(std::move(report)) {
    files_.push_back({std::move(path), false, {}, {}});
    if (const auto credential = tokens_credential(); !credential.empty())
        files_.push_back({credential, true, {}, {}});
}

void TokenStore::set_path(std::string path) {
    if (files_.front().path == path) return;
    files_.front() = File{std::move(path), false, {}, {}};
    looked_at_.reset();
}

void TokenStore::read(File& file) {
    std::vector<std::string> problems;
    auto tokens = read_tokens(file.path, problems, file.credential);
    if (!tokens) problems.push_back(tokens.error().message);
    file.tokens = tokens ? std::move(*tokens) : std::vector<Token>{};
    for (const auto& problem : problems) report_(problem);
}

void TokenStore::look(Instant now) {
    if (looked_at_ && now - *looked_at_ < kLookGap) return;
    looked_at_ = now;
    for (File& file : files_) {
        struct stat s {};
        std::array<std::int64_t, 5> identity{};
        if (::stat(file.path.c_str(), &s) == 0)
            identity = {static_cast<std::int64_t>(s.st_dev), static_cast<std::int64_t>(s.st_ino),
                        s.st_size, s.st_ctim.tv_sec * 1'000'000'000 + s.st_ctim.tv_nsec,
                        s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec};
        if (identity == file.identity) continue;
        file.identity = identity;
        read(file);
    }
}

const Token* TokenStore::find(std::string_view secret, Instant now) {
    return find(sha256(secret), now);
}

// One that is not known may have been made a moment ago. Wrong ones are few: they are counted.
const Token* TokenStore::find(const Digest& digest, Instant now) {
    look(now);
    if (const Token* found = search(digest)) return found;
    looked_at_.reset();
    look(now);
    return search(digest);
}

// Every token is looked at, whichever is right.
const Token* TokenStore::search(const Digest& digest) const {
    const Token* found = nullptr;
    for (const File& file : files_)
        for (const Token& token : file.tokens)
            if (CRYPTO_memcmp(token.digest.data(), digest.data(), digest.size()) == 0)
                found = &token;
    return found;
}

std::size_t TokenStore::count(Instant now) {
    look(now);
    std::size_t n = 0;
    for (const File& file : files_) n += file.tokens.size();
    return n;
}

} // namespace keepwell::api
