// Bytes as the files of /proc that are read: figures in range whatever stands there.
#include "watchers/host_sampler.h"
#include "watchers/procfs.h"

#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto stat = keepwell::parse_stat(text);
    if (stat && stat->name.size() > size) std::abort();
    (void)keepwell::parse_cpu(text);
    keepwell::HostMetrics metrics;
    keepwell::parse_load(text, metrics);
    keepwell::parse_memory(text, metrics);
    keepwell::parse_network(text, metrics);
    return 0;
}
