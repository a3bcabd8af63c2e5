#include "cli/verify_answer.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/pem.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"

#define VCPUS_MAX       512
#define NONCE_COUNT_MAX (1 << 20)
#define CRL_MAX         CERTIFICATE_SIZE_MAX /* what a certificate table has room for */

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(X509 *, X509_free)

static struct error *wrong(const char *what)
{
    return error_new(ERROR_INVALID_ARGUMENT, "the answer has no valid '%s'", what);
}

static struct error *get_hex(const json_t *object, const char *name, void *ret_data, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    struct error *err = text ? hex_decode(text, ret_data, size) : wrong(name);

    if (!err)
        return NULL;
    error_free(err);
    return wrong(name);
}

static struct error *get_number(const json_t *object, const char *name, json_int_t max,
                                uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return wrong(name);
    *ret_value = (uint64_t)json_integer_value(value);
    return NULL;
}

/* A PEM text becomes DER in the arena; null and absence leave the view empty. */
static struct error *get_certificate(const json_t *object, const char *name, struct arena *arena,
                                     struct certificate_view *ret_view)
{
    const json_t *value = json_object_get(object, name);
    uint8_t *der = NULL;

    if (!value || json_is_null(value))
        return NULL;
    if (!json_is_string(value) || json_string_length(value) > 2 * CERTIFICATE_SIZE_MAX)
        return wrong(name);
    _cleanup_(BIO_freep) BIO *bio =
        BIO_new_mem_buf(json_string_value(value), (int)json_string_length(value));
    _cleanup_(X509_freep) X509 *certificate =
        bio ? PEM_read_bio_X509(bio, NULL, pem_no_password, NULL) : NULL;
    int size = certificate ? i2d_X509(certificate, &der) : -1;
    ERR_clear_error();
    if (size <= 0)
        return wrong(name);
    *ret_view = (struct certificate_view){arena_memdup(arena, der, (size_t)size), (size_t)size};
    OPENSSL_free(der);
    return NULL;
}

/* The bytes of a revocation list; the verifier says what they are worth. */
static struct error *get_crl(const json_t *root, struct arena *arena,
                             struct certificate_view *ret_view)
{
    const json_t *value = json_object_get(json_object_get(root, "collateral"), "crl");
    _cleanup_free_ uint8_t *der = NULL;
    size_t size = 0;

    if (!value || json_is_null(value))
        return NULL;
    const char *text = json_string_value(value);
    struct error *err = text ? base64_decode_new(text, CRL_MAX, &der, &size) : wrong("crl");
    if (err || size == 0) {
        error_free(err);
        return wrong("crl");
    }
    *ret_view = (struct certificate_view){arena_memdup(arena, der, size), size};
    return NULL;
}

static struct error *get_certificates(const json_t *root, struct arena *arena,
                                      struct verify_answer *answer)
{
    const json_t *object = json_object_get(root, "certificates");
    struct certificate_table table = {};

    struct error *err = get_certificate(object, "vcek", arena, &table.vcek);
    if (!err)
        err = get_certificate(object, "vlek", arena, &table.vlek);
    if (!err)
        err = get_certificate(object, "ask", arena, &table.ask);
    if (!err)
        err = get_certificate(object, "ark", arena, &table.ark);
    if (!err)
        err = get_crl(root, arena, &table.crl);
    if (!err)
        certificate_table_write(&table, &answer->certificates);
    return err;
}

static struct error *get_path(const json_t *binding, struct verify_answer *answer)
{
    const json_t *path = json_object_get(binding, "merkle_path");

    if (!json_is_array(path) || json_array_size(path) > VERIFY_PATH_MAX)
        return wrong("merkle_path");
    for (size_t i = 0; i < json_array_size(path); i++) {
        const char *text = json_string_value(json_array_get(path, i));
        struct error *err = text ? hex_decode(text, answer->path[i], 32) : wrong("merkle_path");

        if (err) {
            error_free(err);
            return wrong("merkle_path");
        }
        answer->n_path = i + 1;
    }
    return NULL;
}

/* Their bytes as they are: the devices hash covers them, and never what they mean. */
static struct error *get_devices(const json_t *root, struct arena *arena,
                                 struct verify_answer *answer)
{
    const json_t *list = json_object_get(root, "devices");

    if (!list || json_is_null(list))
        return NULL;
    if (!json_is_array(list) || json_array_size(list) > GPU_DEVICES_MAX)
        return wrong("devices");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        size_t size = json_string_length(value);

        if (!json_is_string(value) || size > GPU_EVIDENCE_SIZE_MAX)
            return wrong("devices");
        answer->devices[i] =
            (struct binding_bytes){arena_memdup(arena, json_string_value(value), size), size};
    }
    answer->n_devices = json_array_size(list);
    binding_devices(answer->devices, answer->n_devices, answer->devices_hash);
    return NULL;
}

/* What the answer claims to bind must be what it shows: all devices, in this order. */
static struct error *check_devices_hash(const json_t *binding, const struct verify_answer *answer)
{
    const char *claim = json_string_value(json_object_get(binding, "devices_hash"));
    uint8_t claimed[32];

    if (answer->n_devices == 0 && (!claim || !claim[0]))
        return NULL;
    struct error *err = get_hex(binding, "devices_hash", claimed, sizeof(claimed));
    if (err)
        return err;
    if (answer->n_devices == 0 || memcmp(claimed, answer->devices_hash, sizeof(claimed)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "the answer's 'devices' are not those of its 'devices_hash'");
    return NULL;
}

static struct error *get_binding(const json_t *root, struct verify_answer *answer)
{
    const json_t *binding = json_object_get(root, "binding");
    const char *tag = json_string_value(json_object_get(binding, "tag"));

    answer->fresh = tag && strcmp(tag, "coffer/report-data/v1") == 0;
    if (!answer->fresh) /* the existing system's form, with or without our description of it */
        return NULL;
    struct error *err = get_number(binding, "nonce_index", NONCE_COUNT_MAX, &answer->nonce_index);
    if (!err)
        err = get_number(binding, "nonce_count", NONCE_COUNT_MAX, &answer->nonce_count);
    if (!err)
        err = get_path(binding, answer);
    if (!err)
        err = get_hex(binding, "spki_sha256", answer->spki_sha256, 32);
    answer->has_spki = !err;
    return err ? err : check_devices_hash(binding, answer);
}

static const char *get_text(const json_t *root, const char *name, size_t max, struct arena *arena)
{
    const json_t *value = json_object_get(root, name);

    if (!json_is_string(value) || json_string_length(value) > max ||
        strlen(json_string_value(value)) != json_string_length(value))
        return NULL;
    return arena_strdup(arena, json_string_value(value));
}

struct error *verify_answer_parse(const void *json, size_t size, struct arena *arena,
                                  struct verify_answer *ret_answer)
{
    _cleanup_(verify_answer_done) struct verify_answer answer = {};
    json_auto_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
    uint64_t vcpus = 0;

    if (!json_is_object(root))
        return error_new(ERROR_INVALID_ARGUMENT, "the answer is not a JSON object");
    struct error *err = get_hex(root, "raw_report", answer.report, TEE_REPORT_SIZE);
    if (!err)
        err = get_certificates(root, arena, &answer);
    if (!err)
        err = get_devices(root, arena, &answer);
    if (!err)
        err = get_binding(root, &answer);
    if (!err)
        err = get_number(json_object_get(root, "environment"), "cpu_count", VCPUS_MAX, &vcpus);
    if (err)
        return err;
    answer.vcpus = (uint32_t)vcpus;
    answer.manifest = get_text(root, "manifest", MANIFEST_MAX, arena);
    answer.cpu_model = get_text(root, "cpu_model", 64, arena);
    answer.provider = get_text(root, "provider", 64, arena);
    *ret_answer = answer;
    answer.certificates = (struct buffer){};
    return NULL;
}

void verify_answer_from_report(const uint8_t report[TEE_REPORT_SIZE],
                               struct verify_answer *ret_answer)
{
    *ret_answer = (struct verify_answer){.bare = true};
    memcpy(ret_answer->report, report, TEE_REPORT_SIZE);
}

void verify_answer_done(struct verify_answer *answer)
{
    buffer_done(&answer->certificates);
}
