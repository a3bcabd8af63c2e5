#include "services/api-gateway/rendered_list.h"

#include "services/api-gateway/list_page.h"
#include "services/api-gateway/workloads.h"

static const char *const arguments[] = {
    "status", "name", "artifactsVersion", "domain", "createdAfter", "createdBefore", "sort", NULL,
};

static const struct {
    const char *name;
    list_compare compare;
} sorts[] = {
    {"", list_by_key},
    {"createdAt", list_by_key},
    {"-createdAt", list_by_key_down},
    {"name", list_by_key},
};

struct filter {
    const char *status; /* NULL: any */
    const char *name;
    const char *version;
    const char *domain;
    int64_t after_ms;
    int64_t before_ms;
};

static list_compare compare_of(const char *sort)
{
    for (size_t i = 0; i < ELEMENTSOF(sorts); i++)
        if (strcmp(sorts[i].name, sort) == 0)
            return sorts[i].compare;
    return NULL;
}

static bool is_status(const char *name, size_t size)
{
    for (int i = COFFER__V1__WORKLOAD_STATUS__SCHEDULED; i <= COFFER__V1__WORKLOAD_STATUS__DELETED;
         i++) {
        const char *known = workload_status_name((Coffer__V1__WorkloadStatus)i);
        if (strlen(known) == size && strncmp(known, name, size) == 0)
            return true;
    }
    return false;
}

static void check_statuses(struct list_query *query)
{
    const char *at = list_query_text(query, "status");

    while (at) {
        size_t size = strcspn(at, ",");
        if (!is_status(at, size)) {
            list_query_find(query, "status", "there is no such status",
                            "write one or more, such as running,degraded");
            return;
        }
        at = at[size] ? at + size + 1 : NULL;
    }
}

static void read_filter(struct list_query *query, struct filter *ret_filter)
{
    *ret_filter = (struct filter){
        .status = list_query_text(query, "status"),
        .name = list_query_text(query, "name"),
        .version = list_query_text(query, "artifactsVersion"),
        .domain = list_query_text(query, "domain"),
        .after_ms = INT64_MIN,
        .before_ms = INT64_MAX,
    };
    list_query_time(query, "createdAfter", &ret_filter->after_ms);
    list_query_time(query, "createdBefore", &ret_filter->before_ms);
}

void workload_list_read(struct request *request, struct list_query *ret_query)
{
    struct filter filter;

    list_query_read(request, arguments, ret_query);
    if (!compare_of(ret_query->sort))
        list_query_find(ret_query, "sort", "it cannot be sorted by that",
                        "write createdAt, -createdAt or name");
    check_statuses(ret_query);
    read_filter(ret_query, &filter); /* for its findings */
}

static bool has_status(const char *list, const char *status)
{
    size_t size = strlen(status);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, status, size) == 0 && (at[size] == ',' || !at[size]))
            return true;
    return false;
}

static bool matches(const struct rendered *rendered, const struct filter *filter)
{
    if (filter->status && !has_status(filter->status, workload_status_name(rendered->status)))
        return false;
    if (filter->name && !strstr(rendered_text(rendered, RENDERED_NAME), filter->name))
        return false;
    if (filter->version && strcmp(rendered_text(rendered, RENDERED_VERSION), filter->version) != 0)
        return false;
    if (filter->domain && strcmp(rendered_text(rendered, RENDERED_DOMAIN), filter->domain) != 0)
        return false;
    return rendered->created_at_ms > filter->after_ms &&
           rendered->created_at_ms < filter->before_ms;
}

static const char *key_of(struct request *request, const struct rendered *rendered,
                          const char *sort)
{
    if (!*sort)
        return "";
    if (strcmp(sort, "name") == 0)
        return rendered_text(rendered, RENDERED_NAME);
    return list_key_of_number(request->arena, (uint64_t)rendered->created_at_ms);
}

static void add_page(struct response *response, const struct list_item *items, size_t n)
{
    size_t size = 2;

    for (size_t i = 0; i < n; i++)
        size += ((const struct rendered *)items[i].what)->list_size + 2;
    buffer_reserve(&response->body, size);
    buffer_add(&response->body, "[", 1);
    for (size_t i = 0; i < n; i++) {
        const struct rendered *rendered = items[i].what;
        buffer_add(&response->body, rendered_json(rendered), rendered->list_size);
        buffer_add(&response->body, "},", i + 1 < n ? 2 : 1);
    }
    buffer_add(&response->body, "]", 1);
    response->content_type = "application/json";
}

/* Of its parts: cheaper than of the whole text. */
static void tag_of(const struct list_item *items, size_t n, char ret_tag[ETAG_SIZE])
{
    _cleanup_buffer_ struct buffer digests = {0};
    char digest[9];

    buffer_reserve(&digests, 8 * n + 1);
    for (size_t i = 0; i < n; i++)
        buffer_add(&digests, ((const struct rendered *)items[i].what)->list_digest, 8);
    etag_digest(digests.data, digests.size, digest);
    snprintf(ret_tag, ETAG_SIZE, "\"%zu-%s\"", n, digest);
}

void workload_list_answer(struct request *request, struct response *response,
                          struct list_query *query, struct store_cached *const *values, size_t n)
{
    struct list_item *items = arena_alloc(request->arena, (n + 1) * sizeof(*items));
    struct filter filter;
    char tag[ETAG_SIZE];
    size_t found = 0;

    read_filter(query, &filter);
    for (size_t i = 0; i < n; i++) {
        const struct rendered *rendered = rendered_of(values[i]);
        if (rendered->status != COFFER__V1__WORKLOAD_STATUS__DELETED &&
            strcmp(rendered_text(rendered, RENDERED_ACCOUNT), request->account) == 0 &&
            matches(rendered, &filter))
            items[found++] = (struct list_item){.key = key_of(request, rendered, query->sort),
                                                .id = rendered_text(rendered, RENDERED_ID),
                                                .what = rendered};
    }
    items = list_page(request, response, query, compare_of(query->sort), items, &found);
    tag_of(items, found, tag);
    if (!etag_answer(request, response, tag))
        add_page(response, items, found);
}
