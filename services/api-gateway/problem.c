#include "services/api-gateway/problem.h"

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/guest_call.h"
#include "services/api-gateway/json_text.h"
#include "services/api-gateway/scheduler_call.h"
#include "shared/base/log.h"

#define AGAIN "ask again"

struct problem_row {
    unsigned status;
    const char *kind;
    const char *words; /* instead of the text, which is for our log only; NULL: the text */
};

/* NILCC's words where it has one. What is away is told by explain(). */
static const struct problem_row problem_rows[] = {
    [ERROR_OK] = {500, "INTERNAL", "internal error"},
    [ERROR_CANCELLED] = {503, "UNAVAILABLE", "this was broken off; " AGAIN},
    [ERROR_UNKNOWN] = {500, "INTERNAL", "internal error"},
    [ERROR_INVALID_ARGUMENT] = {400, "INVALID_PAYLOAD", NULL},
    [ERROR_DEADLINE_EXCEEDED] = {504, "DEADLINE_EXCEEDED", "no answer came in time; " AGAIN},
    [ERROR_NOT_FOUND] = {404, "NOT_FOUND", NULL},
    [ERROR_ALREADY_EXISTS] = {409, "ALREADY_EXISTS", NULL},
    [ERROR_PERMISSION_DENIED] = {401, "ACCESS_DENIED", NULL}, /* 403 is never used there */
    [ERROR_RESOURCE_EXHAUSTED] = {503, "UNAVAILABLE", "this is too much for the fleet"},
    [ERROR_FAILED_PRECONDITION] = {412, "FAILED_PRECONDITION", NULL},
    [ERROR_ABORTED] = {409, "CONFLICT", "somebody else changed this at the same time; " AGAIN},
    [ERROR_OUT_OF_RANGE] = {400, "INVALID_PAYLOAD", NULL},
    [ERROR_UNIMPLEMENTED] = {501, "UNIMPLEMENTED", NULL},
    [ERROR_INTERNAL] = {500, "INTERNAL", "internal error"},
    [ERROR_UNAVAILABLE] = {503, "UNAVAILABLE", "this cannot be answered now; " AGAIN},
    [ERROR_DATA_LOSS] = {502, "UNTRUSTED_ANSWER", NULL},
    [ERROR_UNAUTHENTICATED] = {401, "UNAUTHORIZED", NULL},
};

/* Who is away, by the reason of an error. */
static const struct {
    const char *reason;
    const char *words;
} away_rows[] = {
    {STORE_AWAY, "the fleet's store cannot be reached; " AGAIN},
    {SCHEDULER_AWAY, "the scheduler does not answer; " AGAIN},
    {GUEST_AWAY, "the guest does not answer; " AGAIN},
};

/* What the caller reads; NULL: the text. It says what a caller can act on where it was written for
 * one, which is so for what a handler refused itself. */
static const char *explain(const struct request *request, const struct problem_row *row,
                           const struct error *err)
{
    if (!row->words || (request->refused_kind && row->status != 500))
        return NULL;
    for (size_t i = 0; i < ELEMENTSOF(away_rows); i++)
        if (strcmp(away_rows[i].reason, error_reason(err)) == 0)
            return away_rows[i].words;
    return row->words;
}

static json_t *text(const char *value)
{
    return json_text(value, strlen(value));
}

json_t *findings_to_json(const struct findings *findings)
{
    json_t *list = json_array();

    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *f = &findings->items[i];
        json_array_append_new(list,
                              json_pack("{s:o, s:o, s:i, s:o, s:o, s:o}", "rule", text(f->rule),
                                        "where", text(f->where), "line", (int)f->line, "what",
                                        text(f->what), "why", text(f->why), "fix", text(f->fix)));
    }
    return list;
}

static json_t *envelope(struct request *request, const char *words, const char *kind)
{
    char now[CLOCK_TEXT_SIZE];

    clock_format(clock_wall_ms(request->gateway->clock), now);
    json_t *json = json_pack("{s:s, s:o, s:s, s:s}", "ts", now, "error", text(words), "kind", kind,
                             "requestId", request->id);
    if (request->findings && request->findings->n)
        json_object_set_new(json, "findings", findings_to_json(request->findings));
    return json;
}

static void log_problem(const struct request *request, const struct error *err)
{
    log_event(LOG_LEVEL_ERROR, "request failed", "request_id", request->id, "route",
              request->route ? request->route->path : "none", "error", error_text(err), "origin",
              error_origin(err), "code", error_code_name(error_get_code(err)), NULL);
}

void problem_response(struct request *request, struct error *err, struct response *ret_response)
{
    enum error_code code = error_get_code(err);
    const struct problem_row *row = &problem_rows[ERROR_INTERNAL];

    if ((size_t)code < ELEMENTSOF(problem_rows) && problem_rows[code].status)
        row = &problem_rows[code];
    const char *words = explain(request, row, err);
    if (words || (row->status >= 502 && code != ERROR_RESOURCE_EXHAUSTED))
        log_problem(request, err);
    json_decref(ret_response->json);
    ret_response->status = request->refused_status ?: row->status;
    ret_response->json =
        envelope(request, words ?: error_text(err), request->refused_kind ?: row->kind);
    error_free(err);
}
