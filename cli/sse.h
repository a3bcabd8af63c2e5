/* Server-sent events as they arrive (WHATWG HTML, section 9.2.6), with bounded lines. */
#pragma once

#include "cli/client.h"
#include "shared/base/buffer.h"

struct sse_parser {
    client_event_fn on_event;
    void *data;
    struct buffer line;
    struct buffer text;
    char event[64];
    char id[128];
    char last_id[128]; /* of the last complete event */
    bool stopped;      /* the callback asked for the end */
    bool seen;         /* at least one event came */
    bool reconnect;    /* the server is going away: it asked to come again at once */
    unsigned retry_ms; /* how long it wants clients to wait; 0: it did not say */
};

void sse_parser_init(struct sse_parser *parser, client_event_fn on_event, void *data);
void sse_parser_restart(struct sse_parser *parser); /* forgets a half event, keeps last_id */
void sse_parser_done(struct sse_parser *parser);

/* How long to wait before the next connection: at once (a few milliseconds, so that all clients do
 * not come in the same one) after "reconnect". */
unsigned sse_parser_wait_ms(const struct sse_parser *parser);

/* False: stop reading (the callback said so, the server said "reconnect", or a line is longer than
 * 4 MiB). "reconnect" is not passed to the callback. */
bool sse_parser_feed(struct sse_parser *parser, const char *data, size_t size);
