// The API as the configuration wants it: on the control socket and on supervisor.listen, with
// keepwell's log for its messages and its audit lines.
#pragma once

#include "supervisor/api/server.h"

namespace keepwell {

// With the default of tokens_file filled in.
ApiSpec api_spec(const SupervisorSpec&);

Result<std::unique_ptr<ApiServer>> open_api(uv::Loop&, const Clock&, Control&,
                                            const SupervisorSpec&);

// What would keep the API from TCP: an address that somebody else has, certificates that cannot be
// used, an address for other machines without any token. Opens nothing for good; blocks.
std::vector<std::string> api_problems(const SupervisorSpec&, bool try_addresses);

} // namespace keepwell
