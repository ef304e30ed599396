// keepwell token add|list|revoke: the API's tokens, with and without a running supervisor.
#include "supervisor/api/tokens.h"
#include "supervisor/cli/table.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/config/config.h"
#include "supervisor/status/json_writer.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

namespace keepwell::cli {

namespace {

constexpr const char* kDefaultScopes = "read";

// Also when the present configuration has mistakes.
std::string tokens_file(const Context& context) {
    LoadOptions load;
    load.files = context.options().config;
    load.user_run = user_run();
    const SupervisorSpec spec = load_configuration(load).config.supervisor;
    if (!spec.api.tokens_file.empty()) return spec.api.tokens_file;
    return (spec.state_dir.empty() ? std::string("/var/lib/keepwell") : spec.state_dir) + "/tokens";
}

int add(Context& context, const std::string& path, const std::string& name) {
    const std::string& wanted = context.options().scope;
    const auto scopes = api::parse_scopes(wanted.empty() ? kDefaultScopes : wanted);
    if (!api::is_token_name(name))
        return context.fail(in_quotes(name) + " is not a name for a token (letters, digits and _ . "
                                              "@ -, at most 63)",
                            kExitUsage);
    if (!scopes)
        return context.fail(in_quotes(wanted) + " is not a list of scopes (like read,control; "
                                                "there are read, logs, metrics, control and "
                                                "heartbeat)",
                            kExitUsage);
    std::error_code ignored; // else the write says it
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    const std::string secret = api::random_secret();
    const Status done = api::change_tokens(path, [&](std::vector<api::Token>& tokens) -> Status {
        const bool taken = std::any_of(tokens.begin(), tokens.end(),
                                       [&](const api::Token& t) { return t.name == name; });
        if (taken)
            return Error{"cannot add a token named " + name +
                             ": there is one; keepwell token revoke " + name + " takes it away",
                         EEXIST};
        tokens.push_back({name, api::sha256(secret), *scopes, rfc3339(WallTime{context.now_ms()})});
        return Done{};
    });
    if (!done) return context.fail(safe_text(done.error().message));
    context.out() << secret << "\n";
    context.out().flush();
    context.note("the token is shown this once; " + safe_text(path) + " has only its hash");
    return kExitOk;
}

void print_json(Context& context, const std::vector<api::Token>& tokens) {
    std::string out;
    JsonWriter w(out);
    w.begin_array();
    for (const auto& token : tokens)
        w.begin_object()
            .member("name", token.name)
            .member("scopes", token.scopes.names())
            .member("created", token.created)
            .end_object();
    w.end_array();
    context.out() << out << "\n";
}

int list(Context& context, const std::string& path) {
    std::vector<std::string> problems;
    const auto tokens = api::read_tokens(path, problems);
    if (!tokens) return context.fail(safe_text(tokens.error().message));
    for (const auto& problem : problems) context.note(safe_text(problem));
    if (context.options().json) {
        print_json(context, *tokens);
        return kExitOk;
    }
    Table table({{"NAME"}, {"SCOPES"}, {"CREATED"}});
    for (const auto& token : *tokens) {
        std::string scopes;
        for (const auto& s : token.scopes.names()) scopes += (scopes.empty() ? "" : ",") + s;
        const auto cell = [](const std::string& text) { return Cell{text, Colour::None, ""}; };
        table.add({cell(token.name), cell(scopes), cell(safe_text(token.created))});
    }
    context.out() << table.render(context.style(), true);
    return kExitOk;
}

int revoke(Context& context, const std::string& path, const std::string& name) {
    const Status done = api::change_tokens(path, [&](std::vector<api::Token>& tokens) -> Status {
        if (std::erase_if(tokens, [&](const api::Token& t) { return t.name == name; }) > 0)
            return Done{};
        return Error{"cannot revoke " + in_quotes(name) +
                         ": no token has that name (keepwell token list)",
                     ENOENT};
    });
    if (!done) return context.fail(safe_text(done.error().message));
    context.out() << "revoked " << name << "\n";
    return kExitOk;
}

} // namespace

std::vector<std::string> token_names(const Context& context) {
    std::vector<std::string> problems, names;
    const auto tokens = api::read_tokens(tokens_file(context), problems);
    if (!tokens) return names;
    for (const auto& token : *tokens) names.push_back(token.name);
    return names;
}

int verb_token(Context& context) {
    const Options& options = context.options();
    const std::string path = tokens_file(context);
    if (options.token_action == "list") return list(context, path);
    if (options.token_action == "revoke") return revoke(context, path, options.names.front());
    return add(context, path, options.names.front());
}

} // namespace keepwell::cli
