/* What handlers ask of their request. */
#include "services/api-gateway/http.h"

#include <arpa/inet.h>
#include <assert.h>

void response_header(struct request *request, struct response *response, const char *name,
                     const char *value)
{
    struct response_header *at = response->headers;

    while (at < response->headers + response->n_headers && strcmp(at->name, name) != 0)
        at++;
    assert(at < response->headers + RESPONSE_HEADERS_MAX);
    if (at == response->headers + response->n_headers)
        response->n_headers++;
    *at = (struct response_header){.name = name, .value = arena_strdup(request->arena, value)};
}

struct error *http_refuse(struct request *request, unsigned status, const char *kind,
                          struct error *err)
{
    request->refused_status = status;
    request->refused_kind = kind;
    return err;
}

const char *http_query(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

/* Blanks behind a value are no part of it; older libmicrohttpd leaves them there. */
const char *http_header(const struct request *request, const char *name)
{
    const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
    size_t size = value ? strlen(value) : 0;
    size_t end = size;

    while (end && (value[end - 1] == ' ' || value[end - 1] == '\t'))
        end--;
    return end == size ? value : arena_printf(request->arena, "%.*s", (int)end, value);
}

const char *http_client_address(struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    char text[INET6_ADDRSTRLEN] = "";

    if (address && address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof(text));
    else if (address)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof(text));
    return arena_strdup(request->arena, text);
}

/* jansson quotes where it stopped, which may be a secret; and names a flag of its own, which no
 * caller can set. */
static void forget_body(json_error_t *where)
{
    static const char *const ends[] = {" near '", " without JSON_ALLOW_NUL"};

    for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
        char *end = strstr(where->text, ends[i]);
        if (end)
            *end = '\0';
    }
}

struct error *http_json(struct request *request, json_t **ret_json)
{
    json_error_t where;
    json_t *json =
        json_loadb(buffer_text(&request->body), request->body.size, JSON_REJECT_DUPLICATES, &where);

    if (!json) {
        forget_body(&where);
        return error_new(ERROR_INVALID_ARGUMENT, "the body is not JSON: line %d: %s", where.line,
                         request->body.size ? where.text : "it is empty");
    }
    if (!json_is_object(json)) {
        json_decref(json);
        return error_new(ERROR_INVALID_ARGUMENT, "the body is not a JSON object");
    }
    *ret_json = json;
    return NULL;
}
