#include "services/api-gateway/etag.h"

#include <inttypes.h>

#include "shared/seal/seal.h"

static const char *skip(const char *text, const char *characters)
{
    return text + strspn(text, characters);
}

static bool is_tag(const char *text, size_t size, const char *tag, bool weak)
{
    if (weak && size > 2 && strncmp(text, "W/", 2) == 0) {
        text += 2;
        size -= 2;
    }
    return size == strlen(tag) && memcmp(text, tag, size) == 0;
}

bool etag_is_in(const char *header, const char *tag, bool weak)
{
    if (strcmp(header, "*") == 0)
        return true;
    for (const char *at = skip(header, " \t,"); *at;) {
        size_t size = strcspn(at, ",");
        size_t end = size;
        while (end && (at[end - 1] == ' ' || at[end - 1] == '\t'))
            end--;
        if (is_tag(at, end, tag, weak))
            return true;
        at = skip(at + size, " \t,");
    }
    return false;
}

void etag_of_version(uint64_t version, char ret_tag[ETAG_SIZE])
{
    snprintf(ret_tag, ETAG_SIZE, "\"%" PRIu64 "\"", version);
}

void etag_digest(const void *data, size_t size, char ret_hex[9])
{
    uint8_t digest[SHA256_SIZE];

    sha256(data, size, digest);
    hex_encode(digest, 4, ret_hex);
}

bool etag_answer(struct request *request, struct response *response, const char *tag)
{
    const char *known = http_header(request, MHD_HTTP_HEADER_IF_NONE_MATCH);

    response_header(request, response, MHD_HTTP_HEADER_ETAG, tag);
    if (!known || !etag_is_in(known, tag, true))
        return false;
    response->status = MHD_HTTP_NOT_MODIFIED;
    return true;
}

void etag_answer_body(struct request *request, struct response *response)
{
    char digest[9];

    etag_digest(buffer_text(&response->body), response->body.size, digest);
    if (etag_answer(request, response, arena_printf(request->arena, "\"%s\"", digest)))
        buffer_done(&response->body);
}

struct error *etag_check_version(struct request *request, uint64_t version)
{
    const char *wanted = http_header(request, MHD_HTTP_HEADER_IF_MATCH);
    char tag[ETAG_SIZE];

    etag_of_version(version, tag);
    if (!wanted || etag_is_in(wanted, tag, false))
        return NULL;
    return http_refuse(
        request, 412, "PRECONDITION_FAILED",
        error_new(ERROR_FAILED_PRECONDITION, "it is not what If-Match says: read it again"));
}
