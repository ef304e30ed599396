#include "supervisor/net/dns_answer.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>

#include <array>
#include <memory>
#include <optional>

namespace keepwell {

namespace {

constexpr std::size_t kMost = 64; // records

struct AresFree {
    void operator()(char* text) const noexcept { ares_free_string(text); }
};

class Frame { // a place in the message; every step says whether it was inside
  public:
    Frame(const unsigned char* message, std::size_t size) : message_(message), size_(size) {}

    std::optional<unsigned> number(std::size_t bytes) {
        if (left() < bytes) return std::nullopt;
        unsigned value = 0;
        for (; bytes > 0; --bytes) value = value << 8U | message_[at_++];
        return value;
    }
    std::optional<std::string> name() { // without the last dot
        char* raw = nullptr;
        long used = 0;
        const int status =
            ares_expand_name(message_ + at_, message_, static_cast<int>(size_), &raw, &used);
        if (status != ARES_SUCCESS) return std::nullopt;
        const std::unique_ptr<char, AresFree> text(raw);
        return skip(static_cast<std::size_t>(used)) ? std::optional<std::string>(text.get())
                                                    : std::nullopt;
    }
    std::optional<std::string> bytes(std::size_t n) {
        if (left() < n) return std::nullopt;
        at_ += n;
        return std::string(reinterpret_cast<const char*>(message_) + at_ - n, n);
    }
    bool skip(std::size_t n) {
        if (left() < n) return false;
        at_ += n;
        return true;
    }
    std::size_t left() const { return size_ - at_; }
    std::size_t at() const { return at_; }

  private:
    const unsigned char* message_;
    std::size_t size_;
    std::size_t at_ = 0;
};

std::optional<std::string> address(Frame& at, int family, std::size_t size) {
    const auto raw = at.bytes(size);
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (!raw || inet_ntop(family, raw->data(), text.data(), text.size()) == nullptr)
        return std::nullopt;
    return text.data();
}

std::optional<std::string> numbered_name(Frame& at, int numbers) {
    std::string text;
    for (; numbers > 0; --numbers) {
        const auto n = at.number(2);
        if (!n) return std::nullopt;
        text += std::to_string(*n) + ' ';
    }
    const auto name = at.name();
    if (!name) return std::nullopt;
    return text + *name;
}

std::optional<std::string> strings(Frame& at, std::size_t length) {
    std::string text;
    while (length > 0) {
        const auto n = at.number(1);
        if (!n || *n + 1 > length) return std::nullopt;
        const auto part = at.bytes(*n);
        if (!part) return std::nullopt;
        text += *part;
        length -= *n + 1;
    }
    return text;
}

std::optional<std::string> value(Frame& at, DnsRecord record, std::size_t length) {
    switch (record) {
    case DnsRecord::A: return address(at, AF_INET, 4);
    case DnsRecord::Aaaa: return address(at, AF_INET6, 16);
    case DnsRecord::Cname:
    case DnsRecord::Ns:
    case DnsRecord::Ptr: return at.name();
    case DnsRecord::Mx: return numbered_name(at, 1);
    case DnsRecord::Srv: return numbered_name(at, 3);
    case DnsRecord::Txt: return strings(at, length);
    }
    return std::nullopt;
}

} // namespace

int dns_type(DnsRecord record) noexcept {
    switch (record) {
    case DnsRecord::A: return ns_t_a;
    case DnsRecord::Aaaa: return ns_t_aaaa;
    case DnsRecord::Cname: return ns_t_cname;
    case DnsRecord::Mx: return ns_t_mx;
    case DnsRecord::Txt: return ns_t_txt;
    case DnsRecord::Srv: return ns_t_srv;
    case DnsRecord::Ns: return ns_t_ns;
    case DnsRecord::Ptr: return ns_t_ptr;
    }
    return ns_t_a;
}

std::vector<std::string> dns_answers(const unsigned char* message, std::size_t size,
                                     DnsRecord record) {
    std::vector<std::string> found;
    Frame at(message, size);
    if (!at.skip(4)) return found; // id and flags
    const auto questions = at.number(2);
    const auto answers = at.number(2);
    if (!questions || !answers || !at.skip(4)) return found;
    for (unsigned i = 0; i < *questions; ++i)
        if (!at.name() || !at.skip(4)) return found;
    for (unsigned i = 0; i < *answers && found.size() < kMost; ++i) {
        if (!at.name()) return found;
        const auto type = at.number(2);
        if (!type || !at.skip(6)) return found; // class, time to live
        const auto length = at.number(2);
        if (!length || at.left() < *length) return found;
        const std::size_t end = at.at() + *length;
        if (static_cast<int>(*type) == dns_type(record)) {
            auto text = value(at, record, *length);
            if (!text || at.at() > end) return found;
            found.push_back(std::move(*text));
        }
        if (!at.skip(end - at.at())) return found;
    }
    return found;
}

std::string reverse_name(const std::string& name) {
    std::array<unsigned char, sizeof(in6_addr)> bytes{};
    if (inet_pton(AF_INET, name.c_str(), bytes.data()) == 1) {
        std::string text;
        for (std::size_t i = 4; i-- > 0;) text += std::to_string(bytes.at(i)) + '.';
        return text + "in-addr.arpa";
    }
    if (inet_pton(AF_INET6, name.c_str(), bytes.data()) != 1) return name;
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text;
    for (std::size_t i = bytes.size(); i-- > 0;) {
        text += kHex[bytes.at(i) & 15U];
        text += '.';
        text += kHex[bytes.at(i) >> 4U];
        text += '.';
    }
    return text + "ip6.arpa";
}

} // namespace keepwell
