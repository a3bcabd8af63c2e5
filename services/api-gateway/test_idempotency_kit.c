#include "services/api-gateway/test_idempotency_kit.h"

#include "services/api-gateway/audit.h"
#include "shared/store/keys.h"

struct idempotency_hook hook;

static bool is_record(const struct store_write *write)
{
    return strncmp(write->key, KEY_IDEMPOTENCY, strlen(KEY_IDEMPOTENCY)) == 0;
}

static void note(const struct store_change *change)
{
    pthread_mutex_lock(&hook.lock);
    for (size_t i = 0; i < change->n_writes; i++) {
        if (!is_record(&change->writes[i]))
            continue;
        buffer_add_text(&hook.written, change->writes[i].key);
        buffer_add(&hook.written, change->writes[i].value.data, change->writes[i].value.len);
        atomic_fetch_add(&hook.records, 1);
    }
    pthread_mutex_unlock(&hook.lock);
}

static void expire(struct store *store, const char *key)
{
    const struct store_write write = {.key = key, .expected_version = UINT64_MAX};
    const struct store_change change = {.writes = &write, .n_writes = 1};

    expect_no_error(hook.real->commit(store, &change));
}

static struct error *on_commit(struct store *store, const struct store_change *change)
{
    bool is_change = change->n_lists == AUDIT_LISTS && change->n_writes > 0;
    bool is_end = change->n_writes == 1 && is_record(&change->writes[0]) &&
                  change->writes[0].expected_version != 0;

    note(change);
    if (hook.away || (hook.drop_ends && is_end))
        return error_new(ERROR_UNAVAILABLE, "as the test wants it");
    if (hook.drop_claims && is_change)
        expire(store, change->writes[change->n_writes - 1].key);
    struct error *err = hook.real->commit(store, change);
    if (err || !(hook.lose_all_answers || (hook.lose_answers && is_change)))
        return err;
    return error_new(ERROR_UNAVAILABLE, "as the test wants it");
}

static void set_hook(struct store *store)
{
    memset(&hook, 0, sizeof(hook));
    pthread_mutex_init(&hook.lock, NULL);
    hook.real = store->ops;
    hook.ops = *hook.real;
    hook.ops.commit = on_commit;
    store->ops = &hook.ops;
}

struct scene *hooked_scene(void)
{
    return scene_new_with(set_hook);
}

void hooked_scene_free(struct scene **scene)
{
    scene_free(*scene);
    buffer_done(&hook.written);
    pthread_mutex_destroy(&hook.lock);
}

#define _cleanup_scene_ _cleanup_(hooked_scene_free)

struct answer keyed_call(const struct scene *scene, enum actor actor, const char *header,
                         const char *method, const char *path, const char *body)
{
    const char *const headers[] = {header, NULL};

    return scene_call_with(scene, actor, method, path, headers, body);
}

bool is_replayed(const struct answer *answer)
{
    _cleanup_free_ char *value = answer_header(answer, "Idempotent-Replayed");

    return value && strcmp(value, "true") == 0;
}

void check_refused(const struct answer *answer, long status, const char *kind)
{
    assert_int_equal(answer->status, status);
    assert_string_equal(answer_text(answer, "kind"), kind);
    assert_false(is_replayed(answer));
}

void check_same(const struct answer *first, const struct answer *again)
{
    assert_int_equal(again->status, first->status);
    assert_string_equal(buffer_text(&again->body), buffer_text(&first->body));
    assert_false(is_replayed(first));
    assert_true(is_replayed(again));
    _cleanup_free_ char *type = answer_header(again, "Content-Type");
    assert_string_equal(type, "application/json");
}
