/* Steps of the doctor on the way to the gateway. */
#include <curl/curl.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "cli/client.h"
#include "cli/doctor.h"
#include "cli/output.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"

enum { CONNECT_MS = 5000, SKEW_WARN_S = 30, SKEW_FAIL_S = 300, EXPIRY_WARN_DAYS = 14 };

DEFINE_CLEANUP(CURLU *, curl_url_cleanup)
DEFINE_CLEANUP(CURL *, curl_easy_cleanup)

struct place {
    char *scheme;
    char *host;
    char *port;
};

static void place_done(struct place *place)
{
    curl_free(place->scheme);
    curl_free(place->host);
    curl_free(place->port);
}

static bool check_url(struct doctor *doctor, struct place *ret_place)
{
    _cleanup_(curl_url_cleanupp) CURLU *url = curl_url();
    const char *text = doctor->context.url;
    _cleanup_(error_freep) struct error *err = context_check_url(text);

    if (err || curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &ret_place->scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &ret_place->host, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_PORT, &ret_place->port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
        doctor_fail(doctor, EXIT_USAGE, "URL", "coffer login --url URL", "%s",
                    err ? error_text(err) : "it is no URL");
        return false;
    }
    if (!context_is_plain(text))
        doctor_note(doctor, DOCTOR_OK, "URL", NULL, "%s, port %s", ret_place->host,
                    ret_place->port);
    else
        doctor_note(doctor, DOCTOR_WARN, "URL", "use https:// unless the network is your own",
                    "%s is not encrypted: whoever is on the way reads the key", text);
    return true;
}

static bool goes_by_proxy(const struct place *place)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"};
    const char *plain = getenv("http_proxy");

    if (getenv("no_proxy") || getenv("NO_PROXY"))
        return false; /* it may, it may not: look at the direct way */
    if (strcmp(place->scheme, "http") == 0)
        return plain && plain[0];
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (getenv(names[i]))
            return true;
    return false;
}

static void add_address(struct buffer *list, const struct addrinfo *address)
{
    char text[NI_MAXHOST];

    if (getnameinfo(address->ai_addr, address->ai_addrlen, text, sizeof(text), NULL, 0,
                    NI_NUMERICHOST) == 0)
        buffer_printf(list, "%s%s", list->size ? ", " : "", text);
}

static struct addrinfo *check_dns(struct doctor *doctor, const struct place *place)
{
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    _cleanup_buffer_ struct buffer list = {0};
    struct addrinfo *found = NULL;
    bool literal = place->host[0] == '['; /* [::1] */
    _cleanup_free_ char *host =
        literal ? xstrndup(place->host + 1, strlen(place->host) - 2) : xstrdup(place->host);
    int problem = getaddrinfo(host, place->port, &wanted, &found);

    if (problem) {
        doctor_fail(doctor, EXIT_CANNOT_TELL, "DNS", "is the name in the URL right?", "%s: %s",
                    host, gai_strerror(problem));
        return NULL;
    }
    for (const struct addrinfo *a = found; a; a = a->ai_next)
        add_address(&list, a);
    doctor_note(doctor, DOCTOR_OK, "DNS", NULL, "%s is %s", host, buffer_text(&list));
    return found;
}

/* 0, or errno. */
static int connect_to(const struct addrinfo *address)
{
    _cleanup_close_ int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int problem = 0;
    socklen_t size = sizeof(problem);

    if (fd < 0)
        return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    if (errno != EINPROGRESS)
        return errno;
    if (poll(&wait, 1, CONNECT_MS) != 1)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) < 0 ? errno : problem;
}

static bool check_tcp(struct doctor *doctor, const struct place *place,
                      const struct addrinfo *addresses)
{
    int problem = 0;

    for (const struct addrinfo *a = addresses; a; a = a->ai_next) {
        problem = connect_to(a);
        if (problem == 0) {
            doctor_note(doctor, DOCTOR_OK, "TCP", NULL, "port %s answers", place->port);
            return true;
        }
    }
    doctor_fail(doctor, EXIT_CANNOT_TELL, "TCP", "is the gateway up, and no firewall in between?",
                "port %s: %s", place->port, strerror(problem));
    return false;
}

struct seen {
    struct buffer body;
    char date[64];
    long status;
};

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct seen *seen = user;

    if (seen->body.size + size * n > 4096)
        return 0;
    buffer_add(&seen->body, data, size * n);
    return size * n;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    struct seen *seen = user;

    size *= n;
    if (size > 6 && size < sizeof(seen->date) + 6 && strncasecmp(line, "Date: ", 6) == 0)
        snprintf(seen->date, sizeof(seen->date), "%.*s", (int)(size - 6), line + 6);
    return size;
}

static CURL *health_request(const struct context *context, struct seen *seen)
{
    CURL *curl = curl_easy_init();
    _cleanup_free_ char *url = xasprintf("%s/health", context->url);

    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 15000L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, seen);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, seen);
    if (context->ca)
        curl_easy_setopt(curl, CURLOPT_CAINFO, context->ca);
    return curl;
}

/* Of the server's own certificate; NULL: unknown. */
static const char *expiry_of(CURL *curl)
{
    static const char name[] = "Expire date:";
    struct curl_certinfo *info = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
        info->num_of_certs < 1)
        return NULL;
    for (const struct curl_slist *at = info->certinfo[0]; at; at = at->next)
        if (strncmp(at->data, name, strlen(name)) == 0)
            return at->data + strlen(name);
    return NULL;
}

static void check_expiry(struct doctor *doctor, CURL *curl)
{
    const char *expiry = expiry_of(curl);
    time_t end = expiry ? curl_getdate(expiry, NULL) : -1;
    int64_t days = (end - clock_wall_ms(clock_system()) / 1000) / 86400;

    if (end > 0 && days < EXPIRY_WARN_DAYS)
        doctor_note(doctor, DOCTOR_WARN, "TLS", "tell the operator",
                    "the certificate is good, but only until %s", expiry);
    else
        doctor_note(doctor, DOCTOR_OK, "TLS", NULL, "the chain is good%s%s%s",
                    doctor->context.ca ? " with this context's authority" : "",
                    end > 0 ? ", until " : "", end > 0 ? expiry : "");
}

static void fail_exchange(struct doctor *doctor, CURLcode result)
{
    bool tls = result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CONNECT_ERROR ||
               result == CURLE_SSL_CACERT_BADFILE;

    doctor_fail(doctor, EXIT_CANNOT_TELL, tls ? "TLS" : "health",
                result == CURLE_PEER_FAILED_VERIFICATION
                    ? "coffer login --ca FILE, when the gateway has an authority of its own"
                    : "is the URL that of a gateway?",
                "%s", curl_easy_strerror(result));
}

static void check_clock(struct doctor *doctor, const struct seen *seen)
{
    time_t theirs = seen->date[0] ? curl_getdate(seen->date, NULL) : -1;
    int64_t skew = clock_wall_ms(clock_system()) / 1000 - theirs;
    int64_t far = skew < 0 ? -skew : skew;
    static const char hint[] = "set this machine's clock (timedatectl set-ntp true)";

    if (theirs < 0)
        doctor_note(doctor, DOCTOR_SKIPPED, "clock", NULL, "the gateway did not say its time");
    else if (far >= SKEW_FAIL_S)
        doctor_fail(doctor, EXIT_FAILED, "clock", hint, "it is %lld s %s the gateway's",
                    (long long)far, skew < 0 ? "behind" : "before");
    else
        doctor_note(doctor, far >= SKEW_WARN_S ? DOCTOR_WARN : DOCTOR_OK, "clock",
                    far >= SKEW_WARN_S ? hint : NULL, "%lld s apart from the gateway's",
                    (long long)far);
}

static bool check_health(struct doctor *doctor, const struct place *place)
{
    struct seen seen = {0};
    _cleanup_(curl_easy_cleanupp) CURL *curl = health_request(&doctor->context, &seen);
    CURLcode result = curl_easy_perform(curl);
    bool good = false;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &seen.status);
    if (result != CURLE_OK) {
        fail_exchange(doctor, result);
    } else {
        if (strcmp(place->scheme, "https") == 0)
            check_expiry(doctor, curl);
        good = seen.status == 200;
        if (good)
            doctor_note(doctor, DOCTOR_OK, "health", NULL, "the gateway is there");
        else
            doctor_fail(doctor, EXIT_CANNOT_TELL, "health", "is the URL that of a gateway?",
                        "GET /health: HTTP %ld", seen.status);
        check_clock(doctor, &seen);
    }
    buffer_done(&seen.body);
    return good;
}

static void check_version(struct doctor *doctor, struct client *client)
{
    _cleanup_(json_decrefp) json_t *document = NULL;
    _cleanup_(error_freep) struct error *err =
        client_call(client, "GET", "/openapi.json", NULL, &document);
    const char *version =
        json_string_value(json_object_get(json_object_get(document, "info"), "version"));

    if (err || !version)
        doctor_note(doctor, DOCTOR_WARN, "API", "ask the operator to bring the gateway up to date",
                    "the gateway does not say its version: it may be older than this program");
    else
        doctor_note(doctor, DOCTOR_OK, "API", NULL, "version %s; this program is %s", version,
                    COFFER_VERSION);
}

/* A key that is good for workloads only is refused here too, by a kind of its own. */
static bool check_key(struct doctor *doctor, struct client *client, char **ret_account)
{
    _cleanup_(client_headers_done) struct client_headers headers = {0};
    _cleanup_(json_decrefp) json_t *me = NULL;
    _cleanup_(error_freep) struct error *err =
        client_call_with(client, "GET", "/api/v1/accounts/me", NULL, &headers, &me);
    enum error_code code = error_get_code(err);
    bool narrow = err && headers.kind && strcmp(headers.kind, "ACCESS_DENIED") == 0;

    if (narrow)
        doctor_note(doctor, DOCTOR_OK, "key", NULL, "in force; it may not see its account");
    else if (code == ERROR_UNAUTHENTICATED || code == ERROR_PERMISSION_DENIED)
        doctor_fail(doctor, EXIT_DENIED, "key", "coffer login, with a key that is in force",
                    "the gateway does not take it");
    else if (err)
        doctor_fail(doctor, EXIT_CANNOT_TELL, "key", NULL, "%s", error_text(err));
    else
        doctor_note(doctor, DOCTOR_OK, "key", NULL, "of account %s (%s)", output_text(me, "name"),
                    output_text(me, "accountId"));
    *ret_account = err ? NULL : xstrdup(json_string_value(json_object_get(me, "accountId")));
    return !err || narrow;
}

/* Whether a request that changes nothing gets past the scopes: only ACCESS_DENIED says no. */
static bool may(struct client *client, const char *method, const char *path)
{
    json_auto_t *body = strcmp(method, "GET") == 0 ? NULL : json_object();
    _cleanup_(json_decrefp) json_t *answer = NULL;
    _cleanup_(error_freep) struct error *err = client_call(client, method, path, body, &answer);
    enum error_code code = error_get_code(err);

    return code != ERROR_PERMISSION_DENIED && code != ERROR_UNAUTHENTICATED &&
           code != ERROR_NOT_FOUND && code != ERROR_UNIMPLEMENTED;
}

static void check_scopes(struct doctor *doctor, struct client *client, const char *account)
{
    bool reads = may(client, "GET", "/api/v1/workloads/list?limit=1");
    bool deploys = may(client, "POST", "/api/v1/workloads/plan");
    bool admin = false;

    if (account && name_is_valid(account)) {
        _cleanup_free_ char *path = xasprintf("/api/v1/api-keys/account/%s?limit=1", account);
        admin = may(client, "GET", path);
    }
    if (!reads && !deploys && !admin)
        doctor_note(doctor, DOCTOR_WARN, "scopes", "take a key with the scope read or deploy",
                    "the key may do nothing with workloads");
    else
        doctor_note(doctor, DOCTOR_OK, "scopes", NULL, "the key may%s%s%s", reads ? " read" : "",
                    deploys ? " plan" : "", admin ? " administer the account" : "");
}

static void check_images(struct doctor *doctor, struct client *client)
{
    _cleanup_(json_decrefp) json_t *list = NULL;
    _cleanup_(error_freep) struct error *err = client_list(client, "/api/v1/artifacts/list", &list);

    if (err)
        doctor_note(doctor, DOCTOR_WARN, "images", NULL, "%s", error_text(err));
    else if (json_array_size(list) == 0)
        doctor_note(doctor, DOCTOR_WARN, "images", "ask the operator: coffer images enable VERSION",
                    "no guest image is enabled, so nothing can be deployed");
    else
        doctor_note(doctor, DOCTOR_OK, "images", NULL, "%zu guest image%s, first %s",
                    json_array_size(list), json_array_size(list) == 1 ? "" : "s",
                    output_text(json_array_get(list, 0), "version"));
}

static void ask_as_user(struct doctor *doctor)
{
    _cleanup_(client_freep) struct client *client = NULL;
    _cleanup_free_ char *account = NULL;
    _cleanup_(error_freep) struct error *err = client_open_context(&doctor->context, &client);

    if (err) {
        doctor_fail(doctor, EXIT_DENIED, "key", NULL, "%s", error_text(err));
        return;
    }
    check_version(doctor, client);
    if (!check_key(doctor, client, &account))
        return;
    check_scopes(doctor, client, account);
    check_images(doctor, client);
}

void doctor_ask_server(struct doctor *doctor)
{
    _cleanup_(place_done) struct place place = {0};

    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (!check_url(doctor, &place))
        return;
    if (goes_by_proxy(&place)) {
        doctor_note(doctor, DOCTOR_SKIPPED, "TCP", NULL, "a proxy of the environment is used");
    } else {
        struct addrinfo *addresses = check_dns(doctor, &place);
        bool there = addresses && check_tcp(doctor, &place, addresses);
        if (addresses)
            freeaddrinfo(addresses);
        if (!there)
            return;
    }
    if (check_health(doctor, &place) && doctor->context.key)
        ask_as_user(doctor);
}
