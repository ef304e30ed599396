// Measures what 1,000 HTTP checks a second cost the checking process: 1,000 units with one check a
// second for 5 s on the real scheduler and client, against a tiny server in a process of its own.
#include "supervisor/net/curl_client.h"
#include "supervisor/net/uv_tcp_probe.h"
#include "supervisor/uv/pool_offload.h"
#include "tests/support/fake_ports.h"
#include "units/ports/task_host.h"
#include "watchers/check_scheduler.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

using namespace keepwell;
using namespace std::chrono_literals;

namespace {

constexpr UnitIndex kUnits = 1000;

[[noreturn]] void serve(int listener) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int poll = epoll_create1(EPOLL_CLOEXEC);
    epoll_event watch{};
    watch.events = EPOLLIN;
    watch.data.fd = listener;
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &watch);
    static constexpr std::string_view answer =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
    char buffer[4096];
    epoll_event ready[64];
    for (;;) {
        const int n = epoll_wait(poll, ready, 64, -1);
        for (int i = 0; i < n; ++i) {
            const int fd = ready[i].data.fd;
            if (fd == listener) {
                watch.data.fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
                if (watch.data.fd >= 0) epoll_ctl(poll, EPOLL_CTL_ADD, watch.data.fd, &watch);
            } else if (recv(fd, buffer, sizeof buffer, 0) <= 0 ||
                       send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) {
                close(fd);
            }
        }
    }
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto s = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return s(usage.ru_utime) + s(usage.ru_stime);
}

struct NoTasks final : TaskHost {
    TaskId run(const TaskRequest&, std::function<void(TaskResult)>) override { return 0; }
    void cancel(TaskId) noexcept override {}
};

} // namespace

int main() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof in;
    if (bind(listener, reinterpret_cast<sockaddr*>(&in), size) != 0 || listen(listener, 4096) != 0)
        return 1;
    getsockname(listener, reinterpret_cast<sockaddr*>(&in), &size);
    const pid_t server = fork();
    if (server == 0) serve(listener);
    close(listener);

    long passed = 0, failed = 0;
    double cpu = 0;
    {
        uv::Loop loop;
        uv::MonotonicClock clock;
        uv::LoopTimers timers(loop, clock);
        CurlHttpClient http(loop);
        UvTcpProbe tcp(loop);
        NoTasks tasks;
        PoolOffload offload(loop);
        test::FakeDns dns;
        test::FakeLogs logs;
        CheckScheduler scheduler(
            {clock, timers, http, tcp, tasks, offload, [](UnitIndex) { return TreeRef{}; }, dns,
             logs},
            [&](const Observation& o) { ++(o.outcome == CheckOutcome::Pass ? passed : failed); });
        HttpCheckSpec probe;
        probe.url = "http://127.0.0.1:" + std::to_string(ntohs(in.sin_port)) + "/health";
        CheckSpec check;
        check.id = "http";
        check.interval = 1s;
        check.probe = probe;
        for (UnitIndex u = 0; u < kUnits; ++u) {
            UnitSpec unit;
            unit.key = "unit-" + std::to_string(u);
            unit.checks = {check};
            scheduler.start(u, unit, 1);
        }
        uv::Timer warm(loop, [&] {
            passed = failed = 0;
            cpu = cpu_seconds();
        });
        warm.start(2000);
        uv::Timer end(loop, [&] {
            cpu = cpu_seconds() - cpu;
            loop.stop();
        });
        end.start(7000);
        loop.run();
    }
    kill(server, SIGKILL);
    waitpid(server, nullptr, 0);
    std::printf("%.0f checks/s passed, %ld failed; %.1f %% of a core, %.0f us a check\n",
                static_cast<double>(passed) / 5.0, failed, cpu / 5.0 * 100.0,
                passed > 0 ? cpu / static_cast<double>(passed) * 1e6 : 0.0);
    return failed == 0 && passed > 0 ? 0 : 1;
}
