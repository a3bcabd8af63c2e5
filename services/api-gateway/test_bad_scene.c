#include "services/api-gateway/test_bad_scene.h"

#include <sys/socket.h>

#include "services/api-gateway/test_raw.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

#define COMPOSE "services: {web: {image: a}}"

static void on_told(void *state, enum store_news news, const char *text)
{
    struct bad_scene *bad = state;

    if (news != STORE_CHANGED)
        return;
    pthread_mutex_lock(&bad->lock);
    buffer_printf(&bad->told, "%s\n", text);
    pthread_mutex_unlock(&bad->lock);
}

/* Makes something, and keeps one text of the answer. */
static void make(const struct bad_scene *bad, enum actor actor, const char *path, const char *body,
                 const char *name, size_t size, char *ret_text)
{
    _cleanup_answer_ struct answer answer = scene_call(bad->scene, actor, "POST", path, body);

    if (answer.status != 200)
        fail_msg("%s %s: %s", path, body, buffer_text(&answer.body));
    snprintf(ret_text, size, "%s", answer_text(&answer, name));
}

static void make_members(struct bad_scene *bad)
{
    static const char key[] = "{\"accountId\":\"$OURS\",\"type\":\"account-admin\",\"memberId\":"
                              "\"%s\"}";
    char off[64];
    char viewer[64];

    make(bad, ACCOUNT_ADMIN, "/api/v1/members/create",
         "{\"accountId\":\"$OURS\",\"name\":\"m\",\"role\":\"owner\"}", "memberId", 64,
         bad->member);
    make(bad, FOREIGN, "/api/v1/members/create",
         "{\"accountId\":\"$THEIRS\",\"name\":\"m\",\"role\":\"owner\"}", "memberId", 64,
         bad->alien_member);
    make(bad, ACCOUNT_ADMIN, "/api/v1/members/create",
         "{\"accountId\":\"$OURS\",\"name\":\"off\",\"role\":\"deployer\"}", "memberId", 64, off);
    make(bad, ACCOUNT_ADMIN, "/api/v1/members/create",
         "{\"accountId\":\"$OURS\",\"name\":\"v\",\"role\":\"viewer\"}", "memberId", 64, viewer);
    _cleanup_free_ char *off_key = xasprintf(key, off);
    _cleanup_free_ char *viewer_key = xasprintf(key, viewer);
    make(bad, ACCOUNT_ADMIN, "/api/v1/api-keys/create", off_key, "id", 96, bad->secrets[DISABLED]);
    make(bad, ACCOUNT_ADMIN, "/api/v1/api-keys/create", viewer_key, "id", 96, bad->secrets[VIEWER]);
    _cleanup_free_ char *edit = xasprintf("{\"memberId\":\"%s\",\"active\":false}", off);
    _cleanup_answer_ struct answer answer =
        scene_call(bad->scene, ACCOUNT_ADMIN, "PUT", "/api/v1/members/update", edit);
    assert_int_equal(answer.status, 200);
}

static void make_revoked(struct bad_scene *bad)
{
    char nothing[4];

    make(bad, ACCOUNT_ADMIN, "/api/v1/api-keys/create",
         "{\"accountId\":\"$OURS\",\"type\":\"account-admin\"}", "id", 96, bad->secrets[REVOKED]);
    _cleanup_free_ char *body = xasprintf("{\"id\":\"%s\"}", bad->secrets[REVOKED]);
    make(bad, ACCOUNT_ADMIN, "/api/v1/api-keys/delete", body, "", sizeof(nothing), nothing);
}

static void make_things(struct bad_scene *bad)
{
    static const char workload[] =
        "{\"workloadId\":\"w-ours\",\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\","
        "\"dockerCompose\":\"" COMPOSE "\",\"publicContainerName\":\"web\","
        "\"publicContainerPort\":80,\"memory\":1024,\"cpus\":1,\"disk\":10,\"gpus\":0}";
    static const char webhook[] = "{\"url\":\"https://hooks.example/in\",\"active\":false}";
    char id[64];

    make(bad, DEPLOYER, "/api/v1/workloads/create", workload, "workloadId", 64, id);
    put_workload(bad->scene->f, "w-theirs", bad->scene->theirs,
                 COFFER__V1__WORKLOAD_STATUS__RUNNING);
    make(bad, DEPLOYER, "/api/v1/webhooks/create", webhook, "webhookId", 64, bad->webhook);
    make(bad, FOREIGN, "/api/v1/webhooks/create", webhook, "webhookId", 64, bad->alien_webhook);
}

/* One request with the Idempotency-Key "used", by ACCOUNT_ADMIN. */
static void use_key(const struct bad_scene *bad)
{
    static const char *const headers[] = {"Idempotency-Key: used", NULL};
    _cleanup_answer_ struct answer answer =
        scene_call_with(bad->scene, ACCOUNT_ADMIN, "POST", "/api/v1/members/create", headers,
                        "{\"accountId\":\"$OURS\",\"name\":\"once\",\"role\":\"viewer\"}");

    assert_int_equal(answer.status, 200);
}

/* All that can be read of both accounts, but for the audit trail, to which some refusals add. */
static char *dump(const struct bad_scene *bad)
{
    static const struct {
        enum actor actor;
        const char *path;
    } rows[] = {
        {ACCOUNT_ADMIN, "/api/v1/workloads/list"},        {FOREIGN, "/api/v1/workloads/list"},
        {ACCOUNT_ADMIN, "/api/v1/members/account/$OURS"}, {FOREIGN, "/api/v1/webhooks/list"},
        {FOREIGN, "/api/v1/members/account/$THEIRS"},     {DEPLOYER, "/api/v1/webhooks/list"},
        {GLOBAL_ADMIN, "/api/v1/workload-tiers/list"},    {GLOBAL_ADMIN, "/api/v1/artifacts/list"},
        {GLOBAL_ADMIN, "/api/v1/metal-instances/list"},
    };
    _cleanup_free_ char *scene = scene_dump(bad->scene);
    _cleanup_buffer_ struct buffer all = {0};

    /* the trail is the last line */
    buffer_add(&all, scene, (size_t)(strstr(scene, "{\"entries\"") - scene));
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_answer_ struct answer answer =
            scene_call(bad->scene, rows[i].actor, "GET", rows[i].path, NULL);
        assert_int_equal(answer.status, 200);
        buffer_printf(&all, "%s\n", buffer_text(&answer.body));
    }
    return xstrdup(buffer_text(&all));
}

struct bad_scene *bad_scene_new(void)
{
    static const char *const prefixes[] = {"coffer:"};
    struct bad_scene *bad = xnew(struct bad_scene);

    bad->scene = scene_new();
    memcpy(bad->secrets, bad->scene->secrets, sizeof(bad->scene->secrets));
    make_members(bad);
    make_revoked(bad);
    make_things(bad);
    use_key(bad);
    bad->commands = bad->scene->f->commands;
    bad->before = dump(bad);
    pthread_mutex_init(&bad->lock, NULL);
    assert_null(store_watch(bad->scene->f->store, prefixes, 1, on_told, bad, &bad->watch));
    return bad;
}

void bad_scene_free(struct bad_scene *bad)
{
    store_unwatch(bad->watch);
    scene_free(bad->scene);
    buffer_done(&bad->told);
    free(bad->before);
    pthread_mutex_destroy(&bad->lock);
    free(bad);
}
static void add_times(struct buffer *text, const char *what, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buffer_add_text(text, what);
}

/* False: the word stands for nothing. */
static bool add_word(const struct bad_scene *bad, const char *word, size_t size,
                     struct buffer *text)
{
    const struct scene *scene = bad->scene;
    const struct {
        const char *word;
        const char *with;
    } rows[] = {
        {"OURS", scene->ours},
        {"THEIRS", scene->theirs},
        {"ADMIN", scene->ids[ACCOUNT_ADMIN]},
        {"DEPLOYER", scene->ids[DEPLOYER]},
        {"READER", scene->ids[READER]},
        {"FOREIGN", scene->ids[FOREIGN]},
        {"SECRET", scene->secrets[DEPLOYER]},
        {"FOREIGNSECRET", scene->secrets[FOREIGN]},
        {"WORKLOAD", "w-ours"},
        {"MEMBER", bad->member},
        {"WEBHOOK", bad->webhook},
        {"ALIENWORKLOAD", "w-theirs"},
        {"ALIENMEMBER", bad->alien_member},
        {"ALIENWEBHOOK", bad->alien_webhook},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (strlen(rows[i].word) == size && memcmp(rows[i].word, word, size) == 0) {
            buffer_add_text(text, rows[i].with);
            return true;
        }
    return false;
}

static void add_made(const char *word, size_t size, struct buffer *text)
{
    const char nothing = '\0';

    if (size == 3 && memcmp(word, "NUL", 3) == 0)
        buffer_add(text, &nothing, 1);
    else if (size == 4 && memcmp(word, "DEEP", 4) == 0)
        add_times(text, "[", 10000);
    else if (size == 6 && memcmp(word, "DEEPER", 6) == 0)
        add_times(text, "{\"a\":", 3000);
    else if (*word == 'X')
        add_times(text, "x", strtoul(word + 1, NULL, 10));
    else
        fail_msg("'%.*s' stands for nothing", (int)size, word);
}

static void fill(const struct bad_scene *bad, const char *text, struct buffer *ret_filled)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    while (*text) {
        size_t plain = strcspn(text, "$");
        buffer_add(ret_filled, text, plain);
        text += plain;
        size_t size = *text ? strspn(text + 1, letters) : 0;
        if (size && !add_word(bad, text + 1, size, ret_filled))
            add_made(text + 1, size, ret_filled);
        else if (*text && !size)
            buffer_add_text(ret_filled, "$");
        text += size + (*text != '\0');
    }
}

static char *filled(const struct bad_scene *bad, const char *text)
{
    _cleanup_buffer_ struct buffer buffer = {0};

    if (!text)
        return NULL;
    fill(bad, text, &buffer);
    return xstrdup(buffer_text(&buffer));
}

enum { HEADERS_MAX = 8 };

/* Cuts the text into its lines. */
static void split(char *text, const char *ret_lines[HEADERS_MAX + 1])
{
    size_t n = 0;

    for (char *end; text && (end = strchr(text, '\n')); text = end + 1) {
        assert_true(n < HEADERS_MAX);
        *end = '\0';
        ret_lines[n++] = text;
    }
    ret_lines[n] = NULL;
}

struct answer bad_send(const struct bad_scene *bad, const struct bad_row *row)
{
    _cleanup_free_ char *path = filled(bad, row->path);
    _cleanup_free_ char *body = filled(bad, row->body);
    _cleanup_free_ char *headers = filled(bad, row->headers);
    const char *secret = bad->secrets[row->caller];
    const char *lines[HEADERS_MAX + 1];

    split(headers, lines);
    return http_call_with(bad->scene->f, row->method, path, *secret ? secret : NULL, lines, body);
}

/* When a key was used is no change. A claim of an idempotency key is right for whoever gave one;
 * what could not be done as the things are is in the audit trail. */
static bool may_write(const char *key, long status, bool has_key)
{
    if (strncmp(key, KEY_IDEMPOTENCY, strlen(KEY_IDEMPOTENCY)) == 0)
        return has_key;
    if (strncmp(key, KEY_AUDIT, strlen(KEY_AUDIT)) == 0)
        return status == 409 || status == 412;
    return strncmp(key, KEY_API_KEY_USED, strlen(KEY_API_KEY_USED)) == 0;
}

/* All rows are tried; bad_end() fails when one was not as it should be. */
_printf_(2, 3) static void complain(struct bad_scene *bad, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    bad->failures++;
}

static void check_unchanged(struct bad_scene *bad, const char *what, long status, bool has_key)
{
    pthread_mutex_lock(&bad->lock);
    _cleanup_free_ char *told = xstrdup(buffer_text(&bad->told));
    buffer_done(&bad->told);
    pthread_mutex_unlock(&bad->lock);
    for (char *line = strtok(told, "\n"); line; line = strtok(NULL, "\n"))
        if (!may_write(line, status, has_key))
            complain(bad, "%s: wrote %s", what, line);
    if (bad->scene->f->commands == bad->commands)
        return;
    bad->commands = bad->scene->f->commands;
    complain(bad, "%s: asked the scheduler %s", what, bad->scene->f->last_subject);
}

static void check_tells_nothing(struct bad_scene *bad, const char *what, const char *text)
{
    if (strstr(text, MARK))
        complain(bad, "%s: tells what it was given: %s", what, text);
    for (size_t i = 0; i < CALLERS_; i++)
        if (*bad->secrets[i] && strstr(text, bad->secrets[i]))
            complain(bad, "%s: tells a key: %s", what, text);
}

void bad_check(struct bad_scene *bad, const struct bad_row *row)
{
    _cleanup_answer_ struct answer answer = bad_send(bad, row);
    _cleanup_free_ char *what =
        xasprintf("request %zu: caller %d: %s %.200s %.300s %.200s", bad->n, row->caller,
                  row->method, row->path, row->body ?: "", row->headers ?: "");

    bad->n++;
    if (answer.status != row->status || strcmp(answer_text(&answer, "kind"), row->kind) != 0 ||
        !strstr(buffer_text(&answer.body), row->text))
        complain(bad, "%s: not %ld %s with '%s': %ld %s", what, row->status, row->kind, row->text,
                 answer.status, buffer_text(&answer.body));
    if (!*answer_text(&answer, "error") || !*answer_text(&answer, "ts") ||
        !*answer_text(&answer, "requestId"))
        complain(bad, "%s: not the form of an error: %s", what, buffer_text(&answer.body));
    check_tells_nothing(bad, what, buffer_text(&answer.body));
    check_unchanged(bad, what, row->status, row->headers && strstr(row->headers, "Idempotency-"));
}

/* Where libmicrohttpd answers, its versions differ in whether it says a word before it closes. */
void bad_check_raw(struct bad_scene *bad, const struct bad_raw *row)
{
    _cleanup_close_ int fd = raw_connect(http_server_port(bad->scene->f->gateway->http));
    _cleanup_buffer_ struct buffer request = {0};
    _cleanup_buffer_ struct buffer seen = {0};
    _cleanup_free_ char *kind = xasprintf("\"kind\":\"%s\"", row->kind ?: "");

    fill(bad, row->request, &request);
    raw_send_bytes(fd, request.data, request.size);
    shutdown(fd, SHUT_WR);
    if (!raw_read_to_end(fd, &seen))
        complain(bad, "%s: not closed", row->what);
    bad->n++;
    unsigned status = raw_status(&seen);
    if (row->kind && (status != row->status || !strstr(buffer_text(&seen), kind)))
        complain(bad, "%s: not %u %s: %s", row->what, row->status, kind, buffer_text(&seen));
    if (!row->kind && status != row->status &&
        (status >= 500 || (row->status && status != 0 && status < 400)))
        complain(bad, "%s: not %u: %s", row->what, row->status, buffer_text(&seen));
    check_tells_nothing(bad, row->what, buffer_text(&seen));
    check_unchanged(bad, row->what, status, strstr(row->request, "Idempotency-"));
}

void bad_end(struct bad_scene *bad, const char *what)
{
    static size_t all;
    _cleanup_free_ char *after = dump(bad);

    all += bad->n;
    print_message("%s: %zu bad requests, %zu so far\n", what, bad->n, all);
    assert_string_equal(bad->before, after);
    assert_int_equal(bad->failures, 0);
}
