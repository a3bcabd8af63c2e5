#include "services/api-gateway/test_scene.h"

#include "shared/base/alloc.h"

enum { START_MS = 1800000 };

static void copy(char *ret, size_t size, const char *text)
{
    assert_true(strlen(text) > 0 && strlen(text) < size);
    snprintf(ret, size, "%s", text);
}

static void make_account(struct scene *scene, const char *name, char ret_id[64])
{
    _cleanup_free_ char *body = xasprintf("{\"name\":\"%s\",\"balance\":10}", name);
    _cleanup_answer_ struct answer answer =
        http_call(scene->f, "POST", "/api/v1/accounts/create", ADMIN, body);

    assert_int_equal(answer.status, 200);
    copy(ret_id, 64, answer_text(&answer, "accountId"));
}

static void make_key(struct scene *scene, enum actor actor, const char *account, const char *rest)
{
    _cleanup_free_ char *body = xasprintf("{\"accountId\":\"%s\",%s}", account, rest);
    _cleanup_answer_ struct answer answer =
        http_call(scene->f, "POST", "/api/v1/api-keys/create", ADMIN, body);

    assert_int_equal(answer.status, 200);
    copy(scene->secrets[actor], sizeof(scene->secrets[actor]), answer_text(&answer, "id"));
    copy(scene->ids[actor], sizeof(scene->ids[actor]), answer_text(&answer, "keyId"));
}

static void leave_as_is(_unused_ struct store *store)
{
}

struct scene *scene_new(void)
{
    return scene_new_with(leave_as_is);
}

struct scene *scene_new_with(void (*prepare)(struct store *store))
{
    struct scene *scene = xnew(struct scene);

    clock_fake_init(&scene->clock, INT64_C(1700000000000));
    struct store *store = store_memory_new_with_clock(&scene->clock.base);
    prepare(store);
    scene->f = fixture_new_with(&scene->clock.base, store);
    _cleanup_answer_ struct answer dev = http_get(scene->f, "/api/v1/accounts/me");
    assert_int_equal(dev.status, 200); /* the bootstrap is done, and will change nothing later */
    make_account(scene, "ours", scene->ours);
    make_account(scene, "theirs", scene->theirs);
    copy(scene->secrets[GLOBAL_ADMIN], 96, ADMIN);
    copy(scene->secrets[ADMIN_BEARER], 96, TEST_ADMIN);
    copy(scene->secrets[UNKNOWN], 96, "coffer_0123456789012345678901234567890");
    make_key(scene, ACCOUNT_ADMIN, scene->ours, "\"type\":\"account-admin\",\"name\":\"boss\"");
    make_key(scene, AUDITOR, scene->ours, "\"type\":\"account-admin\",\"scopes\":[\"read\"]");
    make_key(scene, DEPLOYER, scene->ours, "\"type\":\"user\"");
    make_key(scene, READER, scene->ours, "\"type\":\"user\",\"scopes\":[\"read\"]");
    make_key(scene, FOREIGN, scene->theirs, "\"type\":\"account-admin\"");
    make_key(scene, INACTIVE, scene->ours, "\"type\":\"account-admin\",\"active\":false");
    make_key(scene, EXPIRED, scene->ours,
             "\"type\":\"account-admin\",\"expiresAt\":\"2023-11-14T22:30:00Z\"");
    clock_fake_advance(&scene->clock, START_MS);
    return scene;
}

void scene_free(struct scene *scene)
{
    fixture_free(scene->f);
    free(scene);
}

static char *replace(char *text, const char *word, const char *with)
{
    _cleanup_free_ char *before = text;
    char *at = strstr(before, word);

    if (!at)
        return xstrdup(before);
    *at = '\0';
    return replace(xasprintf("%s%s%s", before, with, at + strlen(word)), word, with);
}

static char *fill(const struct scene *scene, const char *text)
{
    const struct {
        const char *word;
        const char *with;
    } rows[] = {
        {"$OURS", scene->ours},
        {"$THEIRS", scene->theirs},
        {"$ADMIN", scene->ids[ACCOUNT_ADMIN]},
        {"$DEPLOYER", scene->ids[DEPLOYER]},
        {"$READER", scene->ids[READER]},
        {"$FOREIGNSECRET", scene->secrets[FOREIGN]},
        {"$FOREIGN", scene->ids[FOREIGN]},
        {"$SECRET", scene->secrets[DEPLOYER]},
    };
    char *filled = xstrdup(text);

    for (size_t i = 0; filled && i < ELEMENTSOF(rows); i++)
        filled = replace(filled, rows[i].word, rows[i].with);
    return filled;
}

struct answer scene_call_with(const struct scene *scene, enum actor actor, const char *method,
                              const char *path, const char *const *headers, const char *body)
{
    _cleanup_free_ char *real_path = fill(scene, path);
    _cleanup_free_ char *real_body = fill(scene, body);
    const char *secret = scene->secrets[actor];

    return http_call_with(scene->f, method, real_path, *secret ? secret : NULL, headers, real_body);
}

struct answer scene_call(const struct scene *scene, enum actor actor, const char *method,
                         const char *path, const char *body)
{
    const char *const none[] = {NULL};

    return scene_call_with(scene, actor, method, path, none, body);
}

/* When a key was last used is no change. */
static void forget_use(json_t *list)
{
    json_t *key;
    size_t i;

    json_array_foreach(list, i, key) json_object_del(key, "lastUsedAt");
}

char *scene_dump(const struct scene *scene)
{
    static const char *const paths[] = {
        "/api/v1/accounts/list",
        "/api/v1/api-keys/account/$OURS",
        "/api/v1/api-keys/account/$THEIRS",
        "/api/v1/audit?limit=1000",
    };
    char *all = xstrdup("");

    for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
        _cleanup_free_ char *before = all;
        _cleanup_answer_ struct answer answer =
            scene_call(scene, GLOBAL_ADMIN, "GET", paths[i], NULL);
        assert_int_equal(answer.status, 200);
        forget_use(answer.json);
        _cleanup_free_ char *text = json_dumps(answer.json, JSON_SORT_KEYS);
        all = xasprintf("%s%s\n", before, text);
    }
    return all;
}
