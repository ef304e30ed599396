#include "supervisor/api/static_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

using namespace keepwell::api;

namespace {

class StaticFilesTest : public testing::Test {
  protected:
    std::optional<Reply> get(std::vector<std::string> segments) {
        return files.find(request, segments);
    }
    static std::string header(const Reply& reply, const std::string& name) {
        for (const auto& [key, value] : reply.headers)
            if (key == name) return value;
        return "";
    }
    StaticFiles files{{{"index.html", "<!doctype html><p>hello", "packed"},
                       {"panel.js", "let x", "longer than the plain one"},
                       {"sub/icon.svg", "<svg/>", ""}}};
    Request request;
};

TEST_F(StaticFilesTest, TheIndexIsAtTheRootAndTheOthersBesideIt) {
    for (const char* name : {"", "index.html"}) {
        const auto reply = get({name});
        ASSERT_TRUE(reply) << name;
        EXPECT_EQ(reply->bytes(), "<!doctype html><p>hello");
        EXPECT_EQ(reply->content_type, "text/html; charset=utf-8");
        EXPECT_EQ(header(*reply, "Cache-Control"), "no-cache");
    }
    EXPECT_EQ(get({"panel.js"})->content_type, "text/javascript; charset=utf-8");
    EXPECT_EQ(get({"sub", "icon.svg"})->content_type, "image/svg+xml");
}

TEST_F(StaticFilesTest, AnythingElseIsNoFile) {
    for (const auto& segments : std::vector<std::vector<std::string>>{{"nothing"},
                                                                      {".."},
                                                                      {"sub", ".."},
                                                                      {"", "panel.js"},
                                                                      {"", ""},
                                                                      {"panel.js", ""},
                                                                      {"sub"},
                                                                      {"..", "etc", "passwd"},
                                                                      {"PANEL.JS"}})
        EXPECT_FALSE(get(segments)) << segments.front();
}

TEST_F(StaticFilesTest, PackedWhereThatIsShorterAndTheClientTakesIt) {
    request.gzip = true;
    const auto index = get({""});
    EXPECT_EQ(index->bytes(), "packed");
    EXPECT_EQ(header(*index, "Content-Encoding"), "gzip");
    EXPECT_EQ(header(*index, "Vary"), "Accept-Encoding");
    const auto script = get({"panel.js"});
    EXPECT_EQ(script->bytes(), "let x");
    EXPECT_EQ(header(*script, "Content-Encoding"), "");
}

TEST_F(StaticFilesTest, WhatTheClientHasIsNotSentAgain) {
    const std::string plain = header(*get({""}), "ETag");
    request.if_none_match = plain;
    EXPECT_EQ(get({""})->status, 304);
    EXPECT_EQ(get({""})->bytes(), "");
    EXPECT_EQ(get({"panel.js"})->status, 200);
    request.gzip = true; // other bytes, another tag
    EXPECT_EQ(get({""})->status, 200);
    EXPECT_NE(header(*get({""}), "ETag"), plain);
}

TEST_F(StaticFilesTest, ThePanelIsPartOfTheProgram) {
    for (const auto& file : embedded_panel()) {
        EXPECT_FALSE(file.plain.empty()) << file.path;
        EXPECT_EQ(file.packed.substr(0, 2), "\x1f\x8b") << file.path;
        EXPECT_NE(content_type_of(file.path), "application/octet-stream") << file.path;
    }
}

} // namespace
