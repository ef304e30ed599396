#include "supervisor/api/server.h"

#include "supervisor/api/access.h"
#include "supervisor/api/guard.h"
#include "supervisor/api/listener.h"
#include "supervisor/api/response.h"
#include "supervisor/api/routes.h"
#include "supervisor/api/socket.h"
#include "supervisor/api/static_files.h"
#include "supervisor/api/tcp_socket.h"
#include "supervisor/api/tls_files.h"
#include "supervisor/uv/loop.h"

#include <algorithm>
#include <fmt/format.h>
#include <list>
#include <utility>

namespace keepwell {

using api::Reply;
using api::Request;
using api::Routes;
using api::Scope;
using api::Scopes;

namespace {

constexpr unsigned kConnections = 512;
constexpr unsigned kConnectionsPerAddress = 128;
constexpr std::uint64_t kRetryMs = 10'000; // of an address that somebody else has
constexpr std::uint64_t kDrainMs = 1'000;
constexpr std::size_t kLongestBody = 200; // in the audit line

Scopes anonymous_scopes(const ApiSpec& api, bool loopback) {
    if (!api.anonymous)
        return loopback && !api.behind_proxy ? Scopes{Scope::Read, Scope::Metrics} : Scopes{};
    Scopes scopes;
    for (const auto& word : *api.anonymous)
        if (const auto scope = api::parse_scope(word)) scopes.add(*scope);
    return scopes;
}

std::string one_line(std::string_view text) {
    std::string line(text.substr(0, kLongestBody));
    std::replace_if(
        line.begin(), line.end(), [](unsigned char c) { return c < 0x20 || c >= 0x7F; }, ' ');
    return line;
}

// The address that the proxy in front of us saw.
std::string forwarded_address(std::string_view header) {
    const auto comma = header.rfind(',');
    if (comma != std::string_view::npos) header.remove_prefix(comma + 1);
    while (header.starts_with(' ')) header.remove_prefix(1);
    return one_line(header.substr(0, 45));
}

} // namespace

struct ApiServer::Impl {
    struct Place { // one address of the configuration
        std::string listen;
        bool loopback = false;
        bool reported = false;
        std::optional<api::TcpSocket> socket;
        std::unique_ptr<api::Listener> listener;
    };

    Impl(uv::Loop& l, const Clock& c, Control& control, const Options& o, Report r,
         api::ListeningSocket s)
        : loop(l),
          clock(c),
          report(std::move(r)),
          audit(o.audit),
          detail(o.detail),
          review_ms(o.review_ms),
          spec(o.api),
          socket(std::move(s)),
          access(c, o.api.tokens_file, report),
          files(api::embedded_panel()),
          routes(control, c, access, files),
          retry_timer(l, [this] { open_places(); }),
          drain_timer(l, [this] { drain(); }),
          review_timer(l, [this] { review(); }) {
        retry_timer.unref();
        drain_timer.unref();
        review_timer.unref();
        for (const auto& listen : o.listen)
            places.push_back({listen, api::is_loopback(listen), false, std::nullopt, nullptr});
        make_rules();
    }

    Status open();
    void make_rules();
    void open_places();
    void open_place(Place&);
    Result<std::unique_ptr<api::Listener>> make_listener(const Place&,
                                                         const std::optional<api::TlsIdentity>&);
    void take_certificates();
    void change_to(const api::TlsIdentity&);
    void drain();
    void guard(const Request&, Reply&, bool loopback);
    void review_soon() {
        if (reviewing) review_timer.start(0, review_ms);
    }
    void review();
    api::Listener::Ports ports(bool local, bool loopback);
    Reply handle(Request&, const api::Connection&, const std::function<Reply()>& later, bool local,
                 bool loopback) noexcept;
    std::optional<Reply> refuse(Request&, const api::Connection&, bool local, bool loopback);
    void write_audit(const Request&, int status) const;
    Reply failure(int status, std::string_view code, std::string_view message) const {
        return Routes::error(status, code, message, clock.wall());
    }
    template <class F>
    void each(F f) const {
        f(*local_listener);
        for (const auto& place : places)
            if (place.listener) f(*place.listener);
        for (const auto& old : draining) f(*old);
    }

    uv::Loop& loop;
    const Clock& clock;
    Report report;
    std::function<void(const std::string&)> audit, detail;
    std::uint64_t review_ms;
    bool reviewing = false; // there are streams that may have to end
    ApiSpec spec;
    api::GuardRules local_rules, tcp_rules;
    std::string security_policy;
    std::optional<api::TlsIdentity> tls;
    std::shared_ptr<void> reading_tls;
    api::ListeningSocket socket;
    ApiCounters counters;
    api::Access access;
    api::StaticFiles files;
    Routes routes;
    std::unique_ptr<api::Listener> local_listener;
    std::list<Place> places;
    std::list<std::unique_ptr<api::Listener>> draining; // with the certificate of before
    uv::Timer retry_timer, drain_timer, review_timer;
};

void ApiServer::Impl::make_rules() {
    tcp_rules = {};
    tcp_rules.tls = spec.tls.has_value();
    tcp_rules.behind_proxy = spec.behind_proxy;
    tcp_rules.hosts = spec.allowed_hosts;
    tcp_rules.origins = spec.origins;
    local_rules = tcp_rules;
    local_rules.local = true;
    security_policy = api::content_security_policy(spec.frame_ancestors);
    access.set_tokens_file(spec.tokens_file);
    access.set_secure_cookie(spec.tls.has_value() || spec.behind_proxy);
}

api::Listener::Ports ApiServer::Impl::ports(bool local, bool loopback) {
    return {loop,
            clock,
            [this, local, loopback](Request& r, const api::Connection& c,
                                    const std::function<Reply()>& later) {
                return handle(r, c, later, local, loopback);
            },
            [this] { return security_policy; },
            counters,
            report,
            detail};
}

Status ApiServer::Impl::open() {
    auto made = api::Listener::open({socket.fd(), "control API", kConnections, 0, std::nullopt},
                                    ports(true, true));
    if (!made) return made.error();
    local_listener = std::move(*made);
    if (places.empty()) return Done{};
    if (spec.tls) {
        auto identity = api::read_tls(*spec.tls);
        if (!identity)
            report(identity.error().message + "; the API is not on TCP until a reload");
        else
            tls = std::move(*identity);
    }
    open_places();
    return Done{};
}

void ApiServer::Impl::open_places() {
    for (Place& place : places)
        if (!place.listener) open_place(place);
    if (std::any_of(places.begin(), places.end(), [](const Place& p) { return !p.listener; }))
        retry_timer.start(kRetryMs);
}

void ApiServer::Impl::open_place(Place& place) {
    if (spec.tls && !tls) return;
    const auto tell = [&](const std::string& text) {
        if (!place.reported) report(text + "; trying again every 10 s");
        place.reported = true;
    };
    place.socket.reset(); // what is left there would be in its own way
    auto opened = api::TcpSocket::open(place.listen);
    if (!opened) return tell(opened.error().message);
    place.socket.emplace(std::move(*opened));
    auto made = make_listener(place, tls);
    if (!made) {
        place.socket.reset();
        return tell(made.error().message);
    }
    place.listener = std::move(*made);
    if (place.reported) report("listening on " + place.socket->address() + " again");
    place.reported = false;
}

Result<std::unique_ptr<api::Listener>>
ApiServer::Impl::make_listener(const Place& place,
                               const std::optional<api::TlsIdentity>& identity) {
    // All clients of a proxy come from one address.
    const unsigned per_address = spec.behind_proxy ? 0 : kConnectionsPerAddress;
    return api::Listener::open(
        {place.socket->fd(), place.socket->address(), kConnections, per_address, identity},
        ports(false, place.loopback));
}

void ApiServer::Impl::take_certificates() {
    if (!spec.tls || places.empty()) return;
    auto fresh = std::make_shared<std::optional<Result<api::TlsIdentity>>>();
    reading_tls = uv::run_in_pool(
        loop, [fresh, files = *spec.tls] { *fresh = api::read_tls(files); },
        [this, fresh] {
            if (!*fresh || !**fresh)
                return report((*fresh ? (*fresh)->error().message : "cannot read the certificate") +
                              "; going on with the one of before");
            change_to(***fresh);
        });
}

// New connections get the new certificate; those that are there go on with the old one. Whoever
// listens goes on until all have a successor: what the library refuses changes nothing.
void ApiServer::Impl::change_to(const api::TlsIdentity& identity) {
    if (tls && tls->certificate == identity.certificate && tls->key == identity.key) return;
    std::vector<std::pair<Place*, std::unique_ptr<api::Listener>>> fresh;
    for (Place& place : places) {
        if (!place.listener) continue;
        auto made = make_listener(place, identity);
        if (!made)
            return report(made.error().message + "; going on with the one of before; correct "
                                                 "supervisor.api.tls and reload");
        fresh.emplace_back(&place, std::move(*made));
    }
    tls = identity;
    for (auto& [place, listener] : fresh) {
        place->listener->stop_accepting();
        draining.push_back(std::exchange(place->listener, std::move(listener)));
    }
    drain_timer.start(kDrainMs, kDrainMs);
    open_places();
}

void ApiServer::Impl::drain() {
    std::erase_if(draining, [](const auto& l) { return l->connections() == 0; });
    if (draining.empty()) drain_timer.stop();
}

// A stream goes on only while who opened it still may: tokens are revoked, logins end, what
// everybody may do is configured anew.
void ApiServer::Impl::guard(const Request& request, Reply& reply, bool loopback) {
    const auto route = Routes::find(request);
    if (!route) return;
    Request who;
    who.authorization = request.authorization;
    who.cookie = request.cookie;
    reply.may_go_on = [this, who = std::move(who), scope = route->scope, loopback] {
        return access.allows(who, scope, anonymous_scopes(spec, loopback));
    };
    if (!std::exchange(reviewing, true)) review_timer.start(review_ms, review_ms);
}

void ApiServer::Impl::review() {
    std::size_t streams = 0;
    each([&](api::Listener& l) { streams += l.review_streams(); });
    reviewing = streams > 0;
    if (!reviewing) review_timer.stop();
}

std::optional<Reply> ApiServer::Impl::refuse(Request& request, const api::Connection& connection,
                                             bool local, bool loopback) {
    const auto& rules = local ? local_rules : tcp_rules;
    if (const auto refusal = api::inspect(rules, request, connection.own_address)) {
        Reply reply = failure(refusal->status, refusal->code, refusal->message);
        reply.refused = refusal->code;
        if (refusal->status == 405) reply.headers.emplace_back("Allow", "GET, HEAD, POST");
        return reply;
    }
    if (local) {
        request.caller.scopes = Scopes::all();
        request.caller.known = true;
        return std::nullopt;
    }
    if (spec.behind_proxy && !request.forwarded_for.empty())
        request.peer.address = forwarded_address(request.forwarded_for);
    request.secure = spec.tls.has_value() || spec.behind_proxy;
    access.identify(request, anonymous_scopes(spec, loopback));
    return std::nullopt;
}

Reply ApiServer::Impl::handle(Request& request, const api::Connection& connection,
                              const std::function<Reply()>& later, bool local,
                              bool loopback) noexcept {
    try {
        Reply reply;
        if (later) {
            reply = later();
        } else if (auto refused = request.waited ? std::nullopt
                                                 : refuse(request, connection, local, loopback)) {
            reply = std::move(*refused);
        } else {
            reply = routes.handle(request);
        }
        if (reply.wait) return reply;
        if (reply.stream && !local) guard(request, reply, loopback);
        if (reply.handler == "api/logout") review_soon();
        if (request.method == "POST") write_audit(request, reply.status);
        if (!request.origin.empty() && request.method != "POST") {
            reply.headers.emplace_back("Vary", "Origin");
            if (api::is_listed(tcp_rules, request.origin))
                reply.headers.emplace_back("Access-Control-Allow-Origin", request.origin);
        }
        // The widget on a listed page takes its style sheet without asking for CORS.
        if (reply.fixed_body && !spec.origins.empty())
            reply.headers.emplace_back("Cross-Origin-Resource-Policy", "cross-origin");
        return reply;
    } catch (const std::exception& e) {
        report(fmt::format("internal error in the control API: {}", e.what()));
        return failure(500, "internal", "cannot answer: internal error; see keepwell's log");
    }
}

// A heartbeat that is taken changes nothing. A login's body is a secret, also one that is sent to a
// wrong path: what is sent along is told only of routes that are known and need a scope.
void ApiServer::Impl::write_audit(const Request& request, int status) const {
    if (!audit) return;
    const auto route = Routes::find(request);
    if (route && route->scope == Scope::Heartbeat && status < 300) return;
    std::string_view target = request.target;
    std::string body;
    if (!route || route->scope == Scope::Open)
        target = target.substr(0, target.find('?'));
    else if (!request.body.empty())
        body = " " + one_line(request.body);
    audit(
        fmt::format("audit: {}: {}{}: {}", describe(request.peer), one_line(target), body, status));
}

ApiServer::ApiServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiServer::~ApiServer() = default;

Result<std::unique_ptr<ApiServer>> ApiServer::open(uv::Loop& loop, const Clock& clock,
                                                   Control& control, const Options& options,
                                                   Report report) {
    auto socket = api::ListeningSocket::open(options.socket_path, options.group);
    if (!socket) return socket.error();
    auto impl = std::make_unique<Impl>(loop, clock, control, options, std::move(report),
                                       std::move(*socket));
    if (Status status = impl->open(); !status) return status.error();
    return std::unique_ptr<ApiServer>(new ApiServer(std::move(impl)));
}

void ApiServer::notify() {
    impl_->each([](api::Listener& l) { l.notify(); });
}

std::size_t ApiServer::waiting() const {
    std::size_t n = 0;
    impl_->each([&](const api::Listener& l) { n += l.waiting(); });
    return n;
}

ApiCounters& ApiServer::counters() { return impl_->counters; }

void ApiServer::set(const ApiSpec& api) {
    impl_->spec = api;
    impl_->make_rules();
    impl_->take_certificates();
    impl_->review_soon();
}

std::vector<std::string> ApiServer::addresses() const {
    std::vector<std::string> all;
    for (const auto& place : impl_->places)
        if (place.listener)
            all.push_back((impl_->tls ? "https://" : "http://") + place.socket->address());
    return all;
}

} // namespace keepwell
