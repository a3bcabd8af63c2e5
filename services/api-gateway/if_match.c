#include "services/api-gateway/if_match.h"

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

struct error *if_match_read(struct request *request, const Coffer__V1__Workload *workload,
                            Coffer__V1__Expectation **ret_expectation)
{
    const char *header = http_header(request, "If-Match");
    Coffer__V1__Expectation *expectation = NULL;

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
    expectation = arena_alloc(request->arena, sizeof(*expectation));
    coffer__v1__expectation__init(expectation);
    expectation->generation = workload->generation;
    expectation->event_sequence = workload->event_sequence;
    *ret_expectation = expectation;
    return NULL;
}
