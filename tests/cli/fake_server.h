// FakeServer: a supervisor's control socket for tests of the command line. It answers on a thread
// of its own with what the test laid down; a path without an answer gets a 404 of the API's shape.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct Request {
    std::string method, path, body, headers;
};
struct Answer {
    int status = 200;
    std::string body;
};

class FakeServer {
  public:
    FakeServer();
    ~FakeServer();
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    std::string socket_path() const { return directory_ + "/control.sock"; }
    std::string directory() const { return directory_; }
    void on(const std::string& method_and_path, std::function<Answer(const Request&)> handler);
    void on(const std::string& method_and_path, int status, const std::string& body);
    std::vector<Request> requests();
    void shut(); // nobody is there any more

  private:
    void serve();
    void answer(int fd);

    std::string directory_;
    int listen_fd_ = -1;
    int stop_[2] = {-1, -1};
    std::mutex mutex_;
    std::map<std::string, std::function<Answer(const Request&)>> handlers_;
    std::vector<Request> requests_;
    std::thread thread_;
};
