/* A gateway on a loopback port with the memory bus and store, a scheduler and a guest of the
 * test's own, and an HTTP client. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/workloads.h"
#include "shared/base/test_findings.h"

#define TEST_KEY      "test-key-0123456789abcdef" /* an account-admin key of account "dev" */
#define TEST_ADMIN    "admin-key-0123456789abcdef"
#define TEST_WORKLOAD "w-1"
#define TEST_HOST     "host-1"
#define TEST_IMAGE    "0.1.0"

struct fixture {
    char dir[32];
    struct gateway_config config;
    struct bus *bus;
    struct bus *peer; /* the other side's connection */
    struct store *store;
    const struct store_ops *store_ops; /* as it was before a test put hooks in front of it */
    struct gateway *gateway;
    struct box_key authority_box;
    struct sign_key gateway_key;
    struct sign_key guest_key;
    struct bus_subscription *subscriptions[32];
    size_t n_subscriptions;
    pthread_t own_thread; /* the test's, which alone may fail it */

    /* what the scheduler of the test saw and says */
    pthread_mutex_t lock;
    unsigned commands;
    unsigned done; /* of those on workloads, without repeats */
    char last_subject[256];
    struct buffer last_payload;
    struct buffer all_payloads;
    enum error_code answer_code; /* ERROR_OK: does it */
    const char *answer_text;
    void (*meanwhile)(struct fixture *f); /* called once, before it answers; NULL: nothing */
    const char *answer_reason;            /* NULL: none */
    bool lose_answer;      /* the next change is done, noted later, and told as UNAVAILABLE */
    char lost_request[65]; /* the id of that one: see note_lost() ... */
    char lost_entry[65];   /* ... and of its audit entry */
    bool note_first;       /* the note is there before the answer is lost */
    bool leaves_audit;     /* writes no audit entries: an older one, or nothing changes */
    const Coffer__V1__PlanWorkloadReply *plan; /* NULL: admitted, on the one host, for nothing */
};

struct fixture *fixture_new(void);
struct fixture *fixture_new_with_clock(struct clock *clock); /* the gateway's; outlives it */
struct fixture *fixture_new_with(struct clock *clock, struct store *store); /* takes store */
/* Asserts that no thread has found anything (test_findings.h). */
void fixture_free(struct fixture *fixture);
DEFINE_CLEANUP(struct fixture *, fixture_free)

struct answer {
    long status;
    struct buffer body;
    struct buffer headers;
    json_t *json; /* NULL: not JSON */
};
void answer_done(struct answer *answer);
#define _cleanup_answer_ _cleanup_(answer_done)

/* Calls that get no answer at all fail the test. In another thread than the one that made the
 * fixture they are a finding (test_findings.h), and the answer has status 0. */

/* key NULL: no Authorization header; with a colon: a header of its own. body NULL: none. */
struct answer http_call(const struct fixture *fixture, const char *method, const char *path,
                        const char *key, const char *body);
/* The same with more headers; the list ends with NULL. */
struct answer http_call_with(const struct fixture *fixture, const char *method, const char *path,
                             const char *key, const char *const *headers, const char *body);
struct answer http_post(const struct fixture *fixture, const char *path, const char *body);
struct answer http_get(const struct fixture *fixture, const char *path);

/* With one more header line, with TEST_KEY. */
struct answer http_call_header(const struct fixture *fixture, const char *method, const char *path,
                               const char *header, const char *body);

/* With TEST_ADMIN in x-api-key. */
struct answer http_admin(const struct fixture *fixture, const char *method, const char *path,
                         const char *body);

/* Reads a stream until the text was seen (true) or the time is over. */
bool http_stream_until(const struct fixture *fixture, const char *path, const char *last_event_id,
                       const char *text, int timeout_s, struct buffer *ret_seen);

const char *answer_text(const struct answer *answer, const char *name);
/* A header of the answer; caller frees. NULL: it has none. */
char *answer_header(const struct answer *answer, const char *name);
bool has_finding(const struct answer *answer, const char *where_or_rule);

/* From any thread, as calls are. */

/* Any record, and its place in a set. */
void put_message(const struct fixture *fixture, const char *key, const ProtobufCMessage *message);
void index_add(const struct fixture *fixture, const char *set, const char *member);

void put_artifact(const struct fixture *fixture, const char *version, bool enabled,
                  int64_t built_at_ms);

/* The signed document of an image, as JSON text; nobody here looks at its signature. */
void put_image(const struct fixture *fixture, const char *version, const char *json);

/* The note of the change whose answer was lost, as its commit has it. */
void note_lost(struct fixture *fixture);

/* Unpacks what the scheduler got last, of that type. */
void *last_request(const struct fixture *fixture, const ProtobufCMessageDescriptor *type,
                   struct arena *arena);

/* Opens what was sealed for a workload. NULL for an empty box. */
Coffer__V1__Secrets *open_secrets(const struct fixture *fixture, const char *workload_id,
                                  ProtobufCBinaryData box, struct arena *arena);

/* Puts a record of account "dev" (or another) into the store. */
void put_workload(const struct fixture *fixture, const char *id, const char *account,
                  Coffer__V1__WorkloadStatus status);
void put_event(const struct fixture *fixture, const char *id, const char *account,
               uint64_t sequence, const char *kind);
