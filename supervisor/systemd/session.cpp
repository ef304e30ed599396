#include "supervisor/systemd/session.h"

#include <sdbus-c++/sdbus-c++.h>
#include <systemd/sd-bus.h>

#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace keepwell::systemd {

namespace {

using namespace std::chrono_literals;
using Steady = std::chrono::steady_clock;

constexpr auto kHello = 2s; // for a bus daemon to say who we are
constexpr auto kCall = 3s;  // for each call while connecting
constexpr auto kOwner = 1s; // for systemd to join the bus
constexpr auto kSlice = 100ms;
constexpr const char* kNoOwner = "org.freedesktop.DBus.Error.NameHasNoOwner";

const char* const kMatches[] = {
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.DBus.Properties',"
    "member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit'",
    "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',"
    "path='/org/freedesktop/systemd1'",
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
    "member='NameOwnerChanged',arg0='org.freedesktop.systemd1'",
};

struct BusCloser {
    void operator()(sd_bus* bus) const noexcept { sd_bus_close_unref(bus); }
};
using RawBus = std::unique_ptr<sd_bus, BusCloser>;

Error cannot_reach(const std::string& bus, const std::string& why, int code = 0) {
    return {"cannot reach systemd on the bus " + bus + ": " + why, code};
}
Error cannot_reach(const std::string& bus, int error) {
    return cannot_reach(bus, std::strerror(error),
                        error); // NOLINT(concurrency-mt-unsafe): glibc's is safe
}

// sdbus-c++ waits for the bus daemon's greeting as long as it takes. So somebody else asks first,
// with a deadline.
Status greet(const std::string& bus, const std::string& address,
             const std::atomic<bool>& cancelled) {
    sd_bus* made = nullptr;
    int rc = sd_bus_new(&made);
    const RawBus raw(made);
    if (rc >= 0) rc = sd_bus_set_address(made, address.c_str());
    if (rc >= 0) rc = sd_bus_set_bus_client(made, 1);
    if (rc >= 0) rc = sd_bus_start(made);
    const auto end = Steady::now() + kHello;
    while (rc >= 0 && sd_bus_is_ready(made) == 0) {
        if (cancelled) return cannot_reach(bus, "given up");
        if (Steady::now() > end)
            return cannot_reach(bus, "the bus daemon does not answer", ETIMEDOUT);
        rc = sd_bus_process(made, nullptr);
        if (rc == 0)
            rc = sd_bus_wait(made,
                             std::chrono::duration_cast<std::chrono::microseconds>(kSlice).count());
    }
    if (rc < 0) return cannot_reach(bus, -rc);
    return Done{};
}

const char* environment(const char* name) {
    const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nobody sets any
    return value != nullptr && *value != '\0' ? value : nullptr;
}

} // namespace

Result<std::string> bus_address(const std::string& bus) {
    if (bus == "system") {
        const char* set = environment("DBUS_SYSTEM_BUS_ADDRESS");
        return std::string(set != nullptr ? set : "unix:path=/run/dbus/system_bus_socket");
    }
    if (bus != "user") return bus;
    if (const char* set = environment("DBUS_SESSION_BUS_ADDRESS")) return std::string(set);
    if (const char* folder = environment("XDG_RUNTIME_DIR"))
        return "unix:path=" + std::string(folder) + "/bus";
    return cannot_reach(bus,
                        "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set; set one, or "
                        "write the address as the bus");
}

Session::Session(std::unique_ptr<sdbus::IConnection> connection)
    : connection_(std::move(connection)), fd_(connection_->getEventLoopPollData().fd) {}

// The library sends what is left before it closes, and a bus daemon that hangs would make that
// take for ever; not on a socket that is shut down.
Session::~Session() { shutdown(fd_, SHUT_RDWR); }

std::unique_ptr<sdbus::IProxy> Session::proxy(const std::string& path) {
    return sdbus::createProxy(*connection_, kService, path);
}

void Session::prepare(const std::atomic<bool>& cancelled) {
    connection_->setMethodCallTimeout(kCall);
    for (const char* match : kMatches) {
        if (cancelled) throw sdbus::Error("org.freedesktop.DBus.Error.NoReply", "given up");
        matches_.push_back(connection_->addMatch(match, [this](sdbus::Message& m) {
            if (on_signal) on_signal(m);
        }));
    }
    find_owner(cancelled);
    const auto manager = proxy(kManagerPath);
    manager->callMethod("Subscribe").onInterface(kManager).withTimeout(kCall);
}

// A bus that was just started is there before its systemd is.
void Session::find_owner(const std::atomic<bool>& cancelled) {
    const auto daemon = sdbus::createProxy(*connection_, kBusService, "/org/freedesktop/DBus");
    for (const auto end = Steady::now() + kOwner;;) {
        try {
            daemon->callMethod("GetNameOwner")
                .onInterface(kBusService)
                .withTimeout(kCall)
                .withArguments(std::string(kService))
                .storeResultsTo(owner_);
            return;
        } catch (const sdbus::Error& e) {
            if (e.getName() != kNoOwner || cancelled || Steady::now() > end) throw;
            std::this_thread::sleep_for(kSlice);
        }
    }
}

Result<std::unique_ptr<Session>> Session::open(const std::string& bus,
                                               const std::atomic<bool>& cancelled) {
    const auto address = bus_address(bus);
    if (!address) return address.error();
    if (auto greeted = greet(bus, *address, cancelled); !greeted) return greeted.error();
    try {
        std::unique_ptr<Session> session(
            new Session(sdbus::createSessionBusConnectionWithAddress(*address)));
        session->prepare(cancelled);
        return session;
    } catch (const sdbus::Error& e) {
        if (e.getName() == kNoOwner)
            return cannot_reach(bus, "there is no systemd on it; does its manager run?");
        return cannot_reach(bus, e.getMessage() + " (" + e.getName() + ")");
    } catch (const std::exception& e) {
        return cannot_reach(bus, e.what());
    }
}

} // namespace keepwell::systemd
