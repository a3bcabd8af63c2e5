/* Log lines: limits with a mark of what was lost, the spool, the uplink's signed batches. */
#include "schemas/guest.pb-c.h"
#include "services/guest-agent/log_frames.h"
#include "services/guest-agent/logs.h"
#include "services/guest-agent/test_support.h"
#include "services/guest-agent/uplink.h"
#include "shared/base/test_findings.h"

static size_t take_all(struct logs *logs, struct arena *arena, uint64_t *ret_dropped)
{
    struct log_batch batch;
    size_t n = 0;

    *ret_dropped = 0;
    while (logs_take(logs, arena, &batch)) {
        assert_in_range(batch.n, 1, LOGS_BATCH_LINES);
        assert_int_equal(batch.first_sequence, n + 1);
        for (size_t i = 0; i < batch.n; i++)
            *ret_dropped += batch.lines[i].dropped;
        n += batch.n;
    }
    return n;
}

static void test_a_burst_is_cut_with_a_mark(void **state)
{
    struct clock_fake clock;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    uint64_t dropped;

    (void)state;
    clock_fake_init(&clock, 5000);
    _cleanup_(logs_freep) struct logs *logs = logs_new(&clock.base);
    for (int i = 0; i < LOGS_BURST + 500; i++)
        logs_add(logs, "web", 1, false, "x", 1);
    clock_fake_advance(&clock, 1000); /* lets LOGS_LINES_PER_SECOND more through */
    for (int i = 0; i < LOGS_LINES_PER_SECOND + 7; i++)
        logs_add(logs, "web", 1, false, "x", 1);
    size_t n = take_all(logs, arena, &dropped);
    assert_int_equal(n, LOGS_BURST + LOGS_LINES_PER_SECOND);
    assert_int_equal(dropped, 500); /* told on the line after them; the last 7 wait for theirs */
}

static void test_one_loud_source_costs_no_other(void **state)
{
    struct clock_fake clock;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct log_batch batch;
    bool quiet_seen = false;

    (void)state;
    clock_fake_init(&clock, 5000);
    _cleanup_(logs_freep) struct logs *logs = logs_new(&clock.base);
    for (int i = 0; i < 10 * LOGS_BURST; i++)
        logs_add(logs, "loud", 1, false, "x", 1);
    logs_add(logs, "quiet", 1, true, "important", 9);
    for (int i = 0; i < 2 && logs_take(logs, arena, &batch); i++)
        quiet_seen |= strcmp(batch.source, "quiet") == 0 && batch.lines[0].standard_error;
    assert_true(quiet_seen); /* within the first turn */
}

static void test_the_spool_is_bounded_and_says_what_it_lost(void **state)
{
    static char line[LOGS_LINE_MAX + 100];
    struct clock_fake clock;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    uint64_t dropped;

    (void)state;
    memset(line, 'a', sizeof(line));
    clock_fake_init(&clock, 5000);
    _cleanup_(logs_freep) struct logs *logs = logs_new(&clock.base);
    for (int i = 0; i < 100; i++)
        logs_add(logs, "web", 1, false, line, sizeof(line));
    size_t n = take_all(logs, arena, &dropped);
    assert_int_equal(n, LOGS_SPOOL_BYTES / LOGS_LINE_MAX); /* long lines are cut, too */
    logs_add(logs, "web", 1, false, "after", 5);
    struct log_batch batch;
    assert_true(logs_take(logs, arena, &batch));
    assert_int_equal(batch.lines[0].dropped, 100 - n);
}

static void test_sources_are_bounded(void **state)
{
    struct clock_fake clock;
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct log_batch batch;
    size_t n = 0;

    (void)state;
    clock_fake_init(&clock, 5000);
    _cleanup_(logs_freep) struct logs *logs = logs_new(&clock.base);
    for (int i = 0; i < 3 * LOGS_SOURCES_MAX; i++) {
        _cleanup_free_ char *name = xasprintf("s%d", i);
        logs_add(logs, name, 1, false, "x", 1);
    }
    while (logs_take(logs, arena, &batch))
        n++;
    assert_int_equal(n, LOGS_SOURCES_MAX);
}

struct received {
    unsigned batches;
    uint64_t lines;
    uint64_t last_counter;
};

static struct error *on_batch(void *state, struct bus_call *call)
{
    struct received *received = state;
    const Coffer__V1__LogBatch *batch = call->in;

    received->batches++;
    received->lines += batch->n_lines;
    expect_that(batch->boot_number == 9);
    expect_that(call->message->signature != NULL);
    expect_that(call->message->counter > received->last_counter);
    received->last_counter = call->message->counter;
    return NULL;
}

static const struct bus_handler batch_row = {"log.>", &coffer__v1__log_batch__descriptor, NULL,
                                             on_batch, NULL};

static void test_the_uplink_keeps_lines_until_the_release_and_the_bus(void **state)
{
    struct clock_fake clock;
    struct identity identity;
    struct received received = {0};
    struct bus_subscription *subscription;

    (void)state;
    clock_fake_init(&clock, 5000);
    support_check(identity_init(&identity));
    _cleanup_(bus_freep) struct bus *bus = bus_memory_new();
    support_check(bus_subscribe(bus, &batch_row, "log.>", &received, &subscription));
    _cleanup_(logs_freep) struct logs *logs = logs_new(&clock.base);
    _cleanup_(uplink_freep) struct uplink *uplink = uplink_new(&clock.base, &identity, logs);
    for (int i = 0; i < 300; i++)
        logs_add(logs, "Web Service", 1, false, "x", 1);
    assert_false(uplink_pump(uplink)); /* no bus yet */
    uplink_name(uplink, SUPPORT_HOST, SUPPORT_WORKLOAD, 1);
    uplink_connect(uplink, bus);
    uplink_set_boot_number(uplink, 9);
    assert_true(uplink_pump(uplink)); /* nothing may be said of logs yet */
    support_check(bus_drain(bus, 1000));
    assert_int_equal(received.batches, 0);
    uplink_set_released(uplink);
    assert_false(uplink_pump(uplink)); /* no stream takes them: kept */
    support_check(bus_ensure_streams(bus));
    assert_true(uplink_pump(uplink));
    support_check(bus_drain(bus, 1000));
    assert_true(received.lines >= 300);
    bus_unsubscribe(subscription);
    assert_no_findings();
    identity_done(&identity);
}

struct line {
    int64_t at_ns;
    bool standard_error;
    char text[64];
};

struct lines {
    struct line at[16];
    size_t n;
};

static bool keep_line(void *data, int64_t at_ns, bool standard_error, const char *text, size_t size)
{
    struct lines *lines = data;
    struct line *line = &lines->at[lines->n++ % 16];

    line->at_ns = at_ns;
    line->standard_error = standard_error;
    snprintf(line->text, sizeof(line->text), "%.*s", (int)(size < 60 ? size : 60), text);
    return true;
}

static void add_frame(struct buffer *stream, uint8_t type, const char *text)
{
    const uint8_t head[4] = {type, 0, 0, 0};

    buffer_add(stream, head, sizeof(head));
    buffer_add_lp(stream, text, strlen(text));
}

/* Whatever the pieces are that the socket gives, the lines are the same. */
static void test_dockers_frames_in_any_pieces(void **state)
{
    _cleanup_buffer_ struct buffer stream = {0};

    (void)state;
    add_frame(&stream, 1, "2026-01-02T03:04:05.000000001Z one\n");
    add_frame(&stream, 2, "2026-01-02T03:04:05.5Z err\r\n2026-01-02T03:04:06Z ");
    add_frame(&stream, 1, "");
    add_frame(&stream, 1, "2026-01-02T03:04:07Z two\nno time at all\n");
    add_frame(&stream, 2, "more\n2026-01-02T03:04:08Z unfinished");
    for (size_t piece = 1; piece <= stream.size; piece++) {
        struct lines lines = {0};
        struct log_frames frames = {.on_line = keep_line, .data = &lines};
        for (size_t at = 0; at < stream.size; at += piece) {
            size_t n = stream.size - at < piece ? stream.size - at : piece;
            assert_true(log_frames_add(&frames, stream.data + at, n));
        }
        assert_true(log_frames_end(&frames));
        log_frames_done(&frames);
        assert_int_equal(lines.n, 6);
        assert_string_equal(lines.at[0].text, "one");
        assert_int_equal(lines.at[0].at_ns % 1000000000, 1);
        assert_string_equal(lines.at[1].text, "err");
        assert_true(lines.at[1].standard_error);
        assert_int_equal(lines.at[1].at_ns % 1000000000, 500000000);
        assert_string_equal(lines.at[2].text, "two");
        assert_string_equal(lines.at[3].text, "no time at all");
        assert_int_equal(lines.at[3].at_ns, lines.at[2].at_ns); /* that of the line before */
        assert_string_equal(lines.at[4].text, "more");
        assert_string_equal(lines.at[5].text, "unfinished");
    }
}

static void test_a_terminals_stream_has_no_frames(void **state)
{
    static const char text[] = "2026-01-02T03:04:05Z one\r\n2026-01-02T03:04:06Z two\r\n";
    struct lines lines = {0};
    struct log_frames frames = {.on_line = keep_line, .data = &lines};

    (void)state;
    assert_true(log_frames_add(&frames, text, strlen(text)));
    log_frames_done(&frames);
    assert_int_equal(lines.n, 2);
    assert_string_equal(lines.at[1].text, "two");
}

static void test_an_endless_line_is_cut(void **state)
{
    _cleanup_buffer_ struct buffer stream = {0};
    static char block[64 * 1024];
    struct lines lines = {0};
    struct log_frames frames = {.on_line = keep_line, .data = &lines};

    (void)state;
    memset(block, 'a', sizeof(block) - 1);
    add_frame(&stream, 1, block);
    assert_true(log_frames_add(&frames, stream.data, stream.size));
    assert_true(lines.n >= 3);
    assert_true(frames.lines[0].size <= LOG_LINE_MAX + 64);
    log_frames_done(&frames);
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        bool good;
        int64_t ns;
    } rows[] = {
        {"1970-01-01T00:00:01Z", true, 1000000000},
        {"1970-01-01T00:00:00.25Z", true, 250000000},
        {"1970-01-01T00:00:00.000000009Z", true, 9},
        {"1970-01-01T00:00:00.0000000001Z", false, 0},
        {"1970-01-01T00:00:00", false, 0},
        {"1970-01-01 00:00:00Z", false, 0},
        {"1970-01-01T00:00:00+01:00", false, 0},
        {"197x-01-01T00:00:00Z", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        int64_t ns = 0;
        size_t length = 0;
        assert_int_equal(log_time_parse(rows[i].text, strlen(rows[i].text), &ns, &length),
                         rows[i].good);
        if (rows[i].good) {
            assert_int_equal(ns, rows[i].ns);
            assert_int_equal(length, strlen(rows[i].text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_burst_is_cut_with_a_mark),
        cmocka_unit_test(test_one_loud_source_costs_no_other),
        cmocka_unit_test(test_the_spool_is_bounded_and_says_what_it_lost),
        cmocka_unit_test(test_sources_are_bounded),
        cmocka_unit_test(test_the_uplink_keeps_lines_until_the_release_and_the_bus),
        cmocka_unit_test(test_dockers_frames_in_any_pieces),
        cmocka_unit_test(test_a_terminals_stream_has_no_frames),
        cmocka_unit_test(test_an_endless_line_is_cut),
        cmocka_unit_test(test_times),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
