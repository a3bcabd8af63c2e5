/* A key service on this machine, for tests: a development chain, and answers as bad as asked for.
 */
#pragma once

#include "shared/attestation/test_fleet.h"

#include <pthread.h>

#include "shared/base/clock.h"
#include "shared/collateral/collateral.h"

enum test_object { TEST_CHAIN, TEST_VCEK, TEST_CRL, TEST_OBJECTS };

/* What the service does for one of its objects. */
struct test_answer {
    struct buffer body;
    unsigned status;         /* 0: 200 with the body */
    unsigned failures;       /* so many times status, then 200 */
    const char *retry_after; /* NULL: not said */
    bool held;               /* no answer until it is false again */
    unsigned asked;
};

struct test_service {
    struct test_fleet fleet;
    struct trust_roots *roots;
    struct kds_chip chips[2];
    uint8_t *vceks[2]; /* DER of the two chips */
    size_t vcek_sizes[2];
    struct MHD_Daemon *daemon;
    char url[64];
    pthread_mutex_t lock; /* of answers */
    pthread_cond_t changed;
    struct test_answer answers[TEST_OBJECTS];
};

/* Starts it with everything as it should be, for the first chip. */
void test_service_start(struct test_service *service);
void test_service_stop(struct test_service *service);
/* Everything as it should be again, nothing asked yet. */
void test_service_reset(struct test_service *service);

void test_service_set_body(struct test_service *service, enum test_object object, const void *data,
                           size_t size);
unsigned test_service_asked(struct test_service *service, enum test_object object);
void test_service_hold(struct test_service *service, enum test_object object, bool held);

/* A CRL of the development root with this number. */
void test_service_crl(struct test_service *service, uint64_t number, struct buffer *ret_der);
