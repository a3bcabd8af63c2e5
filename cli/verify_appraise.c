#include "cli/verify_appraise.h"

#include <openssl/crypto.h>
#include <string.h>

#include "cli/verify_devices.h"
#include "cli/verify_image.h"
#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"
#include "shared/seal/seal.h"

#define REPORT_DATA_AT 0x50
#define HOST_DATA_AT   0xc0

struct check {
    const struct verify_reference *reference;
    const struct verify_answer *answer;
    struct verify_result *result;
    uint8_t manifest_sha256[32]; /* of the text in the answer, else the expected one */
    bool have_manifest;          /* the answer carries one */
    uint8_t nonce_root[32];      /* with have_root */
    bool have_root;
    const uint8_t *spki_sha256;        /* the peer's, else as claimed; NULL: neither */
    bool is_bound;                     /* the report commits to that key, and to all the rest */
    uint8_t report_data[BINDING_SIZE]; /* what the report must say */
    bool have_report_data;
    bool is_given; /* a bare report says what was given in words */
};

static const char *hex(struct check *c, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    return arena_strdup(c->result->arena, text);
}

static void add(struct check *c, const char *id, enum verdict verdict, const char *expected,
                const char *actual, const char *why)
{
    verify_step_add(c->result, id, verdict, expected, actual, why);
}

/* The root of the nonces that the evidence answers, from ours; without it the fresh form cannot be
 * computed. */
static void find_root(struct check *c)
{
    const struct verify_answer *answer = c->answer;

    if (!answer->fresh || !c->reference->nonce)
        return;
    struct error *err = merkle_root_from_path(
        c->reference->nonce, (size_t)answer->nonce_index, (size_t)answer->nonce_count,
        (const uint8_t(*)[32])answer->path, answer->n_path, c->nonce_root);
    c->have_root = !err;
    error_free(err);
}

/* report_data for this key, from our nonce; false: there is no nonce, or the Merkle path is
 * malformed. */
static bool compute(const struct check *c, const uint8_t spki_sha256[32],
                    uint8_t ret_report_data[BINDING_SIZE])
{
    if (!c->answer->fresh) {
        binding_tls_static(spki_sha256, ret_report_data);
        return true;
    }
    const struct binding_tls in = {
        .nonce_root = c->nonce_root,
        .spki_sha256 = spki_sha256,
        .manifest_sha256 = c->manifest_sha256,
        .devices_hash = c->answer->n_devices > 0 ? c->answer->devices_hash : NULL,
    };
    if (c->have_root)
        binding_tls(&in, ret_report_data);
    return c->have_root;
}

static bool report_says(const struct check *c, const uint8_t report_data[BINDING_SIZE])
{
    return CRYPTO_memcmp(c->answer->report + REPORT_DATA_AT, report_data, BINDING_SIZE) == 0;
}

static const char key_why[] = "somebody in between could answer with the evidence of another";
static const char freshness_why[] = "old evidence could be shown again";

static void check_key(struct check *c, bool bound)
{
    const uint8_t *peer = c->reference->spki_sha256;
    bool told = c->answer->has_spki && c->answer->fresh;

    if (!peer) {
        add(c, "key", VERDICT_UNKNOWN, "whose TLS key it is for is not given (--peer)",
            told ? hex(c, c->answer->spki_sha256, 32) : "", key_why);
        return;
    }
    const char *expected =
        arena_printf(c->result->arena, "this connection's key %s", hex(c, peer, 32));
    if (bound)
        add(c, "key", VERDICT_PASS, expected, hex(c, peer, 32), key_why);
    else if (c->answer->fresh && !c->reference->nonce)
        add(c, "key", VERDICT_UNKNOWN, expected, "cannot be told without the nonce", key_why);
    else if (told && memcmp(c->answer->spki_sha256, peer, 32) != 0)
        add(c, "key", VERDICT_FAIL, expected,
            arena_printf(c->result->arena, "the evidence is for %s",
                         hex(c, c->answer->spki_sha256, 32)),
            key_why);
    else
        add(c, "key", VERDICT_FAIL, expected, "the report is not bound to it", key_why);
}

/* A report for another key may still answer our nonce: say which of the two is wrong. */
static void check_freshness(struct check *c, bool bound)
{
    uint8_t other[BINDING_SIZE];

    if (!c->answer->fresh && c->reference->accept_static) {
        add(c, "freshness", VERDICT_PASS, "any age, as this policy allows",
            "the evidence answers no nonce", freshness_why);
        return;
    }
    if (!c->reference->nonce) {
        add(c, "freshness", VERDICT_UNKNOWN, "what it must answer is not given (--nonce)", "",
            freshness_why);
        return;
    }
    const char *nonce = hex(c, c->reference->nonce, 32);
    if (!c->answer->fresh) {
        add(c, "freshness", VERDICT_FAIL, nonce, "the evidence answers no nonce", freshness_why);
        return;
    }
    bool fresh = bound || (compute(c, c->answer->spki_sha256, other) && report_says(c, other));
    add(c, "freshness", fresh ? VERDICT_PASS : VERDICT_FAIL, nonce,
        fresh ? arena_printf(c->result->arena, "answered, with %llu more",
                             (unsigned long long)c->answer->nonce_count - 1)
              : "the report does not answer it",
        freshness_why);
}

/* A bare report does not say what its report_data commits to. Who gives the value in words has
 * judged whose key and which question that is, and the page says so; who does not cannot be told.
 */
static void check_bare(struct check *c)
{
    static const char any[] = "any, as report_data is given in words";
    static const char differs[] = "the report does not carry the report_data that was given";
    static const char silent[] = "a bare report does not say; --report-data may";
    bool given = c->have_report_data, said = given && report_says(c, c->report_data);
    enum verdict verdict = said ? VERDICT_PASS : given ? VERDICT_FAIL : VERDICT_UNKNOWN;
    const char *problem = given ? differs : silent;

    c->is_given = said;
    add(c, "key", verdict, said ? any : "the key that the caller means",
        said ? "whose key it is for was the caller's to judge" : problem, key_why);
    if (c->reference->accept_static)
        add(c, "freshness", VERDICT_PASS, "any age, as this policy allows",
            "the evidence answers no nonce", freshness_why);
    else
        add(c, "freshness", verdict, said ? any : "the question that the caller means",
            said ? "what it answers was the caller's to judge" : problem, freshness_why);
}

static void check_binding(struct check *c)
{
    const struct verify_reference *reference = c->reference;
    uint8_t computed[BINDING_SIZE];

    if (reference->report_data) {
        memcpy(c->report_data, reference->report_data, BINDING_SIZE);
        c->have_report_data = true;
    }
    if (c->answer->bare) {
        check_bare(c);
        return;
    }
    find_root(c);
    const uint8_t *claimed = c->answer->has_spki ? c->answer->spki_sha256 : NULL;
    c->spki_sha256 = reference->spki_sha256 ? reference->spki_sha256 : claimed;
    bool known = c->spki_sha256 && compute(c, c->spki_sha256, computed);
    if (known && !c->have_report_data) {
        memcpy(c->report_data, computed, BINDING_SIZE);
        c->have_report_data = true;
    }
    c->is_bound = known && report_says(c, computed);
    bool bound = reference->spki_sha256 && c->is_bound;
    check_key(c, bound);
    check_freshness(c, bound);
}

/* Behind the steps of the CPU's report, without which devices prove nothing. */
static struct error *check_devices(struct check *c)
{
    const struct verify_binding binding = {
        .nonce_root = c->have_root ? c->nonce_root : NULL,
        .spki_sha256 = c->spki_sha256,
        .is_given = c->is_given,
        .is_bound = c->answer->fresh && c->is_bound,
    };

    return verify_devices(c->reference, c->answer, &binding, c->result);
}

static struct error *check_report(struct check *c, const struct verify_measurements *allowed,
                                  const struct verify_collateral *collateral)
{
    const struct verify_reference *reference = c->reference;
    struct verify_policy policy = reference->policy;

    policy.collateral = collateral;
    policy.report_data = c->have_report_data ? c->report_data : NULL;
    policy.any_host_data = !c->have_manifest && reference->any_manifest;
    policy.host_data = c->have_manifest ? c->manifest_sha256 : reference->manifest_sha256;
    policy.any_measurement = allowed->any;
    policy.measurements = allowed->digests;
    policy.n_measurements = allowed->n;
    return verify_snp(&policy, c->answer->report, TEE_REPORT_SIZE, c->answer->certificates.data,
                      c->answer->certificates.size, c->result);
}

static void check_manifest(struct check *c)
{
    static const char why[] = "another project could run there";
    const struct verify_reference *reference = c->reference;
    const uint8_t *actual =
        c->have_manifest ? c->manifest_sha256 : c->answer->report + HOST_DATA_AT;
    const char *text = hex(c, actual, 32);

    if (reference->any_manifest)
        add(c, "manifest", VERDICT_PASS, "any, as asked for", text, why);
    else if (!reference->manifest_sha256)
        add(c, "manifest", VERDICT_UNKNOWN, "not given (--manifest or --any-manifest)", text, why);
    else
        add(c, "manifest",
            CRYPTO_memcmp(reference->manifest_sha256, actual, 32) == 0 ? VERDICT_PASS
                                                                       : VERDICT_FAIL,
            hex(c, reference->manifest_sha256, 32), text, why);
}

/* Informative: an unpinned image is allowed, and said. */
static void check_pinning(struct check *c)
{
    static const char why[] = "an image without a digest is what its registry says that day";
    static const char expected[] = "every image by its digest";
    _cleanup_buffer_ struct buffer list = {};
    const char *text = c->have_manifest ? c->answer->manifest : c->reference->manifest;
    struct manifest *manifest = NULL;

    if (!text && c->reference->any_manifest) {
        add(c, "pinning", VERDICT_PASS, "any, as asked for", "there is no manifest to see", why);
        return;
    }
    if (!text) {
        add(c, "pinning", VERDICT_UNKNOWN, expected, "there is no manifest to see", why);
        return;
    }
    struct error *err = manifest_parse(text, strlen(text), c->result->arena, &manifest);
    if (err) {
        add(c, "pinning", VERDICT_UNKNOWN, expected, error_text(err), why);
        error_free(err);
        return;
    }
    for (size_t i = 0; i < manifest->n_services; i++)
        if (strcmp(manifest->services[i].digest, "unpinned") == 0)
            buffer_printf(&list, "%s%s (%s)",
                          list.size ? ", " : "not pinned: ", manifest->services[i].name,
                          manifest->services[i].image);
    add(c, "pinning", VERDICT_PASS, expected, list.size ? buffer_text(&list) : "all pinned", why);
}

struct error *verify_appraise(const struct verify_reference *reference,
                              const struct verify_collateral *collateral,
                              const struct verify_answer *answer, struct verify_result *result)
{
    struct check c = {.reference = reference, .answer = answer, .result = result};

    c.have_manifest = answer->manifest != NULL;
    if (c.have_manifest)
        sha256(answer->manifest, strlen(answer->manifest), c.manifest_sha256);
    else if (reference->manifest_sha256)
        memcpy(c.manifest_sha256, reference->manifest_sha256, 32);
    check_binding(&c);
    struct verify_measurements allowed = verify_image(reference, answer, result);
    struct error *err = check_report(&c, &allowed, collateral);
    if (err)
        return err;
    err = check_devices(&c);
    if (err)
        return err;
    check_manifest(&c);
    check_pinning(&c);
    return NULL;
}
