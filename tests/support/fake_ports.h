// Fakes of the HTTP, TCP and task ports: they record every request and answer when the test says
// so.
//
// A request is open from start()/run() until answer() or cancel(). answer() takes the request out
// before it calls back, so a callback may start the next one. Nothing is answered by itself.
#pragma once

#include "units/ports/dns_client.h"
#include "units/ports/http_client.h"
#include "units/ports/log_scan.h"
#include "units/ports/offload.h"
#include "units/ports/task_host.h"
#include "units/ports/tcp_probe.h"

#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace keepwell::test {

// The common part; the classes below map the names of their port to it.
template <class Request, class Result>
class FakeExchange {
  public:
    struct Open {
        Request request;
        std::function<void(Result)> callback;
    };

    std::uint64_t add(const Request& request, std::function<void(Result)> callback) {
        const std::uint64_t id = next_id_++;
        open_.emplace(id, Open{request, std::move(callback)});
        all_.push_back(request);
        return id;
    }
    void drop(std::uint64_t id) noexcept { cancelled_ += open_.erase(id); }

    // Answers the oldest open request, or the one with this id.
    void answer(Result result) {
        if (open_.empty()) throw std::logic_error("no request is open");
        answer(open_.begin()->first, std::move(result));
    }
    void answer(std::uint64_t id, Result result) {
        const auto it = open_.find(id);
        if (it == open_.end()) throw std::logic_error("this request is not open");
        const auto callback = std::move(it->second.callback);
        open_.erase(it);
        callback(std::move(result));
    }
    // Answers every request that is open now (not what the callbacks start) by `how`.
    std::size_t answer_all(const std::function<Result(const Request&)>& how) {
        std::vector<std::uint64_t> ids;
        for (const auto& [id, open] : open_) ids.push_back(id);
        std::size_t answered = 0;
        for (const auto id : ids) {
            const auto it = open_.find(id);
            if (it == open_.end()) continue; // an earlier callback cancelled it
            answer(id, how(it->second.request));
            ++answered;
        }
        return answered;
    }

    std::size_t open() const noexcept { return open_.size(); }
    std::size_t started() const noexcept { return all_.size(); }
    std::size_t cancelled() const noexcept { return cancelled_; }
    const std::vector<Request>& requests() const noexcept { return all_; }
    const Request& last() const { return all_.back(); }

  private:
    std::map<std::uint64_t, Open> open_; // ids grow: begin() is the oldest
    std::vector<Request> all_;
    std::uint64_t next_id_ = 1;
    std::size_t cancelled_ = 0;
};

class FakeHttp final : public HttpClient, public FakeExchange<HttpRequest, HttpResult> {
  public:
    RequestId start(const HttpRequest& r, std::function<void(HttpResult)> done) override {
        return add(r, std::move(done));
    }
    void cancel(RequestId id) noexcept override { drop(id); }
};

class FakeTcp final : public TcpProbe, public FakeExchange<TcpRequest, TcpResult> {
  public:
    std::uint64_t start(const TcpRequest& r, std::function<void(TcpResult)> done) override {
        return add(r, std::move(done));
    }
    void cancel(std::uint64_t id) noexcept override { drop(id); }
};

class FakeDns final : public DnsClient, public FakeExchange<DnsRequest, DnsResult> {
  public:
    std::uint64_t start(const DnsRequest& r, std::function<void(DnsResult)> done) override {
        return add(r, std::move(done));
    }
    void cancel(std::uint64_t id) noexcept override { drop(id); }
};

// Each look() finds what the test has put there, once.
class FakeLogs final : public LogScans {
  public:
    std::shared_ptr<LogScan> open(const LogQuestion& asked) override {
        opened.push_back(asked);
        return std::make_shared<Scan>(*this);
    }
    std::vector<LogQuestion> opened;
    LogFindings next;

  private:
    struct Scan final : LogScan {
        explicit Scan(FakeLogs& o) : owner(o) {}
        LogFindings look() override { return std::exchange(owner.next, {}); }
        FakeLogs& owner;
    };
};

class FakeTasks final : public TaskHost, public FakeExchange<TaskRequest, TaskResult> {
  public:
    TaskId run(const TaskRequest& r, std::function<void(TaskResult)> done) override {
        return add(r, std::move(done));
    }
    void cancel(TaskId id) noexcept override { drop(id); }
};

class FakeOffload final : public Offload {
  public:
    struct Job {
        OffloadId id = 0;
        Lane lane{};
        std::function<void()> work, done;
        bool begun = false;
    };
    OffloadId run(Lane lane, std::function<void()> work, std::function<void()> done) override {
        jobs.push_back({++last_, lane, std::move(work), std::move(done), false});
        return last_;
    }
    bool cancel(OffloadId id) noexcept override {
        ++cancelled;
        for (Job& job : jobs)
            if (job.id == id && job.begun) {
                job.done = nullptr;
                return true;
            }
        std::erase_if(jobs, [id](const Job& job) { return job.id == id; });
        return false;
    }
    void finish() { // does the oldest job and reports it
        Job job = std::move(jobs.front());
        jobs.erase(jobs.begin());
        job.work();
        if (job.done) job.done();
    }

    std::vector<Job> jobs;
    std::size_t cancelled = 0;

  private:
    OffloadId last_ = 0;
};

inline HttpResult http_status(int status, std::string body = {}, Duration took = {}) {
    HttpResult r;
    r.status = status;
    r.body = std::move(body);
    r.took = took;
    return r;
}
inline HttpResult http_failure(HttpFailure failure, std::string error = {}) {
    HttpResult r;
    r.failure = failure;
    r.error = std::move(error);
    return r;
}
inline TaskResult task_exit(int code, std::string output = {}) {
    TaskResult r;
    r.status.known = true;
    r.status.code = code;
    r.output = std::move(output);
    return r;
}

} // namespace keepwell::test
