#include "tests/bench/gateway_program.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

enum { READY_TRIES = 600, TIMEOUT_S = 30 };

DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
DEFINE_CLEANUP(struct curl_slist *, curl_slist_free_all)

static size_t take_answer(char *data, size_t size, size_t n, void *state)
{
    buffer_add(state, data, size * n);
    return size * n;
}

/* The status, 0 for none. */
static long ask(int port, const char *path, const char *key, const char *body,
                struct buffer *ret_answer)
{
    _cleanup_(curl_easy_cleanupp) CURL *curl = curl_easy_init();
    _cleanup_(curl_slist_free_allp) struct curl_slist *headers = NULL;
    _cleanup_free_ char *url = xasprintf("http://127.0.0.1:%d%s", port, path);
    _cleanup_free_ char *bearer = xasprintf("Authorization: Bearer %s", key);
    long status = 0;

    headers = curl_slist_append(headers, bearer);
    headers = curl_slist_append(headers, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_answer);
    if (body)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    if (curl_easy_perform(curl) == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static void wait_until_ready(const struct gateway_program *gateway)
{
    for (int i = 0; i < READY_TRIES; i++) {
        _cleanup_buffer_ struct buffer answer = {0};
        if (ask(gateway->metrics_port, "/readyz", "", NULL, &answer) == 200)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    give_up(error_new(ERROR_DEADLINE_EXCEEDED, "the gateway is not ready"));
}

/* The same key when the stage has one already. */
static const char *key_file(struct stage *stage, char *ret_key, size_t size)
{
    const char *path = stage_text(stage, stage->dir, "/api-key");
    char *text = NULL;
    struct error *err = file_read_text(path, size - 1, &text);

    if (err) {
        error_free(err);
        text = xnew_array(char, UUID_TEXT_SIZE);
        uuid_generate_text(text);
        must(file_write_atomic(path, text, strlen(text), 0600));
    }
    snprintf(ret_key, size, "%s", text);
    free(text);
    return path;
}

void gateway_program_start(struct stage *stage, struct gateway_program *ret_gateway)
{
    struct gateway_program gateway = {.port = free_port(), .metrics_port = free_port()};
    struct arena *arena = stage->arena;
    char *argv[] = {(char *)GATEWAY_PROGRAM, NULL};
    char *environment[] = {
        arena_printf(arena, "GATEWAY_LISTEN=127.0.0.1:%d", gateway.port),
        arena_printf(arena, "GATEWAY_METRICS_LISTEN=127.0.0.1:%d", gateway.metrics_port),
        stage_text(stage, "COFFER_NATS_URL=", stage->nats_url),
        stage_text(stage, "COFFER_REDIS_URL=", stage->redis_url),
        arena_printf(arena, "GATEWAY_FLEET_DIR=%s/fleet", stage->dir),
        stage_text(stage, "GATEWAY_BOOTSTRAP_KEY_FILE=",
                   key_file(stage, gateway.key, sizeof(gateway.key))),
        (char *)"GATEWAY_RATE_PER_MINUTE=0",
        (char *)"GATEWAY_CONNECTIONS_PER_ADDRESS=0",
        (char *)"GATEWAY_STREAMS_PER_ACCOUNT=100000",
        NULL,
    };

    gateway.pid = process_start(argv, environment, stage_text(stage, stage->dir, "/gateway.log"));
    wait_until_ready(&gateway);
    *ret_gateway = gateway;
}

void gateway_program_end(struct gateway_program *gateway)
{
    process_end(&gateway->pid, SIGKILL);
}

json_t *gateway_program_ask(const struct gateway_program *gateway, const char *path,
                            const char *body)
{
    _cleanup_buffer_ struct buffer answer = {0};
    long status = ask(gateway->port, path, gateway->key, body, &answer);
    json_t *json = json_loadb(buffer_text(&answer), answer.size, 0, NULL);

    if (status != 200 || !json)
        give_up(error_new(ERROR_INTERNAL, "%s: %ld: %s", path, status, buffer_text(&answer)));
    return json;
}
