// What servers that are checked choose freely: DNS answers and health pages. Checks that texts stay
// bounded and that a report is one clean line.
#include "supervisor/net/dns_answer.h"
#include "watchers/health_page.h"

#include <algorithm>
#include <string>

using namespace keepwell;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    for (const DnsRecord record : {DnsRecord::A, DnsRecord::Aaaa, DnsRecord::Cname, DnsRecord::Mx,
                                   DnsRecord::Txt, DnsRecord::Srv, DnsRecord::Ns, DnsRecord::Ptr})
        if (dns_answers(data, size, record).size() > 64) __builtin_trap();
    const Reported page = reported_of({reinterpret_cast<const char*>(data), size});
    if (page.json.size() > kLongestReport) __builtin_trap();
    if (!page.json.empty() && (page.json.front() != '{' || page.json.back() != '}'))
        __builtin_trap();
    if (std::ranges::any_of(page.json, [](unsigned char c) { return c < 0x20; })) __builtin_trap();
    if (page.uptime_s && !(*page.uptime_s >= 0)) __builtin_trap();
    return 0;
}
