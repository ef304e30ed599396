#include "supervisor/net/tls_session.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <ctime>
#include <new>
#include <system_error>

namespace keepwell {

namespace {

using namespace std::chrono_literals;

constexpr Duration kKept = 60s; // as for http

bool is_address(const std::string& host) noexcept {
    in6_addr buffer{};
    return inet_pton(AF_INET, host.c_str(), &buffer) == 1 ||
           inet_pton(AF_INET6, host.c_str(), &buffer) == 1;
}

std::string last_error(int os_error) {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    if (reason != nullptr) return reason;
    if (os_error != 0) return std::generic_category().message(os_error);
    return "the connection was closed";
}

} // namespace

TlsContexts::Context TlsContexts::get(bool verify, const std::string& ca_file, Instant now) {
    Kept& kept = kept_[{verify, ca_file}];
    if (kept.context && now - kept.made < kKept) return kept.context;
    kept.context.reset(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
    if (!kept.context) throw std::bad_alloc();
    kept.made = now;
    SSL_CTX_set_mode(kept.context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(kept.context.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    const bool loaded =
        !verify ||
        (ca_file.empty() ? SSL_CTX_set_default_verify_paths(kept.context.get()) == 1
                         : SSL_CTX_load_verify_file(kept.context.get(), ca_file.c_str()) == 1);
    ERR_clear_error();
    if (!loaded) kept.context.reset();
    return kept.context;
}

void TlsSession::Closer::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

TlsSession::TlsSession(TlsContexts::Context context, int fd, const std::string& host, bool verify)
    : context_(std::move(context)), ssl_(SSL_new(context_.get())) {
    if (!ssl_ || SSL_set_fd(ssl_.get(), fd) != 1) throw std::bad_alloc();
    SSL_set_connect_state(ssl_.get());
    const bool address = is_address(host);
    if (!address) SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
    if (!verify) return;
    if (address)
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str());
    else
        SSL_set1_host(ssl_.get(), host.c_str());
}

TlsResult TlsSession::result(int code) const {
    const int os_error = errno;
    using Kind = TlsResult::Kind;
    switch (SSL_get_error(ssl_.get(), code)) {
    case SSL_ERROR_WANT_READ: return {Kind::WantRead, 0, {}};
    case SSL_ERROR_WANT_WRITE: return {Kind::WantWrite, 0, {}};
    case SSL_ERROR_ZERO_RETURN: return {Kind::Closed, 0, {}};
    default: break;
    }
    TlsResult failed{Kind::Failed, 0, "TLS: "};
    const long verdict = SSL_get_verify_result(ssl_.get());
    const bool verifies = (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0;
    if (verifies && verdict != X509_V_OK)
        failed.error += X509_verify_cert_error_string(verdict);
    else
        failed.error += last_error(os_error);
    ERR_clear_error();
    return failed;
}

TlsResult TlsSession::handshake() {
    ERR_clear_error();
    const int code = SSL_do_handshake(ssl_.get());
    if (code == 1) return {TlsResult::Kind::Done, 0, {}};
    return result(code);
}

TlsResult TlsSession::send(const char* data, std::size_t size) {
    ERR_clear_error();
    std::size_t done = 0;
    const int code = SSL_write_ex(ssl_.get(), data, size, &done);
    if (code == 1) return {TlsResult::Kind::Done, done, {}};
    return result(code);
}

TlsResult TlsSession::receive(char* data, std::size_t size) {
    ERR_clear_error();
    std::size_t done = 0;
    const int code = SSL_read_ex(ssl_.get(), data, size, &done);
    if (code == 1) return {TlsResult::Kind::Done, done, {}};
    return result(code);
}

std::optional<WallTime> TlsSession::cert_expires_at() const {
    const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return std::nullopt;
    std::tm end{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) != 1) return std::nullopt;
    return WallTime{std::int64_t{timegm(&end)} * 1000};
}

} // namespace keepwell
