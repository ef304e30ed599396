// The route that Prometheus scrapes.
#include "supervisor/api/routes.h"

namespace keepwell::api {

Reply Routes::get_metrics(const Call&) {
    Reply reply;
    reply.body = control_.metrics_text();
    reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return reply;
}

} // namespace keepwell::api
