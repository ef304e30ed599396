#include "api_support.h"
#include "supervisor/api/socket.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sys/stat.h>

using namespace keepwell;
using namespace keepwell::test;
using keepwell::api::ListeningSocket;
using testing::HasSubstr;

namespace {

using SocketTest = ApiTest;

mode_t mode_of(const std::string& path) {
    struct stat info {};
    return lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
}

TEST_F(SocketTest, ItIsTheOwnersAloneWithoutTheGroupAndTheGroupsWithIt) {
    EXPECT_EQ(mode_of(path), 0600U);
    const std::string other = folder + "/grouped.sock";
    const auto socket = ListeningSocket::open(other, "root");
    ASSERT_TRUE(socket);
    EXPECT_EQ(mode_of(other), 0660U);
}

TEST_F(SocketTest, TheFileGoesWithTheServer) {
    server.reset();
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SocketTest, AStaleFileIsReplaced) {
    server.reset();
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    close(fd);
    open();
    EXPECT_EQ(get("/api/health").status, 200);
}

TEST_F(SocketTest, ALivingOwnerIsNamedAndLeftAlone) {
    const auto second = ListeningSocket::open(path, "none");
    ASSERT_FALSE(second);
    EXPECT_THAT(second.error().message, HasSubstr("cannot open the control socket " + path));
    EXPECT_THAT(second.error().message,
                HasSubstr("another keepwell answers there (pid " + std::to_string(getpid())));
    EXPECT_THAT(second.error().message, HasSubstr("keepwell shutdown"));
    EXPECT_EQ(second.error().code, EADDRINUSE);
    EXPECT_EQ(get("/api/health").status, 200);
}

TEST_F(SocketTest, AnythingElseInItsPlaceStays) {
    const std::string file = folder + "/file.sock";
    std::ofstream(file) << "precious";
    const auto made = ListeningSocket::open(file, "none");
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().message, HasSubstr("move it away"));
    EXPECT_TRUE(std::filesystem::exists(file));
}

TEST_F(SocketTest, AMissingFolderAndALongPathAreErrors) {
    const auto missing = ListeningSocket::open(folder + "/none/x.sock", "none");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ENOENT);
    const auto too_long = ListeningSocket::open(folder + "/" + std::string(120, 'x'), "none");
    ASSERT_FALSE(too_long);
    EXPECT_THAT(too_long.error().message, HasSubstr("shorter supervisor.runtime_dir"));
}

TEST_F(SocketTest, AReplacedFileIsNotRemovedAtTheEnd) {
    std::filesystem::remove(path);
    std::ofstream(path) << "of another";
    server.reset();
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(SocketTest, ItEndsCleanlyWithWaitingHalfSentAndUnreadRequests) {
    std::vector<std::unique_ptr<RawClient>> clients;
    control.document = "{\"x\":\"" + std::string(1'000'000, 'a') + "\"}";
    const std::vector<std::string> requests = {get_text("/api/events?since=3&wait=30"),
                                               "POST /api/acti", get_text("/api/status"), ""};
    for (int i = 0; i < 40; ++i) {
        clients.push_back(std::make_unique<RawClient>(path));
        clients.back()->send_later(requests[static_cast<std::size_t>(i) % requests.size()]);
        clients.back()->turn();
    }
    ASSERT_TRUE(until([&] { return server->waiting() == 10; }));
    clients.push_back(std::make_unique<RawClient>(path)); // accepted by the last turn only
    clients.back()->send_later(get_text("/api/events?since=3&wait=30"));
    clients.back()->turn();
    server.reset();
    clients[0]->turn();
    EXPECT_EQ(clients[0]->take().status, 200) << "a waiting request is answered at the end";
}

TEST_F(SocketTest, AReloadIsAnsweredWhenItIsDoneAndOthersAreServedMeanwhile) {
    control.hold_reload = true;
    RawClient client(path);
    client.send_later("POST /api/config/reload HTTP/1.1\r\nHost: x\r\nContent-Type: "
                      "application/json\r\nX-Keepwell-Request: 1\r\nContent-Length: 2\r\n\r\n{}");
    ASSERT_TRUE(until([&] {
        client.turn();
        return server->waiting() == 1;
    }));
    EXPECT_EQ(get("/api/health").status, 200);
    EXPECT_EQ(server->waiting(), 1U);
    std::exchange(control.held_reload, nullptr)(std::string(R"({"added":["new"]})"));
    server->notify();
    ASSERT_TRUE(until([&] { return server->waiting() == 0; }));
    client.turn();
    const Answer answer = client.take();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.document()["added"], json{"new"});
    EXPECT_FALSE(control.held_reload) << "it was begun once";
}

TEST_F(SocketTest, AReloadThatIsNotDoneAtTheEndIsSaidToBeOpen) {
    control.hold_reload = true;
    RawClient client(path);
    client.send_later("POST /api/config/reload HTTP/1.1\r\nHost: x\r\nContent-Type: "
                      "application/json\r\nX-Keepwell-Request: 1\r\nContent-Length: 2\r\n\r\n{}");
    ASSERT_TRUE(until([&] {
        client.turn();
        return server->waiting() == 1;
    }));
    server.reset();
    client.turn();
    const Answer answer = client.take();
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.document()["code"], "slow");
}

TEST_F(SocketTest, AnIdleServerCostsNoTurns) {
    get("/api/health");
    int turns = 0;
    uv::Prepare count(loop, [&] { ++turns; });
    bool over = false;
    uv::Timer end(loop, [&] { over = true; });
    end.start(300);
    while (!over) loop.run_once();
    EXPECT_LE(turns, 5);
}

} // namespace
