#include "tests/bench/stage.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/attestation/test_root.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/fleet/fleet.h"
#include "shared/manifest/manifest.h"
#include "tests/bench/stage_hosts.h"

bool stage_is_available(void)
{
    return nats_server_is_available(2, 9) && system("redis-server --version >/dev/null 2>&1") == 0;
}

char *stage_text(struct stage *stage, const char *first, const char *second)
{
    return arena_printf(stage->arena, "%s%s", first, second);
}

static void sign_image(struct stage *stage, json_t *root)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    struct sign_key key;
    uint8_t signature[SIGN_SIZE];

    must(sign_key_load(stage_text(stage, stage->dir, "/fleet/release/sign.key"), &key));
    must(canonical_json(root, &bytes));
    must(sign_bytes(&key, bytes.data, bytes.size, signature));
    _cleanup_free_ char *public_hex = hex_encode_new(key.public, sizeof(key.public));
    _cleanup_free_ char *value = base64_encode_new(signature, sizeof(signature));
    json_object_set_new(root, "signature",
                        json_pack("{s:s, s:s}", "key", public_hex, "value", value));
    sign_key_done(&key);
}

static void write_image(struct stage *stage)
{
    char digest[97];
    char hash[65];

    memset(digest, '5', 96);
    memset(hash, '0', 64);
    digest[96] = hash[64] = '\0';
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:{s:{s:s, s:i}}, s:[{s:i, s:s, s:i, s:s}]}", "version",
                  STAGE_IMAGE, "verity_root_hash", hash, "cmdline", "quiet", "firmware", "f.fd",
                  "files", "f.fd", "sha256", hash, "size", 1, "measurements", "vcpus", STAGE_CPUS,
                  "cpu_model", "EPYC-v4", "guest_features", 1, "digest", digest);
    sign_image(stage, root);
    _cleanup_free_ char *json = json_dumps(root, 0);
    must(dir_make(stage_text(stage, stage->dir, "/images"), 0700));
    must(file_write_atomic(stage_text(stage, stage->dir, "/images/" STAGE_IMAGE ".json"), json,
                           strlen(json), 0600));
    json_decref(root);
}

static void make_fleet(struct stage *stage)
{
    const char *fleet = stage_text(stage, stage->dir, "/fleet");
    const char **ids = arena_alloc(stage->arena, stage->n_hosts * sizeof(*ids));
    uint8_t chip[FLEET_CHIP_ID_SIZE] = {0};

    for (size_t i = 0; i < stage->n_hosts; i++)
        ids[i] = stage_host_id(stage, i);
    must(fleet_init(fleet, &(struct fleet_options){.hosts = ids,
                                                   .n_hosts = stage->n_hosts,
                                                   .workload_domain = STAGE_DOMAIN}));
    for (size_t i = 0; i < stage->n_hosts; i++) {
        chip[0] = (uint8_t)(i + 1);
        must(fleet_enroll_host(fleet, ids[i], chip));
    }
    must(test_root_init(stage_text(stage, stage->dir, "/root")));
    must(sign_key_load(stage_text(stage, fleet, "/authority/sign.key"), &stage->authority_sign));
    must(box_key_load(stage_text(stage, fleet, "/authority/box.key"), &stage->authority_box));
    write_image(stage);
}

static void start_servers(struct stage *stage)
{
    char port[16];
    /* Without identities, which servers before 2.10 read otherwise. */
    _cleanup_free_ char *config = xasprintf("listen: 127.0.0.1:%d\nmax_payload: 1114112\n"
                                            "jetstream { store_dir: \"%s/store\" }\n",
                                            stage->nats.port, stage->nats.dir);

    snprintf(port, sizeof(port), "%d", free_port());
    char *argv[] = {"redis-server", (char *)REDIS_CONFIG, "--bind", "127.0.0.1", "--port", port,
                    "--dir",        stage->dir,           NULL};
    stage->redis = process_start(argv, NULL, stage_text(stage, stage->dir, "/redis.log"));
    must(nats_server_start(&stage->nats, config));
    snprintf(stage->redis_url, sizeof(stage->redis_url), "redis://127.0.0.1:%s", port);
    snprintf(stage->nats_url, sizeof(stage->nats_url), "nats://127.0.0.1:%d", stage->nats.port);
}

static void start_scheduler(struct stage *stage)
{
    char *argv[] = {
        (char *)SCHEDULER_PROGRAM,
        stage_text(stage, "--coffer-nats-url=", stage->nats_url),
        stage_text(stage, "--coffer-redis-url=", stage->redis_url),
        arena_printf(stage->arena, "--scheduler-fleet-dir=%s/fleet", stage->dir),
        arena_printf(stage->arena, "--scheduler-images-dir=%s/images", stage->dir),
        arena_printf(stage->arena, "--scheduler-trust-root-dir=%s/root", stage->dir),
        (char *)"--scheduler-allow-software-tee=true",
        NULL,
    };

    stage->scheduler = process_start(argv, NULL, stage_text(stage, stage->dir, "/scheduler.log"));
}

struct bus *stage_connect(struct stage *stage, const char *name)
{
    _cleanup_free_ char *inbox = xasprintf("_INBOX.%s", name);
    struct bus *bus;

    must(bus_connect(
        &(struct bus_options){.url = stage->nats_url, .name = name, .inbox_prefix = inbox}, false,
        &bus));
    return bus;
}

void stage_start(struct stage *stage, size_t n_hosts)
{
    *stage = (struct stage){.arena = arena_new(), .n_hosts = n_hosts};
    strcpy(stage->dir, "/tmp/coffer-bench-XXXXXX");
    if (!mkdtemp(stage->dir))
        give_up(error_errno(errno, "make a directory"));
    must(nats_server_init(&stage->nats, 0));
    stage_hosts_init(stage);
    make_fleet(stage);
    start_servers(stage);
    start_scheduler(stage);
    stage_hosts_start(stage);
    sleep(STAGE_HEARTBEAT_S + 2);
}

void stage_end(struct stage *stage)
{
    stage_hosts_end(stage);
    process_end(&stage->scheduler, SIGTERM);
    nats_server_done(&stage->nats);
    process_end(&stage->redis, SIGKILL);
    sign_key_done(&stage->authority_sign);
    box_key_done(&stage->authority_box);
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", stage->dir);
    if (!getenv("BENCH_KEEP") && system(command) != 0)
        fprintf(stderr, "could not remove '%s'\n", stage->dir);
    arena_free(stage->arena);
}
