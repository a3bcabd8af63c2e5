#include "services/api-gateway/test_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/test_findings.h"

enum { WAIT_S = 20 };

static void copy_header(struct MHD_Connection *connection, const char *name, char *ret, size_t size)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);

    snprintf(ret, size, "%s", value ?: "");
}

/* Under the lock. */
static void keep(struct receiver *receiver, struct MHD_Connection *connection, const char *path,
                 struct buffer *body)
{
    if (!expect_that(receiver->n < RECEIVED_MAX))
        return;
    struct received *item = &receiver->items[receiver->n++];
    snprintf(item->path, sizeof(item->path), "%s", path);
    copy_header(connection, "Coffer-Signature", item->signature, sizeof(item->signature));
    copy_header(connection, "Coffer-Webhook-Id", item->webhook_id, sizeof(item->webhook_id));
    copy_header(connection, "Coffer-Delivery-Id", item->delivery_id, sizeof(item->delivery_id));
    copy_header(connection, "Content-Type", item->content_type, sizeof(item->content_type));
    item->body = *body;
    *body = (struct buffer){0};
    pthread_cond_broadcast(&receiver->changed);
}

static enum MHD_Result answer(struct receiver *receiver, struct MHD_Connection *connection,
                              unsigned status, const char *location)
{
    _cleanup_free_ char *text = xcalloc(1, receiver->answer_size + 1);

    memset(text, 'x', receiver->answer_size);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(receiver->answer_size, text, MHD_RESPMEM_MUST_COPY);
    if (location)
        MHD_add_response_header(response, "Location", location);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *state, struct MHD_Connection *connection, const char *path,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
    struct receiver *receiver = state;
    struct buffer *body = *context;

    (void)version;
    if (!body) {
        *context = xnew(struct buffer);
        return MHD_YES;
    }
    if (*size) {
        buffer_add(body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    expect_that(strcmp(method, "POST") == 0);
    pthread_mutex_lock(&receiver->lock);
    keep(receiver, connection, path, body);
    while (!receiver->status && !receiver->ending)
        pthread_cond_wait(&receiver->changed, &receiver->lock);
    unsigned status = receiver->fail_first ? 500 : receiver->status ?: 500;
    receiver->fail_first -= receiver->fail_first > 0;
    const char *location = receiver->location;
    pthread_mutex_unlock(&receiver->lock);
    return answer(receiver, connection, status, location);
}

static void on_end(void *state, struct MHD_Connection *connection, void **context,
                   enum MHD_RequestTerminationCode code)
{
    struct receiver *receiver = state;

    (void)connection;
    pthread_mutex_lock(&receiver->lock);
    receiver->cut_off += code != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    if (!*context)
        return;
    buffer_done(*context);
    free(*context);
}

struct receiver *receiver_new(const char *cert, const char *key)
{
    struct receiver *receiver = xnew(struct receiver);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

    pthread_mutex_init(&receiver->lock, NULL);
    pthread_cond_init(&receiver->changed, NULL);
    receiver->status = 200;
    receiver->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | (cert ? MHD_USE_TLS : 0),
        0, NULL, NULL, on_request, receiver, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_ARRAY,
        cert ? tls : none, MHD_OPTION_NOTIFY_COMPLETED, on_end, receiver, MHD_OPTION_END);
    assert_non_null(receiver->daemon);
    receiver->port = MHD_get_daemon_info(receiver->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return receiver;
}

void receiver_free(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->ending = true;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
    MHD_stop_daemon(receiver->daemon);
    for (size_t i = 0; i < receiver->n; i++)
        buffer_done(&receiver->items[i].body);
    pthread_cond_destroy(&receiver->changed);
    pthread_mutex_destroy(&receiver->lock);
    free(receiver);
}

void receiver_set_status(struct receiver *receiver, unsigned status)
{
    pthread_mutex_lock(&receiver->lock);
    receiver->status = status;
    pthread_cond_broadcast(&receiver->changed);
    pthread_mutex_unlock(&receiver->lock);
}

size_t receiver_count(struct receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    size_t n = receiver->n;
    pthread_mutex_unlock(&receiver->lock);
    return n;
}

static void wait_for(struct receiver *receiver, const size_t *count, size_t n, const char *what)
{
    struct timespec deadline;
    int rc = 0;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += WAIT_S;
    pthread_mutex_lock(&receiver->lock);
    while (*count < n && rc == 0)
        rc = pthread_cond_timedwait(&receiver->changed, &receiver->lock, &deadline);
    size_t got = *count;
    pthread_mutex_unlock(&receiver->lock);
    if (got < n)
        fail_msg("%zu of %zu %s", got, n, what);
}

void receiver_wait(struct receiver *receiver, size_t n)
{
    wait_for(receiver, &receiver->n, n, "deliveries came");
}

void receiver_wait_cut_off(struct receiver *receiver, size_t n)
{
    wait_for(receiver, &receiver->cut_off, n, "answers were cut off");
}
