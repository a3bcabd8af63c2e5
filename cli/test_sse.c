#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/sse.h"

struct seen {
    struct buffer text;
    int n;
    int stop_after;
};

static bool collect(void *data, const char *event, const char *id, const char *text)
{
    struct seen *seen = data;

    buffer_printf(&seen->text, "[%s|%s|%s]", event, id, text);
    return ++seen->n != seen->stop_after;
}

static void feed(struct sse_parser *parser, const char *text)
{
    /* Byte by byte: events must not depend on how the network cuts them. */
    for (; *text && sse_parser_feed(parser, text, 1); text++)
        ;
}

static void test_streams(_unused_ void **state)
{
    static const struct {
        const char *stream;
        const char *events;
    } rows[] = {
        {"data: a\n\n", "[message||a]"},
        {"id: 7\nevent: running\ndata: x\ndata: y\n\n", "[running|7|x\ny]"},
        {": keep-alive\n\ndata:no space\r\n\r\n", "[message||no space]"},
        {"data: half", ""},
        {"event: only\n\ndata: z\n\n", "[message||z]"},
        {"id: 1\ndata: a\n\ndata: b\n\n", "[message|1|a][message|1|b]"},
        {"unknown: field\ndata\n\ndata: c\n\n", "[message||c]"},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct seen seen = {0};
        struct sse_parser parser;
        sse_parser_init(&parser, collect, &seen);
        feed(&parser, rows[i].stream);
        assert_string_equal(buffer_text(&seen.text), rows[i].events);
        sse_parser_done(&parser);
        buffer_done(&seen.text);
    }
}

static void test_last_id_survives_a_restart_and_a_half_event_does_not(_unused_ void **state)
{
    struct seen seen = {0};
    struct sse_parser parser;

    sse_parser_init(&parser, collect, &seen);
    feed(&parser, "id: 41\ndata: a\n\nid: 42\ndata: lo");
    sse_parser_restart(&parser);
    assert_string_equal(parser.last_id, "41");
    feed(&parser, "id: 42\ndata: whole\n\n");
    assert_string_equal(buffer_text(&seen.text), "[message|41|a][message|42|whole]");
    sse_parser_done(&parser);
    buffer_done(&seen.text);
}

static void test_callback_ends_the_stream(_unused_ void **state)
{
    struct seen seen = {.stop_after = 1};
    struct sse_parser parser;

    sse_parser_init(&parser, collect, &seen);
    assert_false(sse_parser_feed(&parser, "data: a\n\ndata: b\n\n", 18));
    assert_true(parser.stopped);
    assert_int_equal(seen.n, 1);
    sse_parser_done(&parser);
    buffer_done(&seen.text);
}

static void test_what_the_server_asks_for(_unused_ void **state)
{
    static const struct {
        const char *stream;
        unsigned retry_ms; /* 0: unsaid */
    } rows[] = {
        {"data: a\n\n", 0},          {"retry: 250\n\n", 250},
        {"retry:9\ndata: a\n\n", 9}, {"retry: -1\n\n", 0},
        {"retry: 1s\n\n", 0},        {"retry\n\n", 0},
        {"retry: 0x9\n\n", 0},       {"retry: 99999999999999999999\n\n", 60000},
        {"retry: 61000\n\n", 60000},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct seen seen = {0};
        struct sse_parser parser;
        sse_parser_init(&parser, collect, &seen);
        feed(&parser, rows[i].stream);
        assert_int_equal(parser.retry_ms, rows[i].retry_ms);
        assert_int_equal(sse_parser_wait_ms(&parser), rows[i].retry_ms ?: 1000);
        sse_parser_done(&parser);
        buffer_done(&seen.text);
    }
}

static void test_reconnect_ends_this_connection_only(_unused_ void **state)
{
    struct seen seen = {0};
    struct sse_parser parser;

    sse_parser_init(&parser, collect, &seen);
    feed(&parser, "retry: 60000\nid: 5\ndata: a\n\nevent: reconnect\ndata: {}\n\ndata: b\n\n");
    assert_string_equal(buffer_text(&seen.text), "[message|5|a]");
    assert_true(parser.reconnect);
    assert_false(parser.stopped);
    assert_in_range(sse_parser_wait_ms(&parser), 1, 100); /* at once, and not all together */
    sse_parser_restart(&parser);
    assert_string_equal(parser.last_id, "5");
    feed(&parser, "data: b\n\n");
    assert_string_equal(buffer_text(&seen.text), "[message|5|a][message||b]");
    sse_parser_done(&parser);
    buffer_done(&seen.text);
}

static void test_endless_line_is_refused(_unused_ void **state)
{
    static char block[65536];
    struct seen seen = {0};
    struct sse_parser parser;
    int fed = 0;

    memset(block, 'x', sizeof(block));
    sse_parser_init(&parser, collect, &seen);
    while (fed < 1000 && sse_parser_feed(&parser, block, sizeof(block)))
        fed++;
    assert_in_range(fed, 1, 100);
    sse_parser_done(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_last_id_survives_a_restart_and_a_half_event_does_not),
        cmocka_unit_test(test_callback_ends_the_stream),
        cmocka_unit_test(test_what_the_server_asks_for),
        cmocka_unit_test(test_reconnect_ends_this_connection_only),
        cmocka_unit_test(test_endless_line_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
