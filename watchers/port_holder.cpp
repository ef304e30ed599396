#include "watchers/port_holder.h"

#include "watchers/dir.h"
#include "watchers/proc_file.h"
#include "watchers/procfs.h"

#include <algorithm>
#include <charconv>
#include <dirent.h>
#include <set>
#include <string_view>
#include <unistd.h>

namespace keepwell {

namespace {

constexpr std::size_t kTableLimit = 32U << 20;
constexpr std::string_view kListen = "0A"; // include/net/tcp_states.h

// "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode": the port is
// hexadecimal, after the last colon of the second word.
void listening_inodes(const std::string& file, std::uint16_t port, std::set<std::string>& to) {
    const auto text = read_proc_file(file, kTableLimit);
    if (!text) return;
    std::string_view rest = *text;
    while (!rest.empty()) {
        std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        take_word(line);
        const std::string_view local = take_word(line);
        take_word(line);
        if (take_word(line) != kListen) continue;
        const auto colon = local.rfind(':');
        unsigned found = 0;
        if (colon == std::string_view::npos) continue;
        std::from_chars(local.data() + colon + 1, local.data() + local.size(), found, 16);
        if (found != port) continue;
        for (int i = 0; i < 5; ++i) take_word(line);
        to.insert("socket:[" + std::string(take_word(line)) + "]");
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

std::set<std::string> listening_sockets(std::uint16_t port, const std::string& proc) {
    std::set<std::string> sockets;
    listening_inodes(proc + "/net/tcp", port, sockets);
    listening_inodes(proc + "/net/tcp6", port, sockets);
    return sockets;
}

std::optional<PortHolder> holder_among(const std::set<std::string>& sockets, std::uint16_t port,
                                       const std::vector<std::int64_t>& pids,
                                       const std::string& proc) {
    for (const std::int64_t pid : pids) {
        if (!holds(proc + "/" + std::to_string(pid) + "/fd", sockets)) continue;
        const auto stat = Procfs(proc).stat(pid);
        return PortHolder{port, pid, stat ? stat->name : "?"};
    }
    return std::nullopt;
}

std::optional<PortHolder> find_port_holder(std::uint16_t port, const std::string& proc) {
    const std::set<std::string> sockets = listening_sockets(port, proc);
    if (sockets.empty()) return std::nullopt;
    const Dir dir(opendir(proc.c_str()));
    if (!dir) return std::nullopt;
    std::vector<std::int64_t> pids;
    while (const dirent* e = readdir(dir.get()))
        if (const auto pid = to_number<std::int64_t>(e->d_name)) pids.push_back(*pid);
    return holder_among(sockets, port, pids, proc);
}

std::vector<std::uint16_t> checked_ports(const UnitSpec& spec) {
    std::vector<std::uint16_t> ports;
    for (const CheckSpec& check : spec.checks) {
        if (const auto* port = std::get_if<PortCheckSpec>(&check.probe);
            port && port->expect == PortExpect::Bound)
            ports.push_back(port->port);
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
