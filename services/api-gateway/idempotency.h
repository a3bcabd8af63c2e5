/*
 * Idempotency-Key: a change that is asked for twice happens once and has one answer. Who got none,
 * or a 503 that leaves open whether it happened, asks again with the same key.
 *
 * coffer:idempotency:<sha256 of account and key>
 *     while it runs: {"fingerprint", "owner"}, for IDEMPOTENCY_LEASE_MS, so that a gateway that
 *     dies does not hold the key for a day
 *     then: {"fingerprint", "answer": sealed, base64}, for IDEMPOTENCY_KEEP_MS
 *
 * A change of the gateway's own records takes its answer along in the commit
 * (idempotency_commit()): it happened exactly when there is an answer, whatever the caller was
 * told, and whoever lost the claim cannot commit. The scheduler notes what it did by the request's
 * id, and does it no second time (change_once.h); a new workload's id, and the salts that are in
 * its manifest, follow from the key (idempotency_make_id(), idempotency_make_salt()).
 *
 * It counts on routes that change something: any method but GET, with a scope of deploy or above.
 * Questions that are POSTs have SCOPE_READ and ignore it.
 */
#pragma once

#include "services/api-gateway/http.h"
#include "shared/seal/seal.h"
#include "shared/store/store.h"

enum { IDEMPOTENCY_KEY_MAX = 255, IDEMPOTENCY_LEASE_MS = 60000 };
#define IDEMPOTENCY_KEEP_MS (INT64_C(24) * 60 * 60 * 1000)

struct idempotency; /* the claim of one request, in its arena */

/* 1 to IDEMPOTENCY_KEY_MAX visible ASCII characters; the space is none. */
bool idempotency_key_is_valid(const char *text);

/*
 * Claims the key of the request, if it has one. *ret_replayed: the answer is there already, now in
 * *response, and the handler must not run. Refused with 400 INVALID_IDEMPOTENCY_KEY, 422
 * IDEMPOTENCY_KEY_REUSED (by another request or another caller) and 409 IDEMPOTENCY_KEY_IN_USE;
 * UNAVAILABLE without the store. Blocks on the store.
 */
struct error *idempotency_begin(struct request *request, struct response *response,
                                bool *ret_replayed) _must_check_;

/* After the handler, with the answer as it will be sent: keeps it, or gives the key back when it
 * is no answer that would be the same another time (5xx, 429). Blocks on the store. */
void idempotency_end(struct request *request, struct response *response);

/*
 * store_commit() in a handler, with the answer (status 200) to the request's key in the same step.
 * Without a key, and after a commit that has the answer, just the change. ABORTED as there;
 * UNAVAILABLE also when the claim was lost, and then nothing changed.
 */
struct error *idempotency_commit(struct request *request, const struct store_change *change,
                                 const json_t *answer) _must_check_;

/* An id for what the request makes: a UUID that follows from account and key (RFC 9562 version 8),
 * so that another try makes the same; a random one without a key. */
void idempotency_make_id(const struct request *request, char ret_id[UUID_TEXT_SIZE]);

/* What tells this request, made with this key, from every other; without a key a random one, each
 * time another. For the scheduler, which does nothing twice: bus_call() asks again by itself when
 * the bus went away before the answer came. Lives with the request. */
const char *idempotency_request_id(const struct request *request);

/*
 * Whether the scheduler has done this very request already, and its answer was lost: its note is in
 * the commit of what it changed. False without a key. Read before what it changed, so that this is
 * not older than the note. Blocks on the store.
 */
struct error *idempotency_was_done(const struct request *request, bool *ret_done) _must_check_;

/* A salt for secret data that the request gives a name: as with ids, another try has the same; a
 * random one without a key. */
struct error *idempotency_make_salt(const struct request *request, const char *name,
                                    const void *data, size_t size,
                                    uint8_t ret_salt[SHA256_SIZE]) _must_check_;
