#include "cli/test_verify_scene.h"

#include <jansson.h>

#include "cli/command.h"
#include "cli/test_command.h"
#include "cli/verify.h"
#include "shared/attestation/certificates.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"
#include "shared/manifest/signed_document.h"

struct verify_scene scene;

static const uint8_t measurement[48] = {[0 ... 47] = 0x4d}; /* of test_guest() */

static char *make_manifest(void)
{
    struct manifest_service services[] = {
        {"db", "postgres:17", "unpinned"},
        {"web", "nginx:1",
         "sha256:4444444444444444444444444444444444444444444444444444444444444444"},
    };
    const struct manifest manifest = {
        .image_version = "0.1.0",
        .public_service = "web",
        .public_port = 80,
        .acme_directory = "https://acme.test/dir",
        .acme_ca = "",
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .services = services,
        .n_services = 2,
    };
    _cleanup_buffer_ struct buffer text = {};

    expect_ok(manifest_write(&manifest, &text));
    return buffer_take_text(&text);
}

/* Signed as image_seal() does, with the measurement that the test's guest has. */
static void write_image(const char *path, const struct sign_key *key)
{
    _cleanup_free_ char *digest = hex_encode_new(measurement, 48);
    uint8_t zero[32] = {0};
    _cleanup_free_ char *sha = hex_encode_new(zero, 32);
    json_auto_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:{s:{s:s, s:i}}, s:[{s:i, s:s, s:i, s:s}]}", "version",
                  "0.1.0", "verity_root_hash", "00", "cmdline", "quiet", "firmware", "OVMF.fd",
                  "files", "OVMF.fd", "sha256", sha, "size", 1, "measurements", "vcpus", 2,
                  "cpu_model", "EPYC-v4", "guest_features", 1, "digest", digest);

    expect_ok(signed_document_seal(root, key));
    assert_int_equal(json_dump_file(root, path, 0), 0);
}

char *verify_scene_path(const char *name)
{
    return xasprintf("%s/%s", scene.fleet.dir, name);
}

char *verify_scene_file(const char *name, const void *data, size_t size)
{
    char *path = verify_scene_path(name);

    expect_ok(file_write_atomic(path, data, size, 0600));
    return path;
}

static void make_keys(void)
{
    expect_ok(sign_key_generate(&scene.release_key));
    expect_ok(sign_key_generate(&scene.other_key));
    scene.release_public = hex_encode_new(scene.release_key.public, 32);
    _cleanup_free_ char *pub = xasprintf("%s/release.pub", scene.fleet.root);
    expect_ok(file_write_atomic(pub, scene.release_public, 64, 0644));
}

int verify_scene_set_up(void **state)
{
    (void)state;
    uint8_t hash[32];

    test_fleet_init(&scene.fleet);
    make_keys();
    scene.manifest = make_manifest();
    sha256(scene.manifest, strlen(scene.manifest), hash);
    scene.manifest_sha256 = hex_encode_new(hash, 32);
    scene.manifest_file = verify_scene_file("manifest", scene.manifest, strlen(scene.manifest));
    scene.ca = verify_scene_path("ca.pem");
    scene.output = verify_scene_path("out");
    scene.image = verify_scene_path("image.json");
    scene.foreign_image = verify_scene_path("foreign.json");
    write_image(scene.image, &scene.release_key);
    write_image(scene.foreign_image, &scene.other_key);
    return 0;
}

int verify_scene_tear_down(void **state)
{
    (void)state;
    char *const owned[] = {scene.release_public, scene.manifest,     scene.manifest_sha256,
                           scene.manifest_file,  scene.ca,           scene.output,
                           scene.image,          scene.foreign_image};

    test_fleet_done(&scene.fleet);
    for (size_t i = 0; i < ELEMENTSOF(owned); i++)
        free(owned[i]);
    return 0;
}

char *verify_scene_policy(const char *text, const struct sign_key *key)
{
    char *path = verify_scene_file("policy.json", text, strlen(text));
    _cleanup_free_ char *key_path = verify_scene_path("release.key"), *output = NULL;
    const char *const arguments[] = {"seal", path, "--key", key_path};

    expect_ok(key_file_save(key_path, key->secret));
    assert_int_equal(
        test_command(policy_seal_main, scene.output, arguments, ELEMENTSOF(arguments), &output), 0);
    assert_int_equal(remove(key_path), 0);
    return path;
}

int verify_scene_run(const char *const *arguments, size_t n, char **ret_output)
{
    const char *all[32] = {"verify"};

    assert_true(n < ELEMENTSOF(all));
    memcpy(all + 1, arguments, n * sizeof(*arguments));
    return test_command(verify_main, scene.output, all, n + 1, ret_output);
}

struct verify_server verify_scene_honest(void)
{
    return (struct verify_server){
        .name = "hello.coffer.test",
        .cpu_model = "EPYC-v4",
        .guest = test_guest(),
        .manifest = scene.manifest,
        .processor = scene.fleet.processors[0],
    };
}

void verify_scene_expect(int code, const char *text, const char *const *arguments, size_t n)
{
    _cleanup_free_ char *output = NULL;
    int actual = verify_scene_run(arguments, n, &output);

    if (actual != code || !strstr(output, text))
        fail_msg("code %d, not %d, or no '%s' in:\n%s", actual, code, text, output);
}

void verify_scene_answer(struct verify_server *server, const char *nonce_hex, const char *path)
{
    uint8_t nonce[32];

    expect_ok(hex_decode(nonce_hex, nonce, sizeof(nonce)));
    _cleanup_free_ char *body = verify_server_body(server, nonce);
    expect_ok(file_write_atomic(path, body, strlen(body), 0600));
}

static void write_certificates(const struct verify_bare *bare, const struct buffer *bytes)
{
    struct certificate_table table;
    const struct {
        const char *name;
        const struct certificate_view *view;
    } files[] = {{"vcek.der", &table.vcek},
                 {"ask.crt", &table.ask},
                 {"ark.cer", &table.ark},
                 {"list.crl", &table.crl}};

    expect_ok(certificate_table_parse(bytes->data, bytes->size, &table));
    expect_ok(dir_make(bare->certs, 0700));
    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_free_ char *path = xasprintf("%s/%s", bare->certs, files[i].name);
        expect_ok(file_write_atomic(path, files[i].view->data, files[i].view->size, 0600));
    }
}

struct verify_bare verify_scene_bare(struct verify_server *server)
{
    struct tee_evidence evidence;
    uint8_t report_data[64];
    struct verify_bare bare = {.certs = verify_scene_path("certs")};

    memset(report_data, 0xda, sizeof(report_data));
    expect_ok(processor_report(server->processor, &server->guest, report_data, &evidence));
    bare.report = verify_scene_file("report.bin", evidence.report, TEE_REPORT_SIZE);
    bare.report_data = hex_encode_new(report_data, sizeof(report_data));
    bare.measurement = hex_encode_new(server->guest.measurement, 48);
    write_certificates(&bare, &evidence.certificates);
    tee_evidence_done(&evidence);
    return bare;
}

void verify_bare_done(struct verify_bare *bare)
{
    free(bare->report);
    free(bare->report_data);
    free(bare->measurement);
    free(bare->certs);
}
