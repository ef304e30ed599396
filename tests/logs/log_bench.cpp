// How fast one writer's output gets into rotated files. Not a test: prints MB/s.
#include "tests/logs/log_support.h"

#include <iostream>

namespace {

using namespace keepwell;
using namespace keepwell::test;

double megabytes_per_second(std::size_t write_size, std::size_t total) {
    const TempDir dir;
    Bench bench(dir.path());
    Pipe pipe;
    bench.start();
    LogSpec spec;
    spec.max_size = 16U << 20;
    spec.keep = 4;
    bench.add("bench", pipe, spec);
    std::string text(write_size, 'x');
    for (std::size_t i = 99; i < text.size(); i += 100) text[i] = '\n';
    text.back() = '\n';

    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t sent = 0; sent < total; sent += write_size) {
        write_all(pipe.write.get(), text);
    }
    pipe.write.reset();
    bench.wait_for_eof("bench");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(total) / 1e6 / took.count();
}

} // namespace

int main() {
    std::cout << "500 MB in 64 KiB writes: " << megabytes_per_second(64U << 10, 500'000'000)
              << " MB/s\n"
              << "100 MB in 100-byte writes: " << megabytes_per_second(100, 100'000'000)
              << " MB/s\n";
}
