#include "supervisor/api/tls_files.h"

#include "supervisor/config/file_source.h"

#include <fmt/format.h>
#include <memory>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace keepwell::api {

namespace {

constexpr std::uint64_t kLargest = 1U << 20;

template <auto F>
struct Freer {
    template <class T>
    void operator()(T* p) const noexcept {
        F(p);
    }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

Bio memory(const std::string& pem) {
    return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// A key with a passphrase must not ask for it on a terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

Error failed(const std::string& what, const char* key) {
    ERR_clear_error();
    return Error{fmt::format("{} (supervisor.api.tls.{})", what, key), 0};
}

// Of those behind the first, which the library would refuse; and it forgets its memory then.
bool damaged_chain(BIO* behind_first) {
    while (Certificate(PEM_read_bio_X509(behind_first, nullptr, no_passphrase, nullptr))) {
    }
    const unsigned long why = ERR_peek_last_error();
    ERR_clear_error();
    return ERR_GET_LIB(why) != ERR_LIB_PEM || ERR_GET_REASON(why) != PEM_R_NO_START_LINE;
}

} // namespace

Result<TlsIdentity> read_tls(const ApiTlsSpec& spec) {
    auto certificate = config::read_regular_file(spec.cert, kLargest);
    if (!certificate) return failed(certificate.error().message, "cert");
    auto key = config::read_regular_file(spec.key, kLargest);
    if (!key) return failed(key.error().message, "key");
    const Bio certificate_bio = memory(*certificate), key_bio = memory(*key);
    const Certificate x509(
        PEM_read_bio_X509(certificate_bio.get(), nullptr, no_passphrase, nullptr));
    if (!x509)
        return failed(fmt::format("cannot use {}: it holds no PEM certificate", spec.cert), "cert");
    if (damaged_chain(certificate_bio.get()))
        return failed(fmt::format("cannot use {}: a certificate of its chain is damaged; write the "
                                  "whole file anew",
                                  spec.cert),
                      "cert");
    const Key secret(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_passphrase, nullptr));
    if (!secret)
        return failed(fmt::format("cannot use {}: it holds no PEM private key, or one with a "
                                  "passphrase; write it without one",
                                  spec.key),
                      "key");
    if (X509_check_private_key(x509.get(), secret.get()) != 1)
        return failed(fmt::format("cannot use {}: it is not the key of {}", spec.key, spec.cert),
                      "key");
    return TlsIdentity{std::move(*certificate), std::move(*key)};
}

} // namespace keepwell::api
