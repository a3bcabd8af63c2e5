#include "services/api-gateway/problem.h"

#include "services/api-gateway/gateway.h"
#include "services/api-gateway/json_text.h"
#include "shared/base/log.h"

struct problem_row {
    unsigned status;
    const char *kind;
    bool masked; /* the text is for our log only */
};

/* NILCC's words where it has one. */
static const struct problem_row problem_rows[] = {
    [ERROR_OK] = {500, "INTERNAL", true},
    [ERROR_CANCELLED] = {503, "UNAVAILABLE", false},
    [ERROR_UNKNOWN] = {500, "INTERNAL", true},
    [ERROR_INVALID_ARGUMENT] = {400, "INVALID_PAYLOAD", false},
    [ERROR_DEADLINE_EXCEEDED] = {504, "DEADLINE_EXCEEDED", false},
    [ERROR_NOT_FOUND] = {404, "NOT_FOUND", false},
    [ERROR_ALREADY_EXISTS] = {409, "ALREADY_EXISTS", false},
    [ERROR_PERMISSION_DENIED] = {401, "ACCESS_DENIED", false}, /* 403 is never used there */
    [ERROR_RESOURCE_EXHAUSTED] = {503, "NOT_ENOUGH_RESOURCES", false},
    [ERROR_FAILED_PRECONDITION] = {412, "FAILED_PRECONDITION", false},
    [ERROR_ABORTED] = {409, "CONFLICT", false},
    [ERROR_OUT_OF_RANGE] = {400, "INVALID_PAYLOAD", false},
    [ERROR_UNIMPLEMENTED] = {501, "UNIMPLEMENTED", false},
    [ERROR_INTERNAL] = {500, "INTERNAL", true},
    [ERROR_UNAVAILABLE] = {503, "UNAVAILABLE", false},
    [ERROR_DATA_LOSS] = {502, "UNTRUSTED_ANSWER", false},
    [ERROR_UNAUTHENTICATED] = {401, "UNAUTHORIZED", false},
};

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
    if (row->masked || (row->status >= 502 && code != ERROR_RESOURCE_EXHAUSTED))
        log_problem(request, err);
    json_decref(ret_response->json);
    ret_response->status = request->refused_status ?: row->status;
    ret_response->json = envelope(request, row->masked ? "internal error" : error_text(err),
                                  request->refused_kind ?: row->kind);
    error_free(err);
}
