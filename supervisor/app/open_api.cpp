#include "supervisor/app/open_api.h"

#include "supervisor/api/tcp_socket.h"
#include "supervisor/api/tls_files.h"
#include "supervisor/api/tokens.h"

#include <algorithm>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace keepwell {

ApiSpec api_spec(const SupervisorSpec& spec) {
    ApiSpec api = spec.api;
    if (api.tokens_file.empty()) api.tokens_file = spec.state_dir + "/tokens";
    return api;
}

Result<std::unique_ptr<ApiServer>> open_api(uv::Loop& loop, const Clock& clock, Control& control,
                                            const SupervisorSpec& spec) {
    return ApiServer::open(loop, clock, control,
                           {spec.runtime_dir + "/control.sock", "keepwell", spec.listen,
                            api_spec(spec),
                            [](const std::string& line) { spdlog::info("{}", line); },
                            [](const std::string& line) { spdlog::debug("{}", line); }},
                           [](const std::string& text) { spdlog::warn("{}", text); });
}

std::vector<std::string> api_problems(const SupervisorSpec& spec, bool try_addresses) {
    std::vector<std::string> problems;
    if (spec.listen.empty()) return problems;
    const ApiSpec api = api_spec(spec);
    if (api.tls)
        if (const auto identity = api::read_tls(*api.tls); !identity)
            problems.push_back(identity.error().message);
    const auto open_to_others = std::find_if_not(spec.listen.begin(), spec.listen.end(),
                                                 [](const auto& l) { return api::is_loopback(l); });
    if (open_to_others != spec.listen.end()) {
        api::TokenStore tokens(api.tokens_file,
                               [&](const std::string& text) { problems.push_back(text); });
        if (tokens.count(Instant()) == 0)
            problems.push_back(fmt::format(
                "cannot listen on {} without a token: it is open to other machines; make one with "
                "keepwell token add NAME, or listen on 127.0.0.1 (supervisor.listen)",
                *open_to_others));
    }
    if (try_addresses)
        for (const auto& listen : spec.listen)
            if (const auto socket = api::TcpSocket::open(listen); !socket)
                problems.push_back(socket.error().message);
    return problems;
}

} // namespace keepwell
