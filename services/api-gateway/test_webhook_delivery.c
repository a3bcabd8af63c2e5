/* Deliveries from the event on the bus to a receiver on a loopback port, by the real sender: what
 * is delivered, once each, signed, and told of. */
#include "services/api-gateway/test_webhook_kit.h"

#include "shared/base/alloc.h"
#include "shared/base/log.h"
#include "shared/store/keys.h"
#include <unistd.h>

static void test_an_event_is_delivered(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    const struct received *item = &scene->receiver->items[0];

    put_event(scene->f, "w-1", "dev", 5, "running");
    receiver_wait(scene->receiver, 1);
    _cleanup_(json_decrefp) json_t *delivery = hooks_wait_delivery(scene, "delivered", 1);
    _cleanup_(json_decrefp) json_t *body =
        json_loadb((const char *)item->body.data, item->body.size, 0, NULL);
    const json_t *data = json_object_get(body, "data");

    assert_string_equal(item->path, "/in");
    assert_string_equal(item->content_type, "application/json");
    assert_string_equal(item->webhook_id, scene->id);
    assert_string_equal(item->delivery_id, hooks_text(delivery, "deliveryId"));
    assert_string_equal(hooks_text(body, "id"), "w-1.5");
    assert_string_equal(hooks_text(body, "type"), "workload.running");
    assert_string_equal(hooks_text(body, "createdAt"), "2023-11-14T22:13:20.000Z");
    assert_string_equal(hooks_text(data, "workloadId"), "w-1");
    assert_string_equal(hooks_text(json_object_get(data, "details"), "kind"), "running");
    assert_string_equal(hooks_text(delivery, "eventId"), "w-1.5");
    assert_string_equal(hooks_text(delivery, "kind"), "running");
    assert_int_equal(json_integer_value(json_object_get(delivery, "responseStatus")), 200);
    assert_null(json_object_get(delivery, "nextAttemptAt"));
    assert_true(signature_is_by(scene->secret, item));
}

static void test_only_what_is_wanted_is_delivered(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new();

    hooks_make(scene, "http", ",\"events\":[\"error\"]");
    put_event(scene->f, "w-1", "dev", 1, "running"); /* another kind */
    put_event(scene->f, "w-2", "other", 1, "error"); /* another account's */
    put_event(scene->f, "w-1", "dev", 2, "error");
    receiver_wait(scene->receiver, 1);
    _cleanup_(json_decrefp) json_t *delivery = hooks_wait_delivery(scene, "delivered", 1);
    assert_string_equal(hooks_text(delivery, "eventId"), "w-1.2");
    _cleanup_answer_ struct answer all = hooks_get(scene, "/deliveries");
    assert_int_equal(json_array_size(json_object_get(all.json, "deliveries")), 1);
    assert_int_equal(receiver_count(scene->receiver), 1);
}

static void test_nothing_is_collected_while_it_is_off(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    _cleanup_answer_ struct answer off = hooks_update(scene, ",\"active\":false");
    _cleanup_free_ char *first_id = TAKE_PTR(scene->id);
    _cleanup_free_ char *first_secret = TAKE_PTR(scene->secret);
    _cleanup_free_ char *path = xasprintf("/api/v1/webhooks/%s/deliveries", first_id);

    assert_int_equal(off.status, 200);
    hooks_make(scene, "http", "");
    put_event(scene->f, "w-1", "dev", 1, "running");
    receiver_wait(scene->receiver, 1); /* for the other one */
    _cleanup_(json_decrefp) json_t *delivered = hooks_wait_delivery(scene, "delivered", 1);
    _cleanup_answer_ struct answer none = http_get(scene->f, path);
    assert_int_equal(json_array_size(json_object_get(none.json, "deliveries")), 0);
    assert_string_equal(scene->receiver->items[0].webhook_id, scene->id);
}

static void test_what_was_before_it_is_not_delivered(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new();

    clock_fake_advance(&scene->clock, 3600 * 1000);
    hooks_make(scene, "http", "");
    put_event(scene->f, "w-1", "dev", 1, "running"); /* an hour old */
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", scene->id);
    for (int i = 0; i < 3; i++) {
        _cleanup_answer_ struct answer test = http_post(scene->f, "/api/v1/webhooks/test", body);
        assert_int_equal(test.status, 200);
        receiver_wait(scene->receiver, (size_t)i + 1);
    }
    for (size_t i = 0; i < 3; i++)
        assert_non_null(strstr(buffer_text(&scene->receiver->items[i].body), "\"type\":\"test\""));
}

static void test_a_test_is_delivered_signed(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", scene->id);
    _cleanup_answer_ struct answer test = http_post(scene->f, "/api/v1/webhooks/test", body);

    assert_int_equal(test.status, 200);
    assert_string_equal(answer_text(&test, "kind"), "test");
    assert_string_equal(answer_text(&test, "status"), "pending");
    receiver_wait(scene->receiver, 1);
    _cleanup_(json_decrefp) json_t *delivery = hooks_wait_delivery(scene, "delivered", 1);
    assert_string_equal(hooks_text(delivery, "deliveryId"), answer_text(&test, "deliveryId"));
    assert_true(signature_is_by(scene->secret, &scene->receiver->items[0]));
}

static void test_a_failure_is_repeated_with_the_same_bytes(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    const struct received *items = scene->receiver->items;

    scene->receiver->fail_first = 1;
    put_event(scene->f, "w-1", "dev", 1, "error");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_int_equal(json_integer_value(json_object_get(pending, "responseStatus")), 500);
    assert_string_equal(hooks_text(pending, "error"), "the receiver answered 500");
    assert_true(*hooks_text(pending, "nextAttemptAt"));
    hooks_advance(scene, 3999); /* not yet */
    assert_int_equal(receiver_count(scene->receiver), 1);
    hooks_advance(scene, 5000);
    receiver_wait(scene->receiver, 2);
    _cleanup_(json_decrefp) json_t *delivered = hooks_wait_delivery(scene, "delivered", 2);
    assert_string_equal(hooks_text(delivered, "error"), "");
    assert_int_equal(items[0].body.size, items[1].body.size);
    assert_memory_equal(items[0].body.data, items[1].body.data, items[0].body.size);
    assert_string_equal(items[0].delivery_id, items[1].delivery_id);
    assert_string_not_equal(items[0].signature, items[1].signature); /* of another time */
    assert_true(signature_is_by(scene->secret, &items[1]));
}

static void test_a_restart_loses_nothing(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    scene->receiver->fail_first = 3;
    for (uint64_t i = 1; i <= 3; i++)
        put_event(scene->f, "w-1", "dev", i, "error");
    receiver_wait(scene->receiver, 3);
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    gateway_free(scene->f->gateway);
    put_event(scene->f, "w-1", "dev", 4, "running"); /* while nobody is there */
    hooks_start_gateway(scene);
    receiver_wait(scene->receiver, 4);
    hooks_advance(scene, 10000);
    receiver_wait(scene->receiver, 7);
    for (int i = 0; i < TRIES; i++) {
        _cleanup_answer_ struct answer got = hooks_get(scene, "");
        if (!json_integer_value(json_object_get(got.json, "pendingDeliveries")))
            break;
        usleep(10000);
    }
    _cleanup_answer_ struct answer got = hooks_get(scene, "");
    assert_int_equal(json_integer_value(json_object_get(got.json, "pendingDeliveries")), 0);
    assert_int_equal(receiver_count(scene->receiver), 7);
}

static void test_two_gateways_deliver_each_event_once(_unused_ void **state)
{
    enum { EVENTS = 60 };
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    hooks_start_second(scene);
    for (uint64_t i = 1; i <= EVENTS; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    receiver_wait(scene->receiver, EVENTS);
    for (int i = 0; i < TRIES; i++) {
        _cleanup_answer_ struct answer got = hooks_get(scene, "");
        if (!json_integer_value(json_object_get(got.json, "pendingDeliveries")))
            break;
        usleep(10000);
    }
    assert_int_equal(receiver_count(scene->receiver), EVENTS);
    for (size_t i = 0; i < EVENTS; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(scene->receiver->items[i].delivery_id,
                                    scene->receiver->items[k].delivery_id);
}

static void damage(const struct hooks *scene, const char *key)
{
    const struct store_write write = {
        .key = key, .expected_version = UINT64_MAX, .value = {.data = (uint8_t *)"{", .len = 1}};

    assert_null(
        store_commit(scene->f->store, &(struct store_change){.writes = &write, .n_writes = 1}));
}

static void test_a_damaged_record_holds_up_nobody_else(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    const struct store_index_edit edit = {.set = KEY_WEBHOOK_QUEUES, .member = "broken"};

    damage(scene, KEY_WEBHOOKS_OF "broken"); /* found by the feed */
    damage(scene, KEY_WEBHOOK "broken");     /* and by the sender */
    assert_null(
        store_commit(scene->f->store, &(struct store_change){.edits = &edit, .n_edits = 1}));
    put_event(scene->f, "w-2", "broken", 1, "running");
    for (uint64_t i = 1; i <= 5; i++)
        put_event(scene->f, "w-1", "dev", i, "running");
    receiver_wait(scene->receiver, 5);
}

static void test_both_secrets_sign_for_a_day(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    const struct received *items = scene->receiver->items;
    _cleanup_answer_ struct answer rotated = hooks_update(scene, ",\"rotateSecret\":true");
    const char *next = answer_text(&rotated, "secret");

    put_event(scene->f, "w-1", "dev", 1, "running");
    receiver_wait(scene->receiver, 1);
    assert_true(signature_is_by(scene->secret, &items[0]));
    assert_true(signature_is_by(next, &items[0]));
    clock_fake_advance(&scene->clock, INT64_C(24) * 3600 * 1000);
    _cleanup_free_ char *body = xasprintf("{\"webhookId\":\"%s\"}", scene->id);
    _cleanup_answer_ struct answer test = http_post(scene->f, "/api/v1/webhooks/test", body);
    receiver_wait(scene->receiver, 2);
    assert_true(signature_is_by(next, &items[1]));
    assert_false(signature_is_by(scene->secret, &items[1]));
}

static void test_metrics_count_attempts_and_ends(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();

    scene->receiver->fail_first = 1;
    put_event(scene->f, "w-1", "dev", 1, "running");
    json_decref(hooks_wait_delivery(scene, "pending", 1));
    hooks_advance(scene, 5000);
    json_decref(hooks_wait_delivery(scene, "delivered", 2));
    _cleanup_free_ char *url =
        xasprintf("http://127.0.0.1:%u/metrics", http_server_port(scene->f->gateway->metrics_http));
    _cleanup_answer_ struct answer metrics = http_call(scene->f, "GET", url, NULL, NULL);
    const char *text = buffer_text(&metrics.body);
    assert_non_null(strstr(text, "webhook_attempts_total{result=\"ok\"} 1\n"));
    assert_non_null(strstr(text, "webhook_attempts_total{result=\"failed\"} 1\n"));
    assert_non_null(strstr(text, "webhook_deliveries_total{result=\"delivered\"} 1\n"));
}

static struct buffer logged;
static pthread_mutex_t logged_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log_line(_unused_ void *data, const char *line)
{
    pthread_mutex_lock(&logged_lock);
    buffer_add_text(&logged, line);
    pthread_mutex_unlock(&logged_lock);
}

/* Also when it cannot be opened, which is what a gateway with another sign.key sees. */
static void test_secrets_are_never_logged(_unused_ void **state)
{
    _cleanup_(hooks_freep) struct hooks *scene = hooks_new_with_webhook();
    _cleanup_free_ char *path = xasprintf("%s/gateway/sign.key", scene->f->dir);
    struct sign_key other;

    log_set_sink(on_log_line, NULL);
    assert_null(sign_key_generate(&other));
    assert_null(key_file_save(path, other.secret));
    hooks_restart_gateway(scene);
    put_event(scene->f, "w-1", "dev", 1, "running");
    _cleanup_(json_decrefp) json_t *pending = hooks_wait_delivery(scene, "pending", 1);
    assert_string_equal(hooks_text(pending, "error"), "not signed: change the webhook's secret");
    assert_int_equal(receiver_count(scene->receiver), 0);
    log_set_sink(NULL, NULL);
    assert_non_null(strstr(buffer_text(&logged), scene->id)); /* it was told, by its id */
    assert_null(strstr(buffer_text(&logged), scene->secret + 6));
    buffer_done(&logged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_event_is_delivered),
        cmocka_unit_test(test_only_what_is_wanted_is_delivered),
        cmocka_unit_test(test_nothing_is_collected_while_it_is_off),
        cmocka_unit_test(test_what_was_before_it_is_not_delivered),
        cmocka_unit_test(test_a_test_is_delivered_signed),
        cmocka_unit_test(test_a_failure_is_repeated_with_the_same_bytes),
        cmocka_unit_test(test_a_restart_loses_nothing),
        cmocka_unit_test(test_two_gateways_deliver_each_event_once),
        cmocka_unit_test(test_a_damaged_record_holds_up_nobody_else),
        cmocka_unit_test(test_both_secrets_sign_for_a_day),
        cmocka_unit_test(test_metrics_count_attempts_and_ends),
        cmocka_unit_test(test_secrets_are_never_logged),
    };

    if (system("python3 -c '' && command -v openssl >/dev/null") != 0) {
        printf("no python3 or openssl in PATH: skipped\n");
        return 77;
    }
    hooks_prepare();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
