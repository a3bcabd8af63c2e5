#include "services/api-gateway/webhook_call.h"

#include <unistd.h>

#include "services/api-gateway/webhook_url.h"
#include "shared/base/alloc.h"

/* At the moment of the connect, so that a name that changes its address gains nothing. */
static curl_socket_t open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct webhook_call *call = data;

    (void)purpose;
    if (!call->insecure && !webhook_address_is_public(&address->addr, address->addrlen)) {
        call->closed_address = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* The status is all that counts: who sends more is cut off. */
static size_t discard(char *text, size_t size, size_t n, void *data)
{
    struct webhook_call *call = data;

    (void)text;
    call->received += size * n;
    return call->received > WEBHOOK_ANSWER_MAX ? 0 : size * n;
}

static void set_limits(struct webhook_call *call, uint64_t timeout_ms)
{
    CURL *curl = call->curl;

    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, call->insecure ? "http,https" : "https");
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* also none of the environment */
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* a slow name server must not hold up an end */
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
}

static void add_header(struct webhook_call *call, const char *name, const char *value)
{
    char line[512];

    snprintf(line, sizeof(line), "%s: %s", name, value);
    call->headers = curl_slist_append(call->headers, line);
}

static void set_request(struct webhook_call *call, const char *signature)
{
    const struct delivery_record *delivery = &call->claim.delivery;
    char id[128];

    snprintf(id, sizeof(id), "%s.%s", delivery->webhook, delivery->name);
    add_header(call, "Content-Type", "application/json");
    add_header(call, "Coffer-Signature", signature);
    add_header(call, "Coffer-Webhook-Id", delivery->webhook);
    add_header(call, "Coffer-Delivery-Id", id);
    call->headers = curl_slist_append(call->headers, "Expect:");
    curl_easy_setopt(call->curl, CURLOPT_URL, call->claim.webhook.url);
    curl_easy_setopt(call->curl, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(call->curl, CURLOPT_USERAGENT, "Coffer/" COFFER_VERSION);
    curl_easy_setopt(call->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(delivery->body));
    curl_easy_setopt(call->curl, CURLOPT_POSTFIELDS, delivery->body);
    curl_easy_setopt(call->curl, CURLOPT_PRIVATE, call);
}

struct error *webhook_call_new(const struct webhook_claim *claim, struct arena *arena,
                               const struct webhook_call_options *options,
                               struct webhook_call **ret_call)
{
    _cleanup_(webhook_call_freep) struct webhook_call *call = xnew(struct webhook_call);
    char signature[WEBHOOK_SIGNATURE_MAX];
    const char *sealed[2];

    call->claim = *claim;
    call->insecure = options->insecure;
    call->curl = curl_easy_init();
    if (!call->curl)
        return error_new(ERROR_INTERNAL, "libcurl");
    webhook_secrets(&claim->webhook, options->now_ms, sealed);
    struct error *err = webhook_sign(options->key, claim->webhook.id, sealed,
                                     options->now_ms / 1000, claim->delivery.body, signature);
    if (err)
        return err;
    set_limits(call, options->timeout_ms);
    set_request(call, signature);
    call->arena = arena;
    *ret_call = TAKE_PTR(call);
    return NULL;
}

void webhook_call_free(struct webhook_call *call)
{
    curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->headers);
    arena_free(call->arena);
    free(call);
}

/* Our own words: libcurl's name addresses and resolvers of the operator's network. */
static const char *words_of(const struct webhook_call *call, CURLcode code)
{
    if (call->closed_address)
        return "the host has no public address";
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        return "the host's name has no address";
    case CURLE_COULDNT_CONNECT:
        return "no connection";
    case CURLE_OPERATION_TIMEDOUT:
        return "no answer in time";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return "TLS failed: no trusted certificate for this host";
    default:
        return "the connection broke";
    }
}

struct webhook_outcome webhook_call_outcome(struct webhook_call *call, CURLcode code)
{
    bool cut_off = code == CURLE_WRITE_ERROR && call->received > WEBHOOK_ANSWER_MAX;
    long status = 0;

    if (code != CURLE_OK && !cut_off)
        return (struct webhook_outcome){.error = words_of(call, code)};
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    struct webhook_outcome outcome = {.delivered = status >= 200 && status < 300,
                                      .response_status = (unsigned)status};
    if (status >= 300 && status < 400)
        outcome.error = "the receiver answered with a redirect, which is not followed";
    else if (!outcome.delivered)
        outcome.error = arena_printf(call->arena, "the receiver answered %ld", status);
    return outcome;
}
