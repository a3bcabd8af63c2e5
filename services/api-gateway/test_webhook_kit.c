#include "services/api-gateway/test_webhook_kit.h"

#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/log.h"

static void keep_store(_unused_ struct store *store)
{
}

void hooks_start_gateway(struct hooks *scene)
{
    assert_null(gateway_new(&scene->f->config, scene->f->bus, scene->f->store, &scene->clock.base,
                            &scene->f->gateway));
}

void hooks_restart_gateway(struct hooks *scene)
{
    gateway_free(scene->f->gateway);
    scene->f->gateway = NULL;
    hooks_start_gateway(scene);
}

void hooks_start_second(struct hooks *scene)
{
    scene->second_bus = bus_memory_attach(scene->f->bus);
    assert_null(gateway_new(&scene->f->config, scene->second_bus, scene->f->store,
                            &scene->clock.base, &scene->second));
}

struct hooks *hooks_new(void)
{
    struct hooks *scene = xnew(struct hooks);

    clock_fake_init(&scene->clock, START_MS);
    scene->f = fixture_new_with_clock(&scene->clock.base);
    gateway_free(scene->f->gateway); /* and its store */
    scene->f->store = store_memory_new();
    scene->real_ops = scene->f->store->ops;
    scene->kept_ops = *scene->real_ops;
    scene->kept_ops.free = keep_store;
    scene->f->store->ops = &scene->kept_ops;
    scene->f->config.webhook_insecure = true;
    hooks_start_gateway(scene);
    scene->receiver = receiver_new(NULL, NULL);
    return scene;
}

void hooks_free(struct hooks *scene)
{
    if (scene->second)
        gateway_free(scene->second);
    if (scene->second_bus)
        bus_free(scene->second_bus);
    gateway_free(scene->f->gateway);
    scene->f->gateway = NULL;
    scene->f->store->ops = scene->real_ops;
    store_free(scene->f->store);
    fixture_free(scene->f);
    receiver_free(scene->receiver);
    free(scene->id);
    free(scene->secret);
    free(scene);
}

void hooks_make(struct hooks *scene, const char *scheme, const char *rest)
{
    _cleanup_free_ char *body =
        xasprintf("{\"url\":\"%s://127.0.0.1:%u/in\"%s}", scheme, scene->receiver->port, rest);
    _cleanup_answer_ struct answer made = http_post(scene->f, "/api/v1/webhooks/create", body);

    assert_int_equal(made.status, 200);
    scene->id = xstrdup(answer_text(&made, "webhookId"));
    scene->secret = xstrdup(answer_text(&made, "secret"));
}

struct hooks *hooks_new_with_webhook(void)
{
    struct hooks *scene = hooks_new();

    hooks_make(scene, "http", "");
    return scene;
}

struct answer hooks_get(const struct hooks *scene, const char *what)
{
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s%s", scene->id, what);

    return http_get(scene->f, path);
}

struct answer hooks_update(const struct hooks *scene, const char *rest)
{
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"%s}", scene->id, rest);

    return http_call(scene->f, "PUT", "/api/v1/webhooks/update", TEST_KEY, body);
}

void hooks_advance(struct hooks *scene, int64_t ms)
{
    clock_fake_advance(&scene->clock, ms);
    webhook_sender_wake(&scene->f->gateway->webhooks);
}

json_t *hooks_wait_delivery(const struct hooks *scene, const char *status, int attempts)
{
    for (int i = 0; i < TRIES; i++) {
        _cleanup_answer_ struct answer answer = hooks_get(scene, "/deliveries");
        json_t *item = json_array_get(json_object_get(answer.json, "deliveries"), 0);
        const char *have = json_string_value(json_object_get(item, "status")) ?: "";
        if (strcmp(have, status) == 0 &&
            json_integer_value(json_object_get(item, "attempts")) == attempts)
            return json_incref(item);
        usleep(10000);
    }
    fail_msg("no delivery is '%s' after %d attempts", status, attempts);
    return NULL;
}

const char *hooks_text(const json_t *json, const char *name)
{
    return json_string_value(json_object_get(json, name)) ?: "";
}

void hooks_prepare(void)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    log_init("test", LOG_LEVEL_ERROR);
}
