// TlsSession: TLS as a client over one non-blocking socket that it does not own (OpenSSL).
//
// Nothing blocks but reading a CA file: a session is made from a context that is kept for a minute.
// The certificate is verified against the host's name or address unless told otherwise.
#pragma once

#include "units/time.h"

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

struct ssl_ctx_st;
struct ssl_st;

namespace keepwell {

struct TlsResult {
    enum class Kind { Done, WantRead, WantWrite, Closed, Failed };
    Kind kind = Kind::Failed;
    std::size_t bytes = 0; // of send() and receive()
    std::string error;     // "TLS: self-signed certificate"
};

class TlsContexts {
  public:
    using Context = std::shared_ptr<ssl_ctx_st>;
    // nullptr when the CA file cannot be used. Certificates that were renewed count within a
    // minute.
    Context get(bool verify, const std::string& ca_file, Instant now);

  private:
    struct Kept {
        Context context;
        Instant made{};
    };
    std::map<std::pair<bool, std::string>, Kept> kept_;
};

class TlsSession {
  public:
    TlsSession(TlsContexts::Context, int fd, const std::string& host, bool verify);
    TlsResult handshake();
    TlsResult send(const char* data, std::size_t size);
    TlsResult receive(char* data, std::size_t size);
    std::optional<WallTime> cert_expires_at() const; // after the handshake

  private:
    TlsResult result(int code) const;
    struct Closer {
        void operator()(ssl_st*) const noexcept;
    };
    TlsContexts::Context context_;
    std::unique_ptr<ssl_st, Closer> ssl_;
};

} // namespace keepwell
