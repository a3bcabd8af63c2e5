/* What the files of the streams share. */
#pragma once

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/sse.h"

enum {
    SSE_READ_TIMEOUT_MS = 2000,
    SSE_KEEPALIVE_MS = 10000, /* a comment, so that both sides notice when the other is gone */
    SSE_SETTLE_MS = 20,       /* a live message may arrive before the stream has stored it */
    SSE_SETTLE_TRIES = 50,
    SSE_AWAY_MS = 1000,
    SSE_POLL_AGE_MS = 1000, /* how old an answer may be for one who asks without need */
    SSE_UNUSED_MS = 30000,  /* and a kind that nobody follows is unsubscribed */
    SSE_LOOK_MS = 1000,     /* whether the client is there still */
    SSE_RECHECK_MS = 1000,  /* whether its API key is good still, while only the store tells */
};

/* Its lists, flags and text are under the hub's lock; while it is fetching, position, options
 * and checked_ms are the fetcher's. */
struct sse_stream {
    struct sse_stream *next, **previous;               /* all */
    struct sse_stream *bucket_next, **bucket_previous; /* of one workload */
    struct sse_stream *ready_next;
    struct sse_hub *hub;
    struct MHD_Connection *connection;
    int fd;                     /* the connection's */
    struct sse_options options; /* filter is owned */
    char *account;
    char key_sha256[65]; /* of the API key that opened it */
    int64_t checked_ms;  /* when that was asked for last */
    uint64_t next_sequence;
    uint64_t gap_from; /* what was asked for, until it is known whether it is there; 0 */
    bool until_now;    /* it ends behind last_sequence */
    uint64_t last_sequence;
    struct buffer text; /* written, not yet sent */
    size_t sent;
    int64_t due_ms;   /* the timer looks at it then */
    int64_t fresh_ms; /* an answer "nothing" counts if it was asked for after that */
    unsigned settle;  /* tries left since the latest wake */
    bool wants;       /* there may be something to fetch */
    bool queued;
    bool fetching;
    bool parked; /* its connection is suspended */
    bool ended;
    bool gone;   /* the client is */
    bool closed; /* the connection is gone */
};

/* One kind: its stream, and the subjects that tell that something came. */
struct sse_kind_row {
    const char *stream;
    struct bus_handler wake;
};
extern const struct sse_kind_row sse_kinds[SSE_KINDS_];

/* sse_hub.c; under the lock. */
void sse_hub_add(struct sse_hub *hub, struct sse_stream *stream);
void sse_hub_remove(struct sse_hub *hub, struct sse_stream *stream);
void sse_queue(struct sse_stream *stream);  /* for a fetcher, if it wants and can */
void sse_unpark(struct sse_stream *stream); /* there is something to send, or it has ended */
void sse_settle(struct sse_stream *stream, unsigned tries);
void sse_end(struct sse_stream *stream); /* with a word of farewell, once */
void sse_stream_free(struct sse_stream *stream);

/* sse_fetch.c: serves streams until the hub ends. */
void *sse_fetch_main(void *hub);

/*
 * What came last, since streams that follow the same things ask the same: "the first message from
 * there on". Nothing is an answer too, for a moment.
 */
struct sse_fetched {
    _Atomic unsigned holders;
    struct arena *arena;
    struct bus_message message;
};
struct sse_memo *sse_memo_new(void);
void sse_memo_free(struct sse_memo *memo);
void sse_fetched_release(struct sse_fetched *fetched);
DEFINE_CLEANUP(struct sse_fetched *, sse_fetched_release)

/* False: not known. *ret_fetched NULL: there was nothing, asked for after fresh_ms. */
bool sse_memo_find(struct sse_memo *memo, const struct sse_stream *stream, int64_t fresh_ms,
                   struct sse_fetched **ret_fetched);
/* fetched NULL: nothing. */
void sse_memo_keep(struct sse_memo *memo, const struct sse_stream *stream, int64_t asked_ms,
                   struct sse_fetched *fetched);
