#include "services/api-gateway/if_match.h"

/* Each that is in vain is one that somebody else got on; the scheduler's own events count, too. */
enum { TRIES = 30 };

static bool is_of(const char *tag, size_t size, const char *beginning)
{
    size_t n = strlen(beginning);

    return size > n + 1 && memcmp(tag, beginning, n) == 0 && tag[size - 1] == '"';
}

/* One of a list: "a", "b". There is no comma in our tags. */
static bool has_tag(const char *list, const char *beginning)
{
    while (*list) {
        list += strspn(list, " \t,");
        size_t size = strcspn(list, ",");
        size_t end = size;
        while (end && (list[end - 1] == ' ' || list[end - 1] == '\t'))
            end--;
        if (is_of(list, end, beginning))
            return true;
        list += size;
    }
    return false;
}

Coffer__V1__Expectation *expectation_of(const Coffer__V1__Workload *workload, struct arena *arena)
{
    Coffer__V1__Expectation *expectation = arena_alloc(arena, sizeof(*expectation));

    coffer__v1__expectation__init(expectation);
    expectation->generation = workload->generation;
    expectation->event_sequence = workload->event_sequence;
    return expectation;
}

struct error *if_match_read(struct request *request, const Coffer__V1__Workload *workload,
                            Coffer__V1__Expectation **ret_expectation)
{
    const char *header = http_header(request, "If-Match");

    *ret_expectation = NULL;
    if (!header || strcmp(header, "*") == 0)
        return NULL;
    const char *beginning =
        arena_printf(request->arena, "\"%llu-%llu-", (unsigned long long)workload->generation,
                     (unsigned long long)workload->event_sequence);
    if (!has_tag(header, beginning))
        return http_refuse(request, 412, "PRECONDITION_FAILED",
                           error_new(ERROR_FAILED_PRECONDITION,
                                     "the workload is not what If-Match says: read it again"));
    *ret_expectation = expectation_of(workload, request->arena);
    return NULL;
}

static bool is_to_be_repeated(const struct request *request, const struct error *err)
{
    const char *header = http_header(request, "If-Match");

    return strcmp(error_reason(err), "if_match") == 0 && (!header || strcmp(header, "*") == 0);
}

struct error *if_match_repeat(struct request *request, const json_t *body, change_step attempt,
                              struct response *ret_response)
{
    struct error *err = NULL;

    for (int i = 0; i < TRIES; i++) {
        error_free(err);
        request->refused_status = 0; /* of the try before */
        request->refused_kind = NULL;
        err = attempt(request, body, ret_response);
        if (!is_to_be_repeated(request, err))
            return err;
    }
    return http_refuse(request, 409, "CONFLICT", err);
}
