/* A stream lasts no longer than the right of its key. */
#include "services/api-gateway/test_scene.h"

#include "services/api-gateway/sse.h"
#include "services/api-gateway/test_raw.h"
#include "shared/base/alloc.h"
#include "shared/store/keys.h"

struct victim {
    char key_id[64];
    char member[64];
    char secret[96];
};

static void make_victim(const struct scene *scene, struct victim *ret_victim)
{
    _cleanup_answer_ struct answer member =
        scene_call(scene, ACCOUNT_ADMIN, "POST", "/api/v1/members/create",
                   "{\"accountId\":\"$OURS\",\"name\":\"somebody\",\"role\":\"viewer\"}");
    _cleanup_free_ char *body =
        xasprintf("{\"accountId\":\"$OURS\",\"type\":\"user\",\"memberId\":\"%s\","
                  "\"expiresAt\":\"2023-11-16T00:00:00Z\"}",
                  answer_text(&member, "memberId"));
    _cleanup_answer_ struct answer key =
        scene_call(scene, ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create", body);

    assert_int_equal(key.status, 200);
    snprintf(ret_victim->member, 64, "%s", answer_text(&member, "memberId"));
    snprintf(ret_victim->key_id, 64, "%s", answer_text(&key, "keyId"));
    snprintf(ret_victim->secret, 96, "%s", answer_text(&key, "id"));
}

/* rest: members of the body beside the id. */
static void change(struct scene *scene, const char *method, const char *path, const char *name,
                   const char *id, const char *rest)
{
    _cleanup_free_ char *body = xasprintf("{\"%s\":\"%s\"%s}", name, id, rest);
    _cleanup_answer_ struct answer answer = scene_call(scene, ACCOUNT_ADMIN, method, path, body);

    assert_int_equal(answer.status, 200);
}

static void disable_key(struct scene *scene, const struct victim *victim)
{
    change(scene, "PUT", "/api/v1/api-keys/update", "id", victim->key_id, ",\"active\":false");
}

static void delete_key(struct scene *scene, const struct victim *victim)
{
    change(scene, "POST", "/api/v1/api-keys/delete", "id", victim->key_id, "");
}

static void expire_key(struct scene *scene, _unused_ const struct victim *victim)
{
    clock_fake_advance(&scene->clock, INT64_C(2) * 24 * 3600 * 1000);
}

static void disable_member(struct scene *scene, const struct victim *victim)
{
    change(scene, "PUT", "/api/v1/members/update", "memberId", victim->member, ",\"active\":false");
}

static void delete_member(struct scene *scene, const struct victim *victim)
{
    change(scene, "POST", "/api/v1/members/delete", "memberId", victim->member, "");
}

/* No route does it yet, but records may say so. */
static void disable_account(struct scene *scene, _unused_ const struct victim *victim)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    const char *key = arena_printf(arena, "%s%s", KEY_ACCOUNT, scene->ours);
    struct store_record record;

    assert_null(store_get(scene->f->store, key, arena, &record));
    _cleanup_(json_decrefp) json_t *json =
        json_loadb((const char *)record.value.data, record.value.len, 0, NULL);
    json_object_set_new(json, "active", json_false());
    _cleanup_free_ char *text = json_dumps(json, JSON_COMPACT);
    const struct store_write write = {
        .key = key, .expected_version = UINT64_MAX, .value = {strlen(text), (uint8_t *)text}};
    assert_null(
        store_commit(scene->f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static int open_stream(const struct scene *scene, const struct victim *victim, const char *path,
                       struct buffer *seen)
{
    int fd = raw_connect(http_server_port(scene->f->gateway->http));
    _cleanup_free_ char *text = xasprintf("GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                                          "Authorization: Bearer %s\r\n\r\n",
                                          path, victim->secret);

    raw_send(fd, text);
    assert_true(raw_read_until(fd, "retry: 1000\n\n", seen));
    return fd;
}

static void test_what_ends_a_stream(_unused_ void **state)
{
    static const struct {
        const char *what;
        void (*revoke)(struct scene *scene, const struct victim *victim);
    } rows[] = {
        {"key off", disable_key},       {"key gone", delete_key},
        {"key expired", expire_key},    {"member off", disable_member},
        {"member gone", delete_member}, {"account off", disable_account},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(scene_freep) struct scene *scene = scene_new();
        _cleanup_buffer_ struct buffer seen = {0};
        struct victim victim;
        make_victim(scene, &victim);
        put_event(scene->f, "w-1", scene->ours, 1, "created");
        _cleanup_close_ int fd = open_stream(scene, &victim, "/api/v1/events", &seen);
        assert_true(raw_read_until(fd, "\"w-1.1\"", &seen));
        rows[i].revoke(scene, &victim);
        put_event(scene->f, "w-1", scene->ours, 2, "running");
        if (!raw_read_to_end(fd, &seen))
            fail_msg("%s: the stream goes on", rows[i].what);
        if (strstr(buffer_text(&seen), "\"w-1.2\""))
            fail_msg("%s: told of what came later", rows[i].what);
    }
}

/* Nothing comes that could be told: the next sign of life is the end. */
static void test_an_idle_stream_ends_too(_unused_ void **state)
{
    _cleanup_(scene_freep) struct scene *scene = scene_new();
    _cleanup_buffer_ struct buffer seen = {0};
    struct victim victim;

    make_victim(scene, &victim);
    _cleanup_close_ int fd = open_stream(scene, &victim, "/api/v1/events", &seen);
    delete_key(scene, &victim);
    assert_true(raw_read_to_end(fd, &seen));
    assert_true(sse_hub_wait(&scene->f->gateway->streams, 20000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_ends_a_stream),
        cmocka_unit_test(test_an_idle_stream_ends_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
