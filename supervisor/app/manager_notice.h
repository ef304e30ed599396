// ManagerNotice: what the service manager (systemd) is told of us, as sd_notify lines through the
// keeper, which is the process that it knows.
//
// ready() once the units are reconciled and the API answers; changed() brings a STATUS line like
// "7 units: 3 healthy, 1 down" when that text is another one, at most once a second; reloading()
// … ready() round a reload. Nothing is made or sent while `wanted` says that nobody listens.
#pragma once

#include "supervisor/engine/engine.h"
#include "supervisor/uv/loop.h"

#include <functional>
#include <string>

namespace keepwell {

class ManagerNotice {
  public:
    struct Ports {
        uv::Loop& loop;
        const Clock& clock;
        const Engine& engine;
        std::function<bool()> wanted;
        std::function<void(const std::string&)> send;
    };
    explicit ManagerNotice(Ports);
    void ready();
    void reloading();
    void stopping();
    void changed();

  private:
    void say_status();

    Ports p_;
    uv::Timer gap_;
    bool waiting_ = false, ready_ = false, stopping_ = false;
    std::string last_;
};

std::string units_line(const Engine&); // "7 units: 3 healthy, 1 degraded, 2 down, 1 waiting"

} // namespace keepwell
