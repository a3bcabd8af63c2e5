#include "shared/collateral/http_get.h"

#include <curl/curl.h>

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)

#define CONNECT_TIMEOUT_MS 10000L

struct sink {
    struct buffer *body;
    size_t max;
    bool overflow;
};

void http_get_reply_done(struct http_get_reply *reply)
{
    buffer_done(&reply->body);
    *reply = (struct http_get_reply){};
}

static size_t on_body(char *data, size_t size, size_t n, void *sink_data)
{
    struct sink *sink = sink_data;

    if (size * n > sink->max - sink->body->size) {
        sink->overflow = true;
        return 0; /* CURLE_WRITE_ERROR */
    }
    buffer_add(sink->body, data, size * n);
    return size * n;
}

static void set_options(CURL *curl, const struct http_get_request *request)
{
    const char *protocols = request->allow_http ? "http,https" : "https";

    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)request->max);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (request->ca_file) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca_file);
        curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
}

static struct error *problem(CURLcode code, const struct sink *sink, const char *text)
{
    const char *what = text[0] ? text : curl_easy_strerror(code);

    if (sink->overflow || code == CURLE_FILESIZE_EXCEEDED)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "the answer is larger than %zu bytes",
                         sink->max);
    if (code == CURLE_PEER_FAILED_VERIFICATION)
        return error_new(ERROR_PERMISSION_DENIED, "%s", what);
    if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
        return error_new(ERROR_INVALID_ARGUMENT, "%s", what);
    return error_new(ERROR_UNAVAILABLE, "%s", what);
}

struct error *http_get(const struct http_get_request *request, struct http_get_reply *ret_reply)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = curl_easy_init();
    _cleanup_buffer_ struct buffer body = {};
    struct http_get_reply reply = {};
    struct sink sink = {.body = &body, .max = request->max};
    char text[CURL_ERROR_SIZE] = "";
    curl_off_t retry_after = 0;

    if (!curl)
        return error_new(ERROR_INTERNAL, "libcurl");
    set_options(curl, request);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, text);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK)
        return problem(code, &sink, text);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
    if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &retry_after) == CURLE_OK && retry_after > 0)
        reply.retry_after_ms = (retry_after < 86400 ? retry_after : 86400) * 1000;
    reply.body = body;
    body = (struct buffer){};
    *ret_reply = reply;
    return NULL;
}
