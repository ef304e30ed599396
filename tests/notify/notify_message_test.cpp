#include "supervisor/notify/notify_message.h"

#include <gtest/gtest.h>

#include <random>

namespace keepwell {
namespace {

NotifyMessage parsed(std::string_view text) {
    const auto message = parse_notify(text);
    EXPECT_TRUE(message) << text;
    return message.value_or(NotifyMessage{});
}

TEST(NotifyMessages, EachFieldIsTaken) {
    const NotifyMessage m = parsed("READY=1\nSTATUS=serving 3 clients\nMAINPID=4711\nWATCHDOG=1\n");
    EXPECT_TRUE(m.ready && m.beat);
    EXPECT_FALSE(m.trouble || m.stopping || m.reloading);
    EXPECT_EQ(m.status, "serving 3 clients");
    EXPECT_EQ(m.main_pid, 4711);
    EXPECT_TRUE(parsed("RELOADING=1\nMONOTONIC_USEC=12").reloading);
    EXPECT_TRUE(parsed("STOPPING=1").stopping);
    EXPECT_TRUE(parsed("WATCHDOG=trigger").trouble);
}

TEST(NotifyMessages, WhatSaysNothingHereIsLeftOut) {
    for (const char* text : {"",
                             "\n\n",
                             "READY",
                             "=1",
                             "READY=0",
                             "READY=yes",
                             "ready=1",
                             " READY=1",
                             "READY =1",
                             "ERRNO=2",
                             "BARRIER=1",
                             "FDSTORE=1",
                             "WATCHDOG_USEC=1",
                             "WATCHDOG=0",
                             "X_READY=1",
                             "STOPPING=1 ",
                             "EXTEND_TIMEOUT_USEC=1",
                             "MAINPID=0",
                             "MAINPID=-4",
                             "MAINPID=1x",
                             "MAINPID=+1",
                             "MAINPID= 1",
                             "MAINPID=4194305",
                             "MAINPID=99999999999999999999"})
        EXPECT_EQ(parsed(text), NotifyMessage{}) << text;
}

TEST(NotifyMessages, TheLastOfAKindWins) {
    const NotifyMessage m = parsed("STATUS=a\nSTATUS=b\nREADY=1\nREADY=0\nMAINPID=7\nMAINPID=x");
    EXPECT_EQ(m.status, "b");
    EXPECT_FALSE(m.ready);
    EXPECT_EQ(m.main_pid, std::nullopt);
}

TEST(NotifyMessages, AStatusIsCleanedAndCut) {
    EXPECT_EQ(parsed("STATUS=").status, "");
    EXPECT_EQ(parsed("STATUS=a=b\tc\x1b[31m\r").status, "a=b c[31m");
    EXPECT_EQ(parsed("STATUS=\xff\xc3").status, "\xEF\xBF\xBD\xEF\xBF\xBD");
    EXPECT_EQ(parsed("STATUS=" + std::string(2000, 'x')).status, std::string(512, 'x'));
    const auto umlauts = parsed("STATUS=x" +
                                [] {
                                    std::string text;
                                    for (int i = 0; i < 600; ++i) text += "\xC3\xA4";
                                    return text;
                                }())
                             .status;
    EXPECT_EQ(umlauts->size(), 511U) << "never within a character";
}

TEST(NotifyMessages, WhatIsNoTextIsRefused) {
    EXPECT_FALSE(parse_notify(std::string_view("READY=1\0X=1", 11)));
    EXPECT_TRUE(parsed(std::string_view("READY=1\0\0", 9)).ready) << "a C string with its end";
    const std::string longest = "STATUS=" + std::string(kMaxNotifyMessage - 7, 'x');
    EXPECT_TRUE(parse_notify(longest));
    EXPECT_FALSE(parse_notify(longest + "x"));
}

TEST(NotifyMessages, AnyBytesAreTakenWithoutACrash) {
    std::mt19937 random(20'260'101);
    const std::string letters = "READYSTUMAINPIDWOG=1\n\n=\0\xff\xc3-9 x";
    for (int i = 0; i < 20'000; ++i) {
        std::string text(random() % 80, ' ');
        for (char& c : text)
            c = random() % 8 == 0 ? static_cast<char>(random())
                                  : letters[random() % letters.size()];
        if (const auto m = parse_notify(text); m && m->status) {
            EXPECT_LE(m->status->size(), 512U);
        }
    }
}

} // namespace
} // namespace keepwell
