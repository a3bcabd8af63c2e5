#include "cli/problem.h"

#include <jansson.h>
#include <string.h>

/* A key is not sent after a redirection. */
#define ELSEWHERE "something before the gateway leads elsewhere: is the URL right? https, perhaps"

const struct problem_kind problem_kinds[] = {
    {"UNAUTHORIZED", 401, ERROR_UNAUTHENTICATED,
     "coffer login, or give a key that is in force in COFFER_API_KEY"},
    {"ACCESS_DENIED", 401, ERROR_PERMISSION_DENIED,
     "use a key with a wider scope (coffer keys create --scope), or --admin"},
    {"NOT_ENOUGH_BALANCE", 412, ERROR_RESOURCE_EXHAUSTED,
     "coffer accounts me shows the balance; ask the operator to add to it"},
    {"QUOTA_EXCEEDED", 412, ERROR_RESOURCE_EXHAUSTED,
     "coffer rm what is not needed, or ask the operator for a larger quota"},
    {"NOT_ENOUGH_RESOURCES", 503, ERROR_RESOURCE_EXHAUSTED,
     "try a smaller size, or later: no host has room now"},
    {"TOO_MANY_REQUESTS", 429, ERROR_RESOURCE_EXHAUSTED, "slow down"},
    {"DATA_LOSS_NOT_CONFIRMED", 412, ERROR_FAILED_PRECONDITION,
     "add --confirm-data-loss when all that the workload stored may go"},
    {"PRECONDITION_FAILED", 412, ERROR_FAILED_PRECONDITION,
     "somebody changed it meanwhile: look at it (coffer show), then say it again"},
    {"FAILED_PRECONDITION", 412, ERROR_FAILED_PRECONDITION, NULL},
    {"IDEMPOTENCY_KEY_IN_USE", 409, ERROR_ABORTED,
     "the same change is still going on: wait, and say it again with the same key"},
    {"IDEMPOTENCY_KEY_REUSED", 422, ERROR_FAILED_PRECONDITION,
     "this --idempotency-key was used for something else: take another one"},
    {"INVALID_IDEMPOTENCY_KEY", 400, ERROR_INVALID_ARGUMENT,
     "--idempotency-key is 1 to 255 visible ASCII characters"},
    {"ALREADY_EXISTS", 409, ERROR_ALREADY_EXISTS, NULL},
    {"CONFLICT", 409, ERROR_ABORTED, "somebody changed it meanwhile: look, and say it again"},
    {"NOT_FOUND", 404, ERROR_NOT_FOUND,
     "it may belong to another account: coffer context show says who asks"},
    {"UNAVAILABLE", 503, ERROR_UNAVAILABLE, "coffer doctor looks closer"},
    {"DEADLINE_EXCEEDED", 504, ERROR_DEADLINE_EXCEEDED,
     "it may still happen: look before you say it again"},
    {"UNTRUSTED_ANSWER", 502, ERROR_DATA_LOSS, NULL},
    {"UNIMPLEMENTED", 501, ERROR_UNIMPLEMENTED, "this gateway is older than the command line"},
    {"INTERNAL", 500, ERROR_INTERNAL, "tell the operator, with the request id"},
    {"INVALID_PAYLOAD", 400, ERROR_INVALID_ARGUMENT, NULL},
    {"INVALID_PATH", 400, ERROR_INVALID_ARGUMENT, NULL},
    {"PAYLOAD_TOO_LARGE", 413, ERROR_INVALID_ARGUMENT, "leave files out, or fetch them at start"},
    {"METHOD_NOT_ALLOWED", 405, ERROR_UNIMPLEMENTED, "this gateway is older than the command line"},
    {"ARTIFACT_VERSION_DOES_NOT_EXIST", 400, ERROR_INVALID_ARGUMENT,
     "coffer images ls shows the versions"},
    {"ARTIFACT_VERSION_NOT_SEMVER", 400, ERROR_INVALID_ARGUMENT,
     "this fleet takes versions like 1.2.3 only"},
    {"INVALID_WORKLOAD_TIER", 400, ERROR_INVALID_ARGUMENT, "coffer tiers ls shows the sizes"},
    {"METAL_INSTANCE_ALIVE", 412, ERROR_FAILED_PRECONDITION, "stop its agent first"},
    {"METAL_INSTANCE_MANAGING_WORKLOADS", 412, ERROR_FAILED_PRECONDITION,
     "coffer hosts show lists them: coffer rm them first"},
    /* What has none of these kinds, or comes from a proxy. */
    {NULL, 301, ERROR_INTERNAL, ELSEWHERE},
    {NULL, 302, ERROR_INTERNAL, ELSEWHERE},
    {NULL, 307, ERROR_INTERNAL, ELSEWHERE},
    {NULL, 308, ERROR_INTERNAL, ELSEWHERE},
    {NULL, 400, ERROR_INVALID_ARGUMENT, NULL},
    {NULL, 401, ERROR_UNAUTHENTICATED, "coffer login"},
    {NULL, 403, ERROR_PERMISSION_DENIED, "something before the gateway refuses: is the URL right?"},
    {NULL, 404, ERROR_NOT_FOUND, "is the URL that of a gateway? coffer doctor looks closer"},
    {NULL, 409, ERROR_ABORTED, NULL},
    {NULL, 412, ERROR_FAILED_PRECONDITION, NULL},
    {NULL, 413, ERROR_INVALID_ARGUMENT, "it is too large: leave files out"},
    {NULL, 422, ERROR_FAILED_PRECONDITION, NULL},
    {NULL, 429, ERROR_RESOURCE_EXHAUSTED, "slow down"},
    {NULL, 502, ERROR_UNAVAILABLE, "the gateway is away: coffer doctor looks closer"},
    {NULL, 503, ERROR_UNAVAILABLE, "coffer doctor looks closer"},
    {NULL, 504, ERROR_UNAVAILABLE, "the gateway is away: coffer doctor looks closer"},
    {NULL, 0, ERROR_INTERNAL, NULL},
};
const size_t n_problem_kinds = ELEMENTSOF(problem_kinds);

const struct problem_kind *problem_find(long status, const char *kind)
{
    const struct problem_kind *row = problem_kinds;

    for (; row < &problem_kinds[n_problem_kinds - 1]; row++)
        if (row->kind ? kind && strcmp(row->kind, kind) == 0 : row->status == status)
            break;
    return row;
}

static void add_finding(struct buffer *text, const json_t *finding)
{
    static const char *const parts[] = {"where", "what", "why", "fix"};
    static const char *const before[] = {"\n  ", ": ", "\n      why: ", "\n      fix: "};

    for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
        const char *part = json_string_value(json_object_get(finding, parts[i]));
        if (part && part[0])
            buffer_printf(text, "%s%s", before[i], part);
    }
}

static json_t *parse(const struct buffer *body)
{
    return json_loadb(buffer_text(body), body->size, 0, NULL);
}

static const char *member(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text && text[0] ? text : NULL;
}

struct error *problem_error(long status, const struct buffer *body, unsigned retry_after)
{
    _cleanup_(json_decrefp) json_t *json = parse(body);
    const char *kind = member(json, "kind");
    const struct problem_kind *row = problem_find(status, kind);
    _cleanup_buffer_ struct buffer all = {0};
    const json_t *finding;
    size_t i;

    buffer_printf(&all, "%s (%s, HTTP %ld)", member(json, "error") ?: "the gateway gave no reason",
                  kind ?: "no kind", status);
    json_array_foreach(json_object_get(json, "findings"), i, finding) add_finding(&all, finding);
    if (row->code == ERROR_INTERNAL && member(json, "requestId"))
        buffer_printf(&all, "\n  request id: %s", member(json, "requestId"));
    if (retry_after)
        buffer_printf(&all, "\n  try: again in %u s%s%s", retry_after, row->hint ? "; " : "",
                      row->hint ?: "");
    else if (row->hint && status == 503 && row->code == ERROR_UNAVAILABLE)
        buffer_printf(&all, "\n  try: again in a moment; %s", row->hint);
    else if (row->hint)
        buffer_printf(&all, "\n  try: %s", row->hint);
    return error_new(row->code, "%s", buffer_text(&all));
}

bool problem_passes(long status, const struct buffer *body)
{
    _cleanup_(json_decrefp) json_t *json = parse(body);
    const struct problem_kind *row = problem_find(status, member(json, "kind"));

    return (status == 503 && row->code == ERROR_UNAVAILABLE) ||
           (row->kind && strcmp(row->kind, "IDEMPOTENCY_KEY_IN_USE") == 0);
}
