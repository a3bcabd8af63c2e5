/*
 * What the engine's model cannot show (files that compose reads by itself, interpolation) is
 * refused on the text, before the engine sees the file: to pull is already to read it.
 */
#include "services/guest-agent/boot_internal.h"
#include "services/guest-agent/test_world.h"

#define SERVICE(more) "services: {web: {image: hello:1, " more "}}\n"

static const char *text;

static void give_text(Coffer__V1__ConfigDisk *disk)
{
    disk->compose = (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* The owner's statement: the manifest has this very text. */
static void write_disk(struct world *world)
{
    sha256(text, strlen(text), world->workload.manifest.compose_sha256);
    support_workload_write(&world->workload);
    memcpy(world->tee.host_data, world->workload.manifest_sha256, 32);
    world_write_disk(world, give_text);
}

static void test_what_the_model_hides_is_refused(void **state)
{
    static const char *const table[] = {
        SERVICE("env_file: [{path: /var/lib/docker/volumes/p/_data/tls.key, required: false}]"),
        SERVICE("env_file: /proc/self/environ"),
        SERVICE("extends: {file: /etc/coffer.yaml, service: web}"),
        SERVICE("command: \"$TOKEN\""),
        SERVICE("labels: !reset {}"),
        "include: [/run/coffer/app/coffer.json]\n" SERVICE("init: true"),
        SERVICE("volumes: [\"${FILES}:/files\"]"),
        "not: [closed\n",
    };

    world_teardown(state);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        world_setup(state);
        struct world *world = *state;
        text = table[i];
        write_disk(world);
        world_expect_failure(world, "lint", "compose_refused");
        assert_int_equal(engine_fake_count(&world->engine, "pull"), 0);
        assert_int_equal(engine_fake_count(&world->engine, "model"), 0);
        assert_int_equal(engine_fake_count(&world->engine, "up"), 0);
        world_teardown(state);
    }
    world_setup(state);
}

static void test_what_the_gateway_accepts_runs(void **state)
{
    struct world *world = *state;

    text = SERVICE("env_file: \"${FILES}/app.conf\", environment: {A: \"$TOKEN\", B: "
                   "\"${COFFER_DOMAIN}\"}, volumes: [\"${FILES}/keys:/keys:ro\"]");
    write_disk(world);
    assert_true(world_run(world));
    assert_int_equal(engine_fake_count(&world->engine, "up"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_what_the_model_hides_is_refused),
        WORLD_TEST(test_what_the_gateway_accepts_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
