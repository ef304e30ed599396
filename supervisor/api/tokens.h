// Tokens: who may do what over TCP. The file has one line a token:
//
//     NAME sha256:HEX SCOPE,SCOPE CREATED
//
// The token itself is 256 random bits and stands nowhere; whoever presents it is compared in
// constant time. A file that others than its owner may read is refused whole. Blocks on the disk;
// small and seldom.
#pragma once

#include "supervisor/api/scopes.h"
#include "units/result.h"
#include "units/time.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepwell::api {

using Digest = std::array<unsigned char, 32>;
Digest sha256(std::string_view);
std::string hex(const Digest&);
// 256 random bits in 43 characters of A-Z a-z 0-9 - _.
std::string random_secret();

struct Token {
    std::string name;
    Digest digest{};
    Scopes scopes;
    std::string created; // RFC 3339
};

// 1 to 63 characters of A-Z a-z 0-9 _ . @ -, beginning with a letter or digit.
bool is_token_name(std::string_view) noexcept;

// `problems` gets a line for each line that is no token; those are left out.
std::vector<Token> parse_tokens(std::string_view text, std::vector<std::string>& problems);
std::string print_token(const Token&); // its line, without the newline

// A file that is not there has no tokens. `credential`: systemd looks after its rights.
Result<std::vector<Token>> read_tokens(const std::string& path, std::vector<std::string>& problems,
                                       bool credential = false);

// Changes the file under a lock: what `change` gives becomes the file, whole or not at all, 0600.
Status change_tokens(const std::string& path,
                     const std::function<Status(std::vector<Token>&)>& change);

// $CREDENTIALS_DIRECTORY/keepwell.tokens; empty when there is no such folder.
std::string tokens_credential();

// The tokens of the running supervisor, read again when a file is another one than before. It is
// looked at most once a second, at once for a token that is not known, and only when somebody
// presents one.
class TokenStore {
  public:
    using Report = std::function<void(const std::string&)>;
    TokenStore(std::string path, Report report);
    void set_path(std::string path); // read at the next look

    // nullptr: no such token. Valid until the next call.
    const Token* find(std::string_view secret, Instant now);
    const Token* find(const Digest&, Instant now);
    std::size_t count(Instant now);

  private:
    struct File {
        std::string path;
        bool credential = false;
        std::array<std::int64_t, 5> identity{}; // device, inode, size, change and write time
        std::vector<Token> tokens;
    };
    void look(Instant now);
    const Token* search(const Digest&) const;
    void read(File&);

    std::vector<File> files_;
    Report report_;
    std::optional<Instant> looked_at_;
};

} // namespace keepwell::api
