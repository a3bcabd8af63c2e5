/* A gateway whose webhooks go to a receiver on a loopback port, with a clock of the test's own. */
#pragma once

#include "services/api-gateway/test_fixture.h"
#include "services/api-gateway/test_receiver.h"

#define START_MS INT64_C(1700000000000)
#define TRIES    2000 /* of 10 ms: what is waited for comes, or the test has failed */

/* A gateway whose store outlives it, and a receiver. */
struct hooks {
    struct fixture *f;
    struct clock_fake clock;
    struct receiver *receiver;
    const struct store_ops *real_ops;
    struct store_ops kept_ops;
    struct bus *second_bus;
    struct gateway *second;
    char *id; /* of the webhook */
    char *secret;
};

/* Of a program, before its tests: no proxy of the environment, where nobody is, is used. */
void hooks_prepare(void);

void hooks_start_gateway(struct hooks *scene);
void hooks_restart_gateway(struct hooks *scene);

/* Another gateway on the same bus and store. */
void hooks_start_second(struct hooks *scene);

/* Without a webhook. */
struct hooks *hooks_new(void);
void hooks_free(struct hooks *scene);
DEFINE_CLEANUP(struct hooks *, hooks_free)

/* Through the API; rest: further members, ",\"name\":value" each. Fails the test when it is
 * refused. */
void hooks_make(struct hooks *scene, const char *scheme, const char *rest);
struct hooks *hooks_new_with_webhook(void);

/* GET of the webhook, or of what is below it ("/deliveries"). */
struct answer hooks_get(const struct hooks *scene, const char *what);

/* PUT to the webhook; rest as in hooks_make(). */
struct answer hooks_update(const struct hooks *scene, const char *rest);

/* Time passes, and the sender sees it. */
void hooks_advance(struct hooks *scene, int64_t ms);

/* The newest delivery, once it has the status and as many attempts. The caller releases it. */
json_t *hooks_wait_delivery(const struct hooks *scene, const char *status, int attempts);

/* A member of it; "": none, or no text. */
const char *hooks_text(const json_t *json, const char *name);

/* Whether it is signed by that secret, by the words of docs/webhooks.md (test_webhook_recipe.c). */
bool signature_is_by(const char *secret, const struct received *item);
