// Session: one connection to a bus, with its matches and the manager's Subscribe done.
//
// open() blocks (a bus daemon that hangs, a manager that does not answer) and is for a thread of
// the pool; it ends within a few seconds, sooner once `cancelled` is set. (A daemon that hangs just
// after it greeted holds the thread for the library's own 25 seconds.) Afterwards the session
// belongs to the loop's thread. The destructor never blocks, but must not run inside a callback of
// the bus library.
#pragma once

#include "units/result.h"

#include <sdbus-c++/IConnection.h>
#include <sdbus-c++/IProxy.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace keepwell::systemd {

inline constexpr const char* kService = "org.freedesktop.systemd1";
inline constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
inline constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
inline constexpr const char* kProperties = "org.freedesktop.DBus.Properties";
inline constexpr const char* kBusService = "org.freedesktop.DBus";

// "system" and "user" as the environment says, or the address itself.
Result<std::string> bus_address(const std::string& bus);

class Session {
  public:
    static Result<std::unique_ptr<Session>> open(const std::string& bus,
                                                 const std::atomic<bool>& cancelled);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    sdbus::IConnection& connection() noexcept { return *connection_; }
    // The manager's unique name: signals of anybody else are not the manager's.
    const std::string& owner() const noexcept { return owner_; }
    std::unique_ptr<sdbus::IProxy> proxy(const std::string& path);

    std::function<void(sdbus::Message&)> on_signal; // to be set before the first message is taken

  private:
    explicit Session(std::unique_ptr<sdbus::IConnection>);
    void prepare(const std::atomic<bool>& cancelled);
    void find_owner(const std::atomic<bool>& cancelled);

    std::unique_ptr<sdbus::IConnection> connection_;
    std::vector<sdbus::Slot> matches_; // die before the connection
    std::string owner_;
    int fd_ = -1;
};

} // namespace keepwell::systemd
