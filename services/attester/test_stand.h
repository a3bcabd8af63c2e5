/* A proxy that serves a certificate, and a TEE that tests hold back, count and break. */
#pragma once

#include <pthread.h>
#include <semaphore.h>

#include <jansson.h>

#include "services/attester/batch.h"
#include "services/attester/http.h"
#include "services/attester/standing.h"
#include "shared/attestation/tee.h"
#include "shared/attestation/test_fleet.h"

struct ssl_ctx_st;

struct test_proxy {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t mutex; /* of the rest */
    struct ssl_ctx_st *tls;
    uint8_t spki_sha256[32];
    unsigned connections;
};
void test_proxy_init(struct test_proxy *proxy); /* with a first key */
void test_proxy_new_key(struct test_proxy *proxy);
void test_proxy_get_key(struct test_proxy *proxy, uint8_t ret_spki_sha256[32]);
void test_proxy_done(struct test_proxy *proxy);

struct test_tee {
    struct tee base;
    struct processor *processor;
    struct processor_guest guest;
    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t changed;
    bool held;         /* reports wait while set */
    bool broken;       /* reports fail while set */
    unsigned delay_ms; /* that a report takes */
    unsigned asked;    /* reports begun */
    unsigned finished; /* reports given */
    /* Called once, in the middle of the next report; NULL: nothing. */
    void (*meanwhile)(void *data);
    void *meanwhile_data;
};
struct test_tee *test_tee_new(struct processor *processor, const uint8_t host_data[32]);
void test_tee_hold(struct test_tee *tee, bool held);
void test_tee_wait_asked(struct test_tee *tee, unsigned n);

/* A caller of a desk who can be waited for. */
struct test_caller {
    struct waiter waiter; /* first */
    sem_t done;
};
/* Asks for n callers, with different nonces. */
void test_callers_start(struct desk *desk, struct test_caller *callers, size_t n);
/* Adds the whole answer to *ret_json. */
struct error *test_caller_wait(struct test_caller *caller, struct buffer *ret_json) _must_check_;
/* Both for one nonce, which may be NULL. */
struct error *test_ask(struct desk *desk, const uint8_t *nonce,
                       struct buffer *ret_json) _must_check_;

/* The whole attester but its main(), behind real TLS and HTTP. */
struct test_attester {
    struct test_proxy proxy;
    struct test_tee *tee;
    struct evidence_maker *maker;
    struct live_key *key;
    struct standing *standing;
    struct batch batch;
    struct http_desks desks;
    struct http *http;
};
extern const char test_manifest[];
/* devices: taken, may be NULL */
void test_attester_init(struct test_attester *stand, struct processor *processor,
                        struct devices *devices);
void test_attester_done(struct test_attester *stand);

json_t *test_parse(const struct buffer *body);
const char *test_text(const json_t *object, const char *name);
void test_expect_hex(const json_t *object, const char *name, const void *data, size_t size);
/* Recomputes report_data as a verifier does, from the answer's own inputs. */
void test_check_binding(struct test_attester *stand, const json_t *answer, const uint8_t nonce[32]);
