#include "services/api-gateway/idempotency.h"

#include <openssl/rand.h>

#include "services/api-gateway/audit.h"
#include "services/api-gateway/auth.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/idempotency_seal.h"
#include "services/api-gateway/json_record.h"
#include "services/api-gateway/read_cache.h"
#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"

#define HEADER "Idempotency-Key"

enum { TRIES = 3 };

struct idempotency {
    struct idempotency_seal seal;
    const char *record; /* its key in the store */
    char fingerprint[2 * SHA256_SIZE + 1];
    char owner[UUID_TEXT_SIZE];
    char made_id[UUID_TEXT_SIZE];
    uint64_t version; /* of the claim */
    bool finished;    /* the answer is kept */
};

/* What of an answer's headers belongs to it; the others are of the moment. */
static const char *const kept_headers[] = {"ETag", "Location"};

bool idempotency_key_is_valid(const char *text)
{
    size_t size = strlen(text);

    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return size >= 1 && size <= IDEMPOTENCY_KEY_MAX;
}

static bool takes_key(const struct route *route)
{
    return strcmp(route->method, MHD_HTTP_METHOD_GET) != 0 &&
           (route->scope == SCOPE_DEPLOY || route->scope == SCOPE_ACCOUNT_ADMIN ||
            route->scope == SCOPE_ADMIN);
}

static enum MHD_Result on_header(void *state, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    unsigned *n = state;

    (void)kind;
    (void)value;
    *n += strcasecmp(name, HEADER) == 0;
    return MHD_YES;
}

/* *ret_key NULL: none was given. */
static struct error *read_key(struct request *request, const char **ret_key)
{
    unsigned n = 0;

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, on_header, &n);
    const char *key = n ? http_header(request, HEADER) ?: "" : NULL;
    if (n > 1)
        return http_refuse(request, 400, "INVALID_IDEMPOTENCY_KEY",
                           error_new(ERROR_INVALID_ARGUMENT, HEADER " is given %u times", n));
    if (key && !idempotency_key_is_valid(key))
        return http_refuse(request, 400, "INVALID_IDEMPOTENCY_KEY",
                           error_new(ERROR_INVALID_ARGUMENT,
                                     HEADER " has not 1 to %d visible ASCII characters",
                                     IDEMPOTENCY_KEY_MAX));
    *ret_key = key;
    return NULL;
}

static struct error *reused(struct request *request)
{
    return http_refuse(request, 422, "IDEMPOTENCY_KEY_REUSED",
                       error_new(ERROR_INVALID_ARGUMENT,
                                 "this " HEADER " belongs to another request: use a new one"));
}

static struct error *in_use(struct request *request, struct response *response)
{
    response_header(request, response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    return http_refuse(request, 409, "IDEMPOTENCY_KEY_IN_USE",
                       error_new(ERROR_ABORTED, "the first request with this " HEADER
                                                " is not answered yet: try again"));
}

static void digest_of(const char *what, const char *account, const char *key,
                      uint8_t ret_digest[SHA256_SIZE])
{
    _cleanup_buffer_ struct buffer text = {0};

    buffer_add_lp(&text, what, strlen(what));
    buffer_add_lp(&text, account, strlen(account));
    buffer_add_lp(&text, key, strlen(key));
    sha256(text.data, text.size, ret_digest);
}

static void make_id(const char *account, const char *key, char ret_id[UUID_TEXT_SIZE])
{
    uint8_t d[SHA256_SIZE];

    digest_of("id", account, key, d);
    d[6] = (uint8_t)((d[6] & 0x0f) | 0x80); /* version 8 */
    d[8] = (uint8_t)((d[8] & 0x3f) | 0x80); /* variant */
    snprintf(ret_id, UUID_TEXT_SIZE,
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", d[0], d[1],
             d[2], d[3], d[4], d[5], d[6], d[7], d[8], d[9], d[10], d[11], d[12], d[13], d[14],
             d[15]);
}

static struct error *prepare(struct request *request, const char *key, struct idempotency *ours)
{
    const char *path =
        arena_printf(request->arena, "%s %s", request->route->path, request->parameter);
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    struct error *err =
        idempotency_seal_init(&ours->seal, auth_secret(request), request->account, key);

    err = err
              ?: idempotency_seal_fingerprint(&ours->seal, request->route->method, path,
                                              &request->body, digest);
    if (err)
        return err;
    hex_encode(digest, sizeof(digest), ours->fingerprint);
    digest_of("record", request->account, key, digest);
    hex_encode(digest, sizeof(digest), hex);
    ours->record = arena_printf(request->arena, "%s%s", KEY_IDEMPOTENCY, hex);
    make_id(request->account, key, ours->made_id);
    uuid_generate_text(ours->owner);
    return NULL;
}

/* Claims the key unless it has a record; either way *ret_record is what it has then. */
static struct error *claim(struct request *request, struct idempotency *ours, json_t **ret_record)
{
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:s}", "fingerprint", ours->fingerprint, "owner", ours->owner);
    const struct store_write write = {.key = ours->record,
                                      .value = json_record_value(request->arena, json),
                                      .expire_ms = IDEMPOTENCY_LEASE_MS};
    const struct store_change change = {.writes = &write, .n_writes = 1};
    struct error *lost = store_commit(request->gateway->store, &change);
    enum error_code code = error_get_code(lost);

    if (lost && code != ERROR_ABORTED && code != ERROR_UNAVAILABLE)
        return lost;
    /* There was one; or nobody knows, and the owner tells. */
    struct error *err = json_record_load(request->gateway->store, ours->record, request->arena,
                                         ret_record, &ours->version);
    if (!err && !*ret_record && code == ERROR_UNAVAILABLE)
        return lost;
    error_free(lost);
    return err;
}

static struct error *open_answer(struct idempotency *ours, const char *text, json_t **ret_answer)
{
    _cleanup_buffer_ struct buffer plain = {0};
    uint8_t *box = NULL;
    size_t size = 0;
    struct error *err =
        base64_decode_new(text, SEAL_PLAINTEXT_MAX + IDEMPOTENCY_SEAL_OVERHEAD, &box, &size);

    err = err ?: idempotency_seal_open(&ours->seal, ours->record, box, size, &plain);
    free(box);
    if (err)
        return err;
    *ret_answer = json_loadb(buffer_text(&plain), plain.size, 0, NULL);
    return *ret_answer ? NULL : error_new(ERROR_INTERNAL, "record '%s' is damaged", ours->record);
}

static struct error *replay(struct request *request, struct idempotency *ours, const char *sealed,
                            struct response *response)
{
    _cleanup_(json_decrefp) json_t *answer = NULL;
    struct error *err = open_answer(ours, sealed, &answer);

    if (error_get_code(err) == ERROR_PERMISSION_DENIED) {
        error_free(err);
        return reused(request);
    }
    if (err)
        return error_recode(err, ERROR_INTERNAL);
    const json_t *headers = json_object_get(answer, "headers");
    for (size_t i = 0; i < ELEMENTSOF(kept_headers); i++) {
        const char *value = json_string_value(json_object_get(headers, kept_headers[i]));
        if (value)
            response_header(request, response, kept_headers[i], value);
    }
    response_header(request, response, "Idempotent-Replayed", "true");
    response->status = (unsigned)json_integer_value(json_object_get(answer, "status"));
    response->json = json_incref(json_object_get(answer, "json"));
    return NULL;
}

static bool is_text(const json_t *json, const char *name, const char *text)
{
    const char *value = json_string_value(json_object_get(json, name));

    return value && strcmp(value, text) == 0;
}

static struct error *judge(struct request *request, struct idempotency *ours, const json_t *record,
                           struct response *response, bool *ret_replayed)
{
    const char *sealed = json_string_value(json_object_get(record, "answer"));
    struct error *err = NULL;

    if (!is_text(record, "fingerprint", ours->fingerprint))
        return reused(request);
    if (is_text(record, "owner", ours->owner)) {
        request->idempotency = ours;
        return NULL;
    }
    if (!sealed)
        return in_use(request, response);
    err = replay(request, ours, sealed, response);
    *ret_replayed = !err;
    return err;
}

struct error *idempotency_begin(struct request *request, struct response *response,
                                bool *ret_replayed)
{
    _cleanup_(json_decrefp) json_t *record = NULL;
    const char *key = NULL;
    struct error *err = takes_key(request->route) ? read_key(request, &key) : NULL;

    *ret_replayed = false;
    if (err || !key)
        return err;
    struct idempotency *ours = arena_alloc(request->arena, sizeof(*ours));
    err = prepare(request, key, ours);
    /* Again when what was there expired before it was read. */
    for (int i = 0; !err && !record && i < TRIES; i++)
        err = claim(request, ours, &record);
    if (!err && !record)
        err = http_refuse(request, 503, "UNAVAILABLE",
                          error_new(ERROR_UNAVAILABLE, "the " HEADER " cannot be kept"));
    err = err ?: judge(request, ours, record, response, ret_replayed);
    if (!request->idempotency)
        idempotency_seal_done(&ours->seal);
    return err;
}

static json_t *headers_json(const struct response *response)
{
    json_t *json = json_object();

    for (size_t i = 0; response && i < response->n_headers; i++)
        for (size_t k = 0; k < ELEMENTSOF(kept_headers); k++)
            if (strcmp(response->headers[i].name, kept_headers[k]) == 0)
                json_object_set_new(json, kept_headers[k], json_string(response->headers[i].value));
    return json;
}

/* Sealed, in base64; caller frees. headers is taken. */
static struct error *seal_answer(struct idempotency *ours, unsigned status, json_t *headers,
                                 const json_t *answer, char **ret_text)
{
    _cleanup_(json_decrefp) json_t *json = json_pack("{s:i, s:o, s:O}", "status", (int)status,
                                                     "headers", headers, "json", (json_t *)answer);
    _cleanup_buffer_ struct buffer box = {0};
    char *plain = json_dumps(json, JSON_COMPACT);
    struct error *err =
        plain ? idempotency_seal_close(&ours->seal, ours->record, plain, strlen(plain), &box)
              : error_new(ERROR_INTERNAL, "an answer is no JSON");

    if (plain)
        OPENSSL_cleanse(plain, strlen(plain));
    free(plain);
    if (!err)
        *ret_text = base64_encode_new(box.data, box.size);
    return err;
}

/* The write that turns the claim into the answer. response: for its headers; NULL: none. */
static struct error *finish(struct request *request, unsigned status,
                            const struct response *response, const json_t *answer,
                            struct store_write *ret_write)
{
    struct idempotency *ours = request->idempotency;
    _cleanup_free_ char *sealed = NULL;
    struct error *err = seal_answer(ours, status, headers_json(response), answer, &sealed);

    if (err)
        return err;
    _cleanup_(json_decrefp) json_t *json =
        json_pack("{s:s, s:s}", "fingerprint", ours->fingerprint, "answer", sealed);
    *ret_write = (struct store_write){.key = ours->record,
                                      .expected_version = ours->version,
                                      .value = json_record_value(request->arena, json),
                                      .expire_ms = IDEMPOTENCY_KEEP_MS};
    return NULL;
}

/* Whether it was the claim, which somebody else has by now. Then a retry finds their answer. */
static struct error *explain_aborted(struct request *request, struct error *aborted)
{
    const struct idempotency *ours = request->idempotency;
    struct store_record record;
    struct error *err = store_get(request->gateway->store, ours->record, request->arena, &record);

    if (!err && record.version == ours->version)
        return aborted;
    error_free(aborted);
    if (err)
        return err;
    return http_refuse(request, 503, "UNAVAILABLE",
                       error_new(ERROR_UNAVAILABLE, "this took too long: try again"));
}

struct error *idempotency_commit(struct request *request, const struct store_change *change,
                                 const json_t *answer)
{
    struct idempotency *ours = request->idempotency;
    struct store_change both = *change;

    if (!ours || ours->finished)
        return read_cache_commit(request->gateway, change);
    struct store_write *writes =
        arena_alloc(request->arena, (change->n_writes + 1) * sizeof(*writes));
    for (size_t i = 0; i < change->n_writes; i++)
        writes[i] = change->writes[i];
    struct error *err = finish(request, MHD_HTTP_OK, NULL, answer, &writes[both.n_writes++]);
    both.writes = writes;
    err = err ?: read_cache_commit(request->gateway, &both);
    ours->finished = !err;
    return error_get_code(err) == ERROR_ABORTED ? explain_aborted(request, err) : err;
}

/* What would be answered again. A stream cannot be kept, and none is the answer to a change. */
static bool is_kept(const struct response *response)
{
    return response->json && response->status < 500 &&
           response->status != MHD_HTTP_TOO_MANY_REQUESTS;
}

/* Keeps the answer, or gives the key back: another try may then run at once. */
static struct error *end(struct request *request, const struct response *response)
{
    const struct idempotency *ours = request->idempotency;
    /* Without a value it is deleted. */
    struct store_write write = {.key = ours->record, .expected_version = ours->version};
    const struct store_change change = {.writes = &write, .n_writes = 1};

    if (is_kept(response))
        log_failure(LOG_LEVEL_WARNING, "an answer is not kept",
                    finish(request, response->status, response, response->json, &write));
    return store_commit(request->gateway->store, &change);
}

void idempotency_end(struct request *request, struct response *response)
{
    struct idempotency *ours = request->idempotency;
    struct error *err = ours && !ours->finished ? end(request, response) : NULL;

    if (ours)
        idempotency_seal_done(&ours->seal);
    if (error_get_code(err) == ERROR_ABORTED) {
        error_free(err); /* the commit that was told as failed happened, or the claim expired */
        return;
    }
    log_failure(LOG_LEVEL_WARNING, "record of an idempotency key", err);
}

void idempotency_make_id(const struct request *request, char ret_id[UUID_TEXT_SIZE])
{
    if (request->idempotency)
        snprintf(ret_id, UUID_TEXT_SIZE, "%s", request->idempotency->made_id);
    else
        uuid_generate_text(ret_id);
}

const char *idempotency_request_id(const struct request *request)
{
    char id[UUID_TEXT_SIZE];

    if (request->idempotency)
        return request->idempotency->fingerprint;
    uuid_generate_text(id);
    return arena_strdup(request->arena, id);
}

struct error *idempotency_was_done(const struct request *request, bool *ret_done)
{
    struct store_record record = {0};
    struct error *err = NULL;

    if (request->idempotency)
        err = store_get(request->gateway->store,
                        arena_printf(request->arena, "%s%s", KEY_DONE_REQUEST,
                                     request->idempotency->fingerprint),
                        request->arena, &record);
    if (err)
        return err;
    audit_noted(request, &record.value);
    *ret_done = record.version != 0;
    return NULL;
}

struct error *idempotency_make_salt(const struct request *request, const char *name,
                                    const void *data, size_t size, uint8_t ret_salt[SHA256_SIZE])
{
    if (request->idempotency)
        return idempotency_seal_salt(&request->idempotency->seal, name, data, size, ret_salt);
    return RAND_bytes(ret_salt, SHA256_SIZE) == 1 ? NULL : error_openssl("salt");
}
