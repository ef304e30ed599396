// A real ApiServer on a temporary socket with a fake Control behind it, and a raw client.
//
// The loop runs in the test's own thread: exchange() turns it until the answer is whole or a
// deadline is over. The client writes bytes as given, so that it can be as rude as a test wants.
#pragma once

#include "supervisor/api/server.h"
#include "supervisor/status/status_document.h"
#include "supervisor/uv/loop.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace keepwell::test {

using nlohmann::json;

class FakeControl final : public Control {
  public:
    FakeControl() {
        UnitSnapshot web;
        web.key = "web";
        web.name = "Flask Web";
        web.state = State::Running;
        web.desired = Desired::Running;
        web.health = Verdict::Healthy;
        web.should_run = true;
        web.pid = 812;
        CheckView http;
        http.id = "http";
        http.type = "http";
        http.status = "pass";
        web.checks = {http};
        fleet = {web};
    }
    const StatusBytes& status() override {
        if (broken) throw std::runtime_error("secret detail");
        const std::string etag =
            '"' + std::to_string(std::hash<std::string>{}(document)) + '"'; // as StatusCache
        if (bytes.etag != etag) bytes = {std::make_shared<const std::string>(document), etag};
        return bytes;
    }
    std::optional<UnitSnapshot> unit(const std::string& name) override {
        for (const auto& u : fleet)
            if (u.key == name || u.name == name) return u;
        return std::nullopt;
    }
    std::vector<UnitSnapshot> units() override { return fleet; }
    SupervisorSnapshot supervisor() override {
        SupervisorSnapshot s;
        s.generated_at = WallTime{1'761'566'400'000};
        s.started_at = WallTime{ready ? 1'761'566'000'000 : 0};
        s.version = "0.1.0";
        return s;
    }
    Result<std::vector<std::string>> resolve(const std::vector<std::string>& names) override {
        std::vector<std::string> keys;
        for (const auto& name : names) {
            if (name == "*")
                keys.push_back("web");
            else if (const auto u = unit(name))
                keys.push_back(u->key);
            else
                return Error{"no service is named \"" + name + "\"", ENOENT};
        }
        return keys;
    }
    Result<std::string> why_json(const std::string& name) override {
        return "{\"service\":\"" + name + "\",\"incidents\":[]}";
    }
    Result<std::string> explain_json(const std::string&) override {
        return Error{"cannot explain: busy", 0};
    }
    std::string events_json(std::uint64_t since, std::size_t limit) override {
        asked_limit = limit;
        json events = json::array();
        for (std::uint64_t i = since + 1; i <= last_event; ++i) events.push_back({{"sequence", i}});
        return json{{"events", events}, {"last", last_event}}.dump();
    }
    std::string runtime_json() override { return R"({"pid":1})"; }
    std::string metrics_text() override { return "# TYPE keepwell_up gauge\nkeepwell_up 1\n"; }
    Result<std::string> act(const ActionRequest& request) override {
        if (refusal) return *refusal;
        requests.push_back(request);
        actions["a1"] = ActionView{"a1", false, false, {{"web", "working", ""}}};
        return std::string("a1");
    }
    std::optional<ActionView> action(const std::string& id) override {
        const auto it = actions.find(id);
        if (it == actions.end()) return std::nullopt;
        return it->second;
    }
    Result<std::string> enable_check(const std::string&, const std::string& check, bool enabled,
                                     const Peer& peer) override {
        last_peer = peer;
        return json{{"id", check}, {"enabled", enabled}}.dump();
    }
    Status beat(const std::string& name) override {
        beats.push_back(name);
        if (name == "web") return Done{};
        return Error{"cannot take a beat of " + name + ": it has no heartbeat check", EINVAL};
    }
    void reload_config(bool dry_run, const Peer& peer,
                       std::function<void(Result<std::string>)> done) override {
        last_peer = peer;
        if (hold_reload)
            held_reload = std::move(done);
        else if (dry_run)
            done(std::string(R"({"added":[]})"));
        else
            done(Error{"a.toml:1:2: cannot read x\na.toml:3:4: cannot read y", 0});
    }
    bool hold_reload = false;
    std::function<void(Result<std::string>)> held_reload;
    Status shutdown(const Peer& peer, bool leave) override {
        if (refusal) return *refusal;
        last_peer = peer;
        ++(leave ? leaves : shutdowns);
        return Done{};
    }
    Status upgrade(const Peer& peer) override {
        if (refusal) return *refusal;
        last_peer = peer;
        ++upgrades;
        return Done{};
    }

    void history(const std::string& name, history::Range range, Answer done) override {
        if (no_history) return done(*no_history);
        const auto said = json{{"service", name}, {"range", history::cut_of(range).name}}.dump();
        if (hold_history)
            held_history = [done = std::move(done), said] { done(said); };
        else
            done(said);
    }
    void past_events(WallTime since, std::uint64_t sequence, std::size_t limit,
                     Answer done) override {
        if (no_history) return done(*no_history);
        done(json{{"ms", since.ms}, {"sequence", sequence}, {"limit", limit}}.dump());
    }
    std::optional<Error> no_history;
    bool hold_history = false;
    std::function<void()> held_history;

    Result<feeds::LogPlaces> log_places(const std::string& type) override {
        if (type != "all" && type != "errors" && !unit(type))
            return Error{"no service is named \"" + type + "\"", ENOENT};
        return feeds::LogPlaces{
            folder, {{feeds::FeedSource::Kind::File, "web", "web", "stdout", {}}}, {}};
    }
    void read_logs(std::shared_ptr<const feeds::LogPlaces> places, feeds::LogQuestion question,
                   LogsRead done) override {
        if (no_logs) return done(*no_logs);
        done(feeds::read_page(*places, question));
    }
    std::optional<Error> no_logs;

    Result<std::shared_ptr<feeds::Stream>> follow_logs(feeds::FollowQuestion question,
                                                       const std::string&) override {
        followed.push_back(std::move(question));
        return stream;
    }
    Result<std::shared_ptr<feeds::Stream>> follow_events(const std::string&) override {
        return stream;
    }

    Result<std::shared_ptr<feeds::Stream>> stream = Error{"cannot open another stream", EAGAIN};
    std::vector<feeds::FollowQuestion> followed;
    std::string folder; // of logs
    std::vector<UnitSnapshot> fleet;
    std::string document = R"({"schema":"keepwell.status/1"})";
    StatusBytes bytes;
    bool broken = false, ready = true;
    std::uint64_t last_event = 3;
    std::size_t asked_limit = 0;
    std::optional<Error> refusal;
    std::vector<ActionRequest> requests;
    std::map<std::string, ActionView> actions;
    Peer last_peer;
    std::vector<std::string> beats;
    int shutdowns = 0, leaves = 0, upgrades = 0;
};

struct Answer {
    int status = 0; // 0 = the connection ended without an answer
    std::string headers, body;
    json document() const { return json::parse(body); }
    bool has(const std::string& text) const { return headers.find(text) != std::string::npos; }
    std::string header(const std::string& name) const {
        const auto at = headers.find("\r\n" + name + ": ");
        if (at == std::string::npos) return "";
        const auto begin = at + name.size() + 4;
        return headers.substr(begin, headers.find("\r\n", begin) - begin);
    }
};

class RawClient {
  public:
    explicit RawClient(const std::string& path) {
        fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
        connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    // Over TCP: "127.0.0.1:PORT".
    static std::unique_ptr<RawClient> to_port(std::uint16_t port) {
        auto client = std::unique_ptr<RawClient>(new RawClient());
        client->fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        client->connected_ =
            connect(client->fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        fcntl(client->fd_, F_SETFL, O_NONBLOCK);
        return client;
    }
    ~RawClient() { hang_up(); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;
    bool connected() const { return connected_; }
    const std::string& seen() const { return in_; }
    void hang_up() {
        if (fd_ >= 0) close(fd_);
        fd_ = -1;
    }
    void send_later(std::string bytes) { out_ += bytes; }
    // Moves what can be moved; true when the answer is whole or the connection is over.
    bool turn(bool head_only = false) {
        if (!out_.empty()) {
            const ssize_t n = send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
            if (n > 0) out_.erase(0, static_cast<std::size_t>(n));
        }
        char buffer[65536];
        const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
        if (n > 0) in_.append(buffer, static_cast<std::size_t>(n));
        if (n == 0 || (n < 0 && errno != EAGAIN)) return true;
        return whole(head_only);
    }
    Answer take() {
        Answer answer;
        const auto end = in_.find("\r\n\r\n");
        if (end == std::string::npos) return answer;
        answer.headers = in_.substr(0, end + 2);
        answer.status = std::stoi(in_.substr(in_.find(' ') + 1, 3));
        answer.body = in_.substr(end + 4);
        in_.clear();
        return answer;
    }

  private:
    RawClient() = default;
    bool whole(bool head_only) const {
        const auto end = in_.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        const auto at = in_.find("Content-Length: ");
        if (head_only || at == std::string::npos || at > end) return true;
        return in_.size() >= end + 4 + std::stoul(in_.substr(at + 16));
    }
    int fd_ = -1;
    bool connected_ = false;
    std::string out_, in_;
};

class ApiTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "kwa-XXXXXX").string();
        folder = mkdtemp(pattern.data());
        path = folder + "/control.sock";
        open();
    }
    void TearDown() override {
        server.reset();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    void open() {
        options.socket_path = path;
        options.group = "no-such-group";
        auto made = ApiServer::open(loop, clock, control, options,
                                    [this](const std::string& line) { log.push_back(line); });
        ASSERT_TRUE(made) << made.error().message;
        server = std::move(*made);
    }
    // Turns the loop until the condition holds; false after five seconds.
    template <class F>
    bool until(F condition) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
        uv::Timer tick(loop, [] {});
        tick.start(1, 1);
        while (!condition()) {
            if (std::chrono::steady_clock::now() > deadline) return false;
            loop.run_once();
        }
        return true;
    }
    Answer exchange(const std::string& bytes, bool head_only = false) {
        RawClient client(path);
        client.send_later(bytes);
        EXPECT_TRUE(until([&] { return client.turn(head_only); })) << bytes.substr(0, 200);
        return client.take();
    }
    static std::string get_text(const std::string& target, const std::string& headers = "") {
        return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n";
    }
    static std::string post_text(const std::string& target, const std::string& body) {
        return "POST " + target +
               " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json; charset=utf-8\r\n"
               "X-Keepwell-Request: 1\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    Answer get(const std::string& target, const std::string& headers = "") {
        return exchange(get_text(target, headers));
    }
    Answer post(const std::string& target, const std::string& body = "") {
        return exchange(post_text(target, body));
    }

    std::string folder, path;
    uv::Loop loop;
    uv::MonotonicClock clock;
    FakeControl control;
    ApiServer::Options options;
    std::vector<std::string> log;
    std::unique_ptr<ApiServer> server;
};

} // namespace keepwell::test
