#include "watchers/tcp_check.h"

#include "watchers/text.h"

namespace keepwell {

TcpRequest tcp_request(const TcpCheckSpec& tcp, Duration timeout) {
    TcpRequest request;
    request.host = tcp.host;
    request.port = tcp.port;
    request.send = tcp.send;
    request.expect = tcp.expect;
    request.tls = tcp.tls.has_value();
    if (tcp.tls) {
        request.verify_tls = tcp.tls->verify;
        request.ca_file = tcp.tls->ca;
    }
    request.timeout = timeout;
    return request;
}

TcpRequest unix_request(const UnixCheckSpec& spec, Duration timeout) {
    TcpRequest request;
    request.unix_socket = spec.path;
    request.send = spec.send;
    request.expect = spec.expect;
    request.timeout = timeout;
    return request;
}

Observation evaluate_tcp(const CheckSpec& check, const TcpResult& result) {
    Observation seen;
    seen.took = result.took;
    if (result.ok) {
        seen.outcome = CheckOutcome::Pass;
        seen.output = "connected";
        return seen;
    }
    seen.outcome = CheckOutcome::Fail;
    seen.soft = result.error.starts_with("timed out"); // the port's word for its deadline
    if (seen.soft)
        seen.output = "timed out after " + short_duration(check.timeout);
    else
        seen.output = result.error.empty() ? "no connection" : clean_text(result.error, 200);
    return seen;
}

} // namespace keepwell
