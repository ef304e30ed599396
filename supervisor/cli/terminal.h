// Terminal: the screen for a live view: alternate screen, keys one by one, and all of it restored
// on every way out (destructor, SIGINT, SIGTERM, SIGHUP, Ctrl-Z, a crash of this program).
//
// One at a time. Signals come as events from read(), never as interruptions.
#pragma once

#include "units/result.h"

#include <string>
#include <vector>

namespace keepwell::cli {

struct TerminalSize {
    int width = 80;
    int height = 24;
};

class Terminal {
  public:
    static bool usable(const std::string& term,
                       std::string* why); // is this one a live view can use
    Terminal();
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    int key_fd() const;
    int signal_fd() const { return signals_; }
    // Names of the keys that were pressed: "a", "up", "enter", "escape" …; "gone" for a terminal
    // that was closed.
    std::vector<std::string> keys();
    enum class Event { None, Resized, Leave };
    Event signals(); // Ctrl-Z is done here: it returns when the program is in front again
    TerminalSize size() const;
    void draw(const std::vector<std::string>& lines); // only what is new is written

  private:
    void enter();
    int signals_ = -1;
    std::vector<std::string> shown_;
};

} // namespace keepwell::cli
