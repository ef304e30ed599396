#include "watchers/port_holder.h"

#include "watchers/procfs.h"

#include <charconv>
#include <dirent.h>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr const char* kListen = "0A"; // include/net/tcp_states.h

struct DirCloser {
    void operator()(DIR* d) const noexcept { closedir(d); }
};
using Dir = std::unique_ptr<DIR, DirCloser>;

// "sl local_address rem_address st ... inode": hexadecimal port after the last colon of the second
// word.
void listening_inodes(const std::string& file, std::uint16_t port, std::set<std::string>& to) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    while (std::getline(in, line)) {
        std::istringstream words(line);
        std::string slot, local, remote, state, queues, timer, retransmits, uid, timeout, inode;
        words >> slot >> local >> remote >> state >> queues >> timer >> retransmits >> uid >>
            timeout >> inode;
        const auto colon = local.rfind(':');
        unsigned found = 0;
        if (state != kListen || colon == std::string::npos) continue;
        std::from_chars(local.data() + colon + 1, local.data() + local.size(), found, 16);
        if (found == port) to.insert("socket:[" + inode + "]");
    }
}

bool holds(const std::string& fd_dir, const std::set<std::string>& sockets) {
    const Dir dir(opendir(fd_dir.c_str()));
    if (!dir) return false;
    while (const dirent* e = readdir(dir.get())) {
        char target[64];
        const ssize_t n = readlink((fd_dir + "/" + e->d_name).c_str(), target, sizeof target);
        if (n > 0 && sockets.count(std::string(target, static_cast<std::size_t>(n))) != 0)
            return true;
    }
    return false;
}

bool is_this_host(const std::string& host) {
    return host == "localhost" || host.rfind("127.", 0) == 0 || host == "::1" || host == "[::1]" ||
           host == "0.0.0.0";
}

std::optional<std::uint16_t> port_of_url(const std::string& url) {
    const auto scheme = url.find("://");
    if (scheme == std::string::npos) return std::nullopt;
    std::string host = url.substr(scheme + 3, url.find_first_of("/?#", scheme + 3) - scheme - 3);
    if (const auto at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
    std::uint16_t port = url.rfind("https", 0) == 0 ? 443 : 80;
    const auto colon = host.rfind(':');
    if (colon != std::string::npos && host.find(']', colon) == std::string::npos) {
        std::from_chars(host.data() + colon + 1, host.data() + host.size(), port);
        host.resize(colon);
    }
    if (!is_this_host(host)) return std::nullopt;
    return port;
}

} // namespace

std::optional<PortHolder> find_port_holder(std::uint16_t port, const std::string& proc) {
    std::set<std::string> sockets;
    listening_inodes(proc + "/net/tcp", port, sockets);
    listening_inodes(proc + "/net/tcp6", port, sockets);
    if (sockets.empty()) return std::nullopt;
    const Dir dir(opendir(proc.c_str()));
    if (!dir) return std::nullopt;
    while (const dirent* e = readdir(dir.get())) {
        const std::string name = e->d_name;
        std::int64_t pid = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (error != std::errc{} || end != name.data() + name.size()) continue;
        if (!holds(proc + "/" + name + "/fd", sockets)) continue;
        const auto stat = Procfs(proc).stat(pid);
        return PortHolder{port, pid, stat ? stat->name : "?"};
    }
    return std::nullopt;
}

std::vector<std::uint16_t> checked_ports(const UnitSpec& spec) {
    std::vector<std::uint16_t> ports;
    for (const CheckSpec& check : spec.checks) {
        if (const auto* tcp = std::get_if<TcpCheckSpec>(&check.probe);
            tcp && is_this_host(tcp->host))
            ports.push_back(tcp->port);
        if (const auto* http = std::get_if<HttpCheckSpec>(&check.probe);
            http && http->unix_socket.empty())
            if (const auto port = port_of_url(http->url)) ports.push_back(*port);
    }
    return ports;
}

} // namespace keepwell
