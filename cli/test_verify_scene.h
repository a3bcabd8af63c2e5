/* What every test of `coffer verify` has: a fleet with a development root, a release key, a signed
 * image, a manifest and files to name on a command line. */
#pragma once

#include "cli/test_verify_server.h"
#include "shared/attestation/policy.h"
#include "shared/seal/seal.h"

struct verify_scene {
    struct test_fleet fleet;
    struct sign_key release_key, other_key;
    char *release_public; /* hex */
    char *manifest, *manifest_sha256;
    char *ca, *image, *foreign_image, *manifest_file, *output; /* paths */
};

extern struct verify_scene scene;

int verify_scene_set_up(void **state);
int verify_scene_tear_down(void **state);

/* A path in the scene's folder; caller frees. */
char *verify_scene_path(const char *name);
/* The same, of a new file with this content. */
char *verify_scene_file(const char *name, const void *data, size_t size);

/* A policy file, sealed by the release key or by another; caller frees the path. */
#define POLICY_HEAD "{\"schema\": \"" POLICY_SCHEMA "\", \"name\": \"ours\", "
char *verify_scene_policy(const char *text, const struct sign_key *key);

/* `coffer verify` with these arguments; NULL ones are left out. Caller frees the output. */
int verify_scene_run(const char *const *arguments, size_t n, char **ret_output);
#define VERIFY_RUN(output, ...)                                                                    \
    verify_scene_run((const char *const[]){__VA_ARGS__},                                           \
                     ELEMENTSOF(((const char *const[]){__VA_ARGS__})), (output))

/* The exit code, and a text that the output must hold. */
void verify_scene_expect(int code, const char *text, const char *const *arguments, size_t n);
#define VERIFY_EXPECT(code, text, ...)                                                             \
    verify_scene_expect((code), (text), (const char *const[]){__VA_ARGS__},                        \
                        ELEMENTSOF(((const char *const[]){__VA_ARGS__})))

/* Saves what the server answers to this nonce. */
void verify_scene_answer(struct verify_server *server, const char *nonce_hex, const char *path);

/* A report of the server's guest, bare, with its certificates beside it in a folder. */
struct verify_bare {
    char *report, *report_data, *measurement, *certs;
};
struct verify_bare verify_scene_bare(struct verify_server *server);
void verify_bare_done(struct verify_bare *bare);

/* Plays the attester as it should be. */
struct verify_server verify_scene_honest(void);
