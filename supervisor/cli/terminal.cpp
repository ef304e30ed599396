#include "supervisor/cli/terminal.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

namespace keepwell::cli {

namespace {

// Alternate screen, no cursor, no wrapping at the right edge.
constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
constexpr char kLeave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

termios g_before{}; // read by a signal handler
constexpr std::array<int, 5> kCrashes = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};

void put(const char* text, std::size_t length) {
    while (length > 0) {
        const ssize_t n = write(STDOUT_FILENO, text, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            pollfd ready{STDOUT_FILENO, POLLOUT, 0};
            (void)poll(&ready, 1, 100);
            continue;
        }
        if (n <= 0) return;
        text += n;
        length -= static_cast<std::size_t>(n);
    }
}

void restore() {
    put(kLeave, sizeof kLeave - 1);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &g_before);
}

void on_crash(int signal) {
    restore();
    (void)std::signal(signal, SIG_DFL);
    (void)raise(signal);
}

sigset_t watched() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP}) sigaddset(&set, s);
    return set;
}

struct Sequence {
    const char* bytes;
    const char* name;
};
constexpr std::array<Sequence, 14> kSequences = {{{"\x1b[A", "up"},
                                                  {"\x1b[B", "down"},
                                                  {"\x1bOA", "up"},
                                                  {"\x1bOB", "down"},
                                                  {"\x1b[5~", "pageup"},
                                                  {"\x1b[6~", "pagedown"},
                                                  {"\x1b[H", "home"},
                                                  {"\x1b[F", "end"},
                                                  {"\x1bOH", "home"},
                                                  {"\x1bOF", "end"},
                                                  {"\x1b[1~", "home"},
                                                  {"\x1b[4~", "end"},
                                                  {"\x1b[C", "right"},
                                                  {"\x1b[D", "left"}}};

std::size_t character_length(unsigned char lead) {
    if (lead >= 0xF0) return 4;
    if (lead >= 0xE0) return 3;
    return lead >= 0xC0 ? 2 : 1;
}

// The first key of `text`, which loses its bytes.
std::string take_key(std::string& text) {
    for (const auto& sequence : kSequences) {
        const std::string bytes = sequence.bytes;
        if (!text.starts_with(bytes)) continue;
        text.erase(0, bytes.size());
        return sequence.name;
    }
    const char c = text[0];
    if (c == '\x1b' && text.size() > 1 && (text[1] == '[' || text[1] == 'O')) {
        const std::size_t end = text.find_first_of("ABCDEFGHPQRSZ~mhl", 2); // one we do not know
        text.erase(0, end == std::string::npos ? text.size() : end + 1);
        return "";
    }
    if (c == '\x1b' || c == '\r' || c == '\n' || c == '\x7f' || c == '\b') {
        text.erase(0, 1);
        return c == '\x1b' ? "escape" : c == '\r' || c == '\n' ? "enter" : "backspace";
    }
    const std::size_t length = character_length(static_cast<unsigned char>(c));
    std::string key = text.substr(0, length);
    text.erase(0, length);
    if (static_cast<unsigned char>(c) < 0x20) return "";
    return key;
}

} // namespace

bool Terminal::usable(const std::string& term, std::string* why) {
    if (isatty(STDOUT_FILENO) != 1 || isatty(STDIN_FILENO) != 1) {
        *why = "it needs a terminal (keepwell status prints the table once)";
        return false;
    }
    if (term.empty() || term == "dumb") {
        *why = "this terminal (TERM=" + term + ") cannot move its cursor; use keepwell status";
        return false;
    }
    return true;
}

Terminal::Terminal() {
    (void)tcgetattr(STDIN_FILENO, &g_before);
    const sigset_t set = watched();
    (void)sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    for (const int s : kCrashes) (void)std::signal(s, on_crash);
    enter();
}

Terminal::~Terminal() {
    restore();
    for (const int s : kCrashes) (void)std::signal(s, SIG_DFL);
    if (signals_ >= 0) close(signals_);
    const sigset_t set = watched();
    (void)sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

void Terminal::enter() {
    termios raw = g_before;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO); // Ctrl-C and Ctrl-Z stay signals
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    put(kEnter, sizeof kEnter - 1);
    shown_.clear();
}

int Terminal::key_fd() const { return STDIN_FILENO; }

std::vector<std::string> Terminal::keys() {
    std::string text;
    std::array<char, 256> buffer{};
    const ssize_t n = read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n > 0) text.assign(buffer.data(), static_cast<std::size_t>(n));
    if (n == 0 || (n < 0 && errno == EIO)) return {"gone"};
    std::vector<std::string> out;
    while (!text.empty()) {
        if (std::string key = take_key(text); !key.empty()) out.push_back(std::move(key));
    }
    return out;
}

Terminal::Event Terminal::signals() {
    signalfd_siginfo info{};
    Event event = Event::None;
    while (read(signals_, &info, sizeof info) == sizeof info) {
        const int signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGWINCH) {
            event = Event::Resized;
            put("\x1b[2J", 4);
            shown_.clear();
        } else if (signal == SIGTSTP) {
            restore();
            (void)raise(SIGSTOP);
            enter();
            event = Event::Resized;
        } else {
            return Event::Leave;
        }
    }
    return event;
}

TerminalSize Terminal::size() const {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return {};
    return {size.ws_col, size.ws_row};
}

void Terminal::draw(const std::vector<std::string>& lines) {
    std::string frame;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i < shown_.size() && shown_[i] == lines[i]) continue;
        frame += "\x1b[" + std::to_string(i + 1) + ";1H\x1b[2K" + lines[i] + "\x1b[0m";
    }
    if (shown_.size() > lines.size())
        frame += "\x1b[" + std::to_string(lines.size() + 1) + ";1H\x1b[J";
    put(frame.data(), frame.size());
    shown_ = lines;
}

} // namespace keepwell::cli
