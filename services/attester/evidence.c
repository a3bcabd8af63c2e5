#include "services/attester/evidence.h"

#include <jansson.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>

#include "shared/attestation/binding.h"
#include "shared/attestation/certificates.h"
#include "shared/attestation/verifier.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/collateral/merge.h"
#include "shared/seal/seal.h"

#define TAG_FRESH  "coffer/report-data/v1"
#define TAG_STATIC "static-v0"

DEFINE_CLEANUP(BIO *, BIO_free)
DEFINE_CLEANUP(X509 *, X509_free)

struct evidence_maker {
    struct tee *tee;
    struct devices *devices; /* may be NULL */
    pthread_mutex_t mutex;   /* of both */
    char *manifest;
    char *image_version;
    char *cpu_model;
    uint64_t vcpus;
    uint8_t manifest_sha256[32];
    struct buffer collateral;
    int64_t collateral_at_ms;
};

struct evidence_maker *evidence_maker_new(struct tee *tee, const struct evidence_facts *facts)
{
    struct evidence_maker *maker = xnew(struct evidence_maker);

    maker->tee = tee;
    maker->devices = facts->devices;
    pthread_mutex_init(&maker->mutex, NULL);
    maker->manifest = xstrdup(facts->manifest);
    maker->image_version = xstrdup(facts->image_version);
    maker->cpu_model = xstrdup(facts->cpu_model);
    maker->vcpus = facts->vcpus;
    sha256(maker->manifest, strlen(maker->manifest), maker->manifest_sha256);
    if (facts->collateral)
        buffer_add(&maker->collateral, facts->collateral->data, facts->collateral->size);
    maker->collateral_at_ms = facts->collateral_at_ms;
    return maker;
}

void evidence_maker_free(struct evidence_maker *maker)
{
    if (!maker)
        return;
    tee_free(maker->tee);
    devices_free(maker->devices);
    pthread_mutex_destroy(&maker->mutex);
    free(maker->manifest);
    free(maker->image_version);
    free(maker->cpu_model);
    buffer_done(&maker->collateral);
    free(maker);
}

const uint8_t *evidence_maker_manifest_sha256(const struct evidence_maker *maker)
{
    return maker->manifest_sha256;
}

struct evidence *evidence_ref(struct evidence *evidence)
{
    __atomic_add_fetch(&evidence->refs, 1, __ATOMIC_RELAXED);
    return evidence;
}

void evidence_unref(struct evidence *evidence)
{
    if (!evidence || __atomic_sub_fetch(&evidence->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(evidence->common);
    free(evidence);
}

static void set_hex(json_t *object, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    json_object_set_new(object, name, json_string(text));
}

/* PEM, or null when the host did not give it or it is no certificate. */
static json_t *certificate_pem(const struct certificate_view *view)
{
    const uint8_t *at = view->data;
    _cleanup_(X509_freep) X509 *certificate = at ? d2i_X509(NULL, &at, (long)view->size) : NULL;
    _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (!certificate || !bio || PEM_write_bio_X509(bio, certificate) != 1) {
        ERR_clear_error();
        return json_null();
    }
    long size = BIO_get_mem_data(bio, &text);
    return json_stringn(text, (size_t)size);
}

static json_t *crl_base64(const struct certificate_view *view)
{
    if (!view->data)
        return json_null();
    _cleanup_free_ char *text = base64_encode_new(view->data, view->size);
    return json_string(text);
}

static struct certificate_table read_table(const struct buffer *bytes)
{
    struct certificate_table table = {};
    struct error *err = certificate_table_parse(bytes->data, bytes->size, &table);

    if (err)
        table = (struct certificate_table){};
    error_free(err);
    return table;
}

/* When the CRL came from the vendor, by the host's word: its age, which grows, follows from it. */
static json_t *crl_fetched_at(const struct evidence_maker *maker,
                              const struct certificate_view *crl)
{
    const struct certificate_view host = read_table(&maker->collateral).crl;
    char text[CLOCK_TEXT_SIZE];

    if (!maker->collateral_at_ms || !host.data || !crl->data || host.size != crl->size ||
        memcmp(host.data, crl->data, crl->size) != 0)
        return json_null();
    clock_format(maker->collateral_at_ms, text);
    return json_string(text);
}

/* A host's damaged table is left out: the verifier then says that it cannot tell. */
static void set_certificates(json_t *object, const struct evidence_maker *maker,
                             const struct tee_evidence *tee)
{
    _cleanup_buffer_ struct buffer bytes = {};

    collateral_merge(tee->report, &tee->certificates, &maker->collateral, &bytes);
    const struct certificate_table table = read_table(&bytes);
    json_object_set_new(object, "certificates",
                        json_pack("{s:o, s:o, s:o, s:o}", "vcek", certificate_pem(&table.vcek),
                                  "vlek", certificate_pem(&table.vlek), "ask",
                                  certificate_pem(&table.ask), "ark", certificate_pem(&table.ark)));
    json_object_set_new(object, "collateral",
                        json_pack("{s:o, s:o}", "crl", crl_base64(&table.crl), "crl_fetched_at",
                                  crl_fetched_at(maker, &table.crl)));
}

/* Texts, because the devices hash covers their bytes as they are. */
static json_t *devices_json(const struct gpu_evidence_list *list)
{
    json_t *json = json_array();

    for (size_t i = 0; i < list->n; i++)
        json_array_append_new(json,
                              json_stringn(buffer_text(&list->devices[i]), list->devices[i].size));
    return json;
}

static struct error *make_common(const struct evidence_maker *maker, const struct tee_evidence *tee,
                                 const struct gpu_evidence_list *gpus, bool fresh,
                                 char **ret_common)
{
    json_t *report = NULL;

    struct error *err = snp_report_to_json(tee->report, TEE_REPORT_SIZE, &report);
    if (err)
        return err;
    json_auto_t *object =
        json_pack("{s:o, s:n, s:{s:s, s:s, s:I}, s:b, s:s, s:s, s:s, s:s}", "report", report,
                  "gpu_token", "environment", "nilcc_version", maker->image_version, "vm_type",
                  maker->devices ? "gpu" : "cpu", "cpu_count", (json_int_t)maker->vcpus, "fresh",
                  fresh, "tee", tee->tee, "provider", tee->provider, "cpu_model", maker->cpu_model,
                  "manifest", maker->manifest);
    if (!object)
        return error_new(ERROR_FAILED_PRECONDITION, "manifest or settings are not UTF-8");
    set_hex(object, "raw_report", tee->report, TEE_REPORT_SIZE);
    set_certificates(object, maker, tee);
    json_object_set_new(object, "devices", devices_json(gpus));
    char *text = json_dumps(object, JSON_COMPACT);
    text[strlen(text) - 1] = '\0'; /* "binding" and the closing brace follow per answer */
    *ret_common = text;
    return NULL;
}

static void bind(const struct evidence_maker *maker, const struct evidence *evidence,
                 uint8_t ret_report_data[BINDING_SIZE])
{
    const struct binding_tls in = {
        .nonce_root = evidence->nonce_root,
        .spki_sha256 = evidence->spki_sha256,
        .manifest_sha256 = maker->manifest_sha256,
        .devices_hash = evidence->has_devices ? evidence->devices_hash : NULL,
    };

    if (evidence->n_nonces > 0)
        binding_tls(&in, ret_report_data);
    else
        binding_tls_static(evidence->spki_sha256, ret_report_data);
}

/* The GPUs are asked with the nonces' root: the static form, which has none, is without them. */
static struct error *collect_devices(struct evidence_maker *maker, struct evidence *evidence,
                                     struct gpu_evidence_list *list)
{
    struct binding_bytes bytes[GPU_DEVICES_MAX];

    if (!maker->devices || evidence->n_nonces == 0)
        return NULL;
    struct error *err = maker->devices->ops->collect(maker->devices, evidence->nonce_root,
                                                     evidence->spki_sha256, list);
    if (err)
        return error_wrap(err, "gpus");
    for (size_t i = 0; i < list->n; i++)
        bytes[i] = (struct binding_bytes){list->devices[i].data, list->devices[i].size};
    evidence->has_devices = binding_devices(bytes, list->n, evidence->devices_hash) != NULL;
    return NULL;
}

/* With the mutex held. */
static struct error *ask_hardware(struct evidence_maker *maker, struct evidence *evidence,
                                  struct gpu_evidence_list *gpus, struct tee_evidence *tee)
{
    uint8_t report_data[BINDING_SIZE];

    struct error *err = collect_devices(maker, evidence, gpus);
    if (err)
        return err;
    bind(maker, evidence, report_data);
    return tee_get_report(maker->tee, report_data, tee);
}

struct error *evidence_make(struct evidence_maker *maker, const uint8_t spki_sha256[32],
                            const uint8_t *nonce_root, size_t n_nonces,
                            struct evidence **ret_evidence)
{
    _cleanup_(evidence_unrefp) struct evidence *evidence = xnew(struct evidence);
    struct tee_evidence tee = {};
    struct gpu_evidence_list gpus = {};

    evidence->refs = 1;
    evidence->n_nonces = nonce_root ? n_nonces : 0;
    memcpy(evidence->spki_sha256, spki_sha256, 32);
    if (nonce_root)
        memcpy(evidence->nonce_root, nonce_root, 32);
    pthread_mutex_lock(&maker->mutex);
    struct error *err = error_recode(ask_hardware(maker, evidence, &gpus, &tee), ERROR_UNAVAILABLE);
    pthread_mutex_unlock(&maker->mutex);
    if (!err)
        err = make_common(maker, &tee, &gpus, nonce_root != NULL, &evidence->common);
    tee_evidence_done(&tee);
    gpu_evidence_list_done(&gpus);
    if (!err)
        *ret_evidence = TAKE_PTR(evidence);
    return err;
}

static void set_leaf(json_t *binding, const struct evidence *evidence,
                     const struct evidence_leaf *leaf)
{
    json_t *hashes = json_array();

    for (size_t i = 0; i < leaf->n_path; i++) {
        _cleanup_free_ char *text = hex_encode_new(leaf->path[i], 32);
        json_array_append_new(hashes, json_string(text));
    }
    set_hex(binding, "nonce", leaf->nonce, 32);
    json_object_set_new(binding, "nonce_index", json_integer((json_int_t)leaf->index));
    json_object_set_new(binding, "nonce_count", json_integer((json_int_t)evidence->n_nonces));
    json_object_set_new(binding, "merkle_path", hashes);
    set_hex(binding, "nonce_root", evidence->nonce_root, 32);
}

void evidence_answer(const struct evidence_maker *maker, const struct evidence *evidence,
                     const struct evidence_leaf *leaf, struct buffer *ret_text)
{
    json_auto_t *binding = json_pack("{s:s, s:s, s:s, s:s}", "tag", leaf ? TAG_FRESH : TAG_STATIC,
                                     "role", "tls-server", "tee", "sev-snp", "devices_hash", "");

    if (leaf)
        set_leaf(binding, evidence, leaf);
    if (evidence->has_devices)
        set_hex(binding, "devices_hash", evidence->devices_hash, 32);
    set_hex(binding, "spki_sha256", evidence->spki_sha256, 32);
    set_hex(binding, "manifest_sha256", maker->manifest_sha256, 32);
    _cleanup_free_ char *text = json_dumps(binding, JSON_COMPACT);
    buffer_add_text(ret_text, ",\"binding\":");
    buffer_add_text(ret_text, text);
    buffer_add_text(ret_text, "}");
}
