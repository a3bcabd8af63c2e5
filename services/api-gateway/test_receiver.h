/* A receiver of webhooks on a loopback port, which keeps what came and answers as it is told. What
 * is wrong with a request is a finding (test_findings.h). */
#pragma once

#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buffer.h"

enum { RECEIVED_MAX = 256 };

struct received {
    char path[64];
    char signature[256];
    char webhook_id[64];
    char delivery_id[96];
    char content_type[64];
    struct buffer body;
};

struct receiver {
    struct MHD_Daemon *daemon;
    uint16_t port;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct received items[RECEIVED_MAX];
    size_t n;
    unsigned status;      /* of the answers; 0: none comes before receiver_free() */
    unsigned fail_first;  /* so many are answered with 500 beforehand */
    const char *location; /* header of the answers; NULL: none */
    size_t answer_size;   /* bytes of their bodies */
    size_t cut_off;       /* answers that were not read to their end */
    bool ending;
};

/* cert and key: PEM, NULL for plain HTTP. */
struct receiver *receiver_new(const char *cert, const char *key);
void receiver_free(struct receiver *receiver);
DEFINE_CLEANUP(struct receiver *, receiver_free)

void receiver_set_status(struct receiver *receiver, unsigned status);
size_t receiver_count(struct receiver *receiver);

/* Fails the test when they do not come. */
void receiver_wait(struct receiver *receiver, size_t n);
void receiver_wait_cut_off(struct receiver *receiver, size_t n);
