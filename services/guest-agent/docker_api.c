#include "services/guest-agent/docker_api.h"

#include <curl/curl.h>
#include <jansson.h>

#include "shared/base/alloc.h"

enum { ANSWER_MAX = 64 * 1024, TIMEOUT_S = 30, UPLOAD_TIMEOUT_S = 300 };

struct transfer {
    CURL *curl;
    size_t max;
    struct buffer body; /* the whole answer, or that of a failed stream */
    bool (*on_data)(void *data, const void *bytes, size_t size);
    void *data;
    const atomic_bool *stop;
    bool ended; /* the receiver has enough */
    bool too_large;
};

static void transfer_done(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->curl);
    buffer_done(&transfer->body);
}
#define _cleanup_transfer_ _cleanup_(transfer_done)

static size_t on_bytes(char *bytes, size_t one, size_t size, void *data)
{
    struct transfer *transfer = data;
    long status = 0;

    (void)one;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->on_data && status < 400) {
        transfer->ended = !transfer->on_data(transfer->data, bytes, size);
        return transfer->ended ? 0 : size;
    }
    transfer->too_large = transfer->body.size + size > transfer->max;
    if (transfer->too_large)
        return 0;
    buffer_add(&transfer->body, bytes, size);
    return size;
}

static int on_progress(void *data, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct transfer *transfer = data;

    (void)a, (void)b, (void)c, (void)d;
    if (transfer->stop && atomic_load(transfer->stop))
        transfer->ended = true;
    return transfer->ended;
}

static void transfer_init(struct transfer *transfer, const char *socket, const char *path,
                          size_t max, long timeout_s)
{
    _cleanup_free_ char *url = xasprintf("http://docker%s%s", DOCKER_API_VERSION, path);

    *transfer = (struct transfer){.curl = curl_easy_init(), .max = max};
    if (!transfer->curl)
        abort();
    curl_easy_setopt(transfer->curl, CURLOPT_UNIX_SOCKET_PATH, socket);
    curl_easy_setopt(transfer->curl, CURLOPT_URL, url);
    curl_easy_setopt(transfer->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(transfer->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(transfer->curl, CURLOPT_CONNECTTIMEOUT, 5L);
    curl_easy_setopt(transfer->curl, CURLOPT_TIMEOUT, timeout_s);
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(transfer->curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(transfer->curl, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(transfer->curl, CURLOPT_NOPROGRESS, 0L);
    /* A log follower each: the default of 16 KiB a handle is plenty, less is enough. */
    curl_easy_setopt(transfer->curl, CURLOPT_BUFFERSIZE, 8192L);
}

/* {"message": "…"}: the engine's own words. */
static char *message_of(const struct buffer *body)
{
    json_t *json = json_loadb(buffer_text(body), body->size, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "message"));
    char *message = xasprintf("%.2000s", text ? text : buffer_text(body));

    json_decref(json);
    return message;
}

static struct error *transfer_run(struct transfer *transfer, const char *path)
{
    CURLcode rc = curl_easy_perform(transfer->curl);
    int shown = (int)strcspn(path, "?");
    long status = 0;

    if (transfer->ended)
        return NULL;
    if (transfer->too_large)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "docker's answer to '%.*s' is too large", shown,
                         path);
    if (rc == CURLE_OPERATION_TIMEDOUT)
        return error_new(ERROR_DEADLINE_EXCEEDED, "docker did not answer '%.*s'", shown, path);
    if (rc != CURLE_OK)
        return error_new(ERROR_UNAVAILABLE, "docker '%.*s': %s", shown, path,
                         curl_easy_strerror(rc));
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status < 400)
        return NULL;
    _cleanup_free_ char *message = message_of(&transfer->body);
    return error_new(status == 404 ? ERROR_NOT_FOUND : ERROR_INTERNAL, "docker: %s", message);
}

struct error *docker_api_get(const char *socket, const char *path, size_t max,
                             struct buffer *ret_body)
{
    _cleanup_transfer_ struct transfer transfer;

    transfer_init(&transfer, socket, path, max, TIMEOUT_S);
    struct error *err = transfer_run(&transfer, path);
    if (!err)
        buffer_add(ret_body, transfer.body.data, transfer.body.size);
    return err;
}

struct error *docker_api_post_file(const char *socket, const char *path, const char *file,
                                   struct buffer *ret_body)
{
    _cleanup_transfer_ struct transfer transfer = {0};
    _cleanup_fclose_ FILE *source = fopen(file, "re");
    struct curl_slist *headers = NULL;

    if (!source)
        return error_errno(errno, "open '%s'", file);
    transfer_init(&transfer, socket, path, ANSWER_MAX, UPLOAD_TIMEOUT_S);
    headers = curl_slist_append(headers, "Content-Type: application/x-tar");
    headers = curl_slist_append(headers, "Transfer-Encoding: chunked");
    headers = curl_slist_append(headers, "Expect:");
    curl_easy_setopt(transfer.curl, CURLOPT_POST, 1L);
    curl_easy_setopt(transfer.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(transfer.curl, CURLOPT_READDATA, source);
    curl_easy_setopt(transfer.curl, CURLOPT_UPLOAD_BUFFERSIZE, 65536L);
    struct error *err = transfer_run(&transfer, path);
    curl_slist_free_all(headers);
    if (!err)
        buffer_add(ret_body, transfer.body.data, transfer.body.size);
    return err;
}

struct error *docker_api_stream(const char *socket, const char *path,
                                bool (*on_data)(void *data, const void *bytes, size_t size),
                                void *data, const atomic_bool *stop)
{
    _cleanup_transfer_ struct transfer transfer;

    transfer_init(&transfer, socket, path, ANSWER_MAX, 0);
    transfer.on_data = on_data;
    transfer.data = data;
    transfer.stop = stop;
    return transfer_run(&transfer, path);
}
