#include "supervisor/cli/context.h"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <sys/ioctl.h>
#include <unistd.h>

namespace {

using keepwell::cli::Style;

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

bool speaks_utf8() {
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
        const std::string value = variable(name);
        if (value.empty()) continue;
        return value.find("UTF-8") != std::string::npos || value.find("utf8") != std::string::npos;
    }
    return true;
}

Style output_style() {
    Style style;
    const std::string term = variable("TERM");
    style.terminal = isatty(STDOUT_FILENO) == 1;
    style.colour = style.terminal && variable("NO_COLOR").empty() && term != "dumb";
    style.utf8 = speaks_utf8();
    winsize size{};
    if (style.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        style.width = size.ws_col;
        style.height = size.ws_row;
    }
    return style;
}

std::int64_t now_ms() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

} // namespace

int main(int argc, char** argv) {
    keepwell::cli::Io io{std::cout, std::cerr, output_style(), variable, now_ms};
    return keepwell::cli::run_cli(argc, argv, io);
}
