#include "services/api-gateway/kept_answer.h"

#include "shared/base/alloc.h"

/* The value of the entry: the tag, then the text. */
struct kept_answer {
    char tag[ETAG_SIZE];
    char text[];
};

static bool has_query(const struct request *request)
{
    return MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0;
}

bool kept_answer_now(struct request *request, struct response *response, const char *name)
{
    if (has_query(request))
        return false;
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cache_get(request->gateway->cache, name);
    if (!value)
        return false;
    const struct kept_answer *kept = (const struct kept_answer *)value->data;
    if (etag_answer(request, response, kept->tag))
        return true;
    buffer_add(&response->body, kept->text, value->size - sizeof(*kept));
    response->content_type = "application/json";
    return true;
}

void kept_answer_put(struct request *request, struct response *response, const char *name,
                     const struct store_ticket *ticket, uint64_t version, const char *tag)
{
    _cleanup_free_ char *text = json_dumps(response->json, JSON_COMPACT | JSON_REAL_PRECISION(15));
    size_t size = strlen(text);
    _cleanup_(store_cached_unrefp) struct store_cached *value =
        store_cached_new(sizeof(struct kept_answer) + size, version);
    struct kept_answer *kept = (struct kept_answer *)value->data;
    char digest[9];

    etag_digest(text, size, digest);
    snprintf(kept->tag, sizeof(kept->tag), "\"%s\"", digest);
    if (tag)
        snprintf(kept->tag, sizeof(kept->tag), "%s", tag);
    memcpy(kept->text, text, size);
    if (!has_query(request))
        store_cache_put(request->gateway->cache, name, ticket, value);
    if (tag || !etag_answer(request, response, kept->tag))
        return;
    json_decref(response->json);
    response->json = NULL;
}
