#include "shared/nvidia/gpu_verify.h"

#include <openssl/crypto.h>
#include <string.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/encode.h"
#include "shared/nvidia/gpu_appraisal.h"

const struct gpu_roots gpu_roots_nvidia = {
    /* CN=NVIDIA Device Identity CA */
    .device = {0x10, 0x2b, 0xf6, 0x59, 0xd5, 0x41, 0x96, 0x14, 0xc9, 0xd8, 0xe6,
               0xae, 0xce, 0xbc, 0x80, 0x45, 0x4e, 0xb2, 0x6b, 0x1d, 0xf6, 0xa7,
               0x69, 0xac, 0x72, 0x0b, 0x9a, 0x69, 0x0b, 0x16, 0x7b, 0x48},
    /* CN=NVIDIA CoRIM signing Root CA */
    .rim = {0x12, 0x97, 0x7b, 0x51, 0x15, 0xac, 0xb0, 0x38, 0x11, 0x79, 0x27,
            0x9f, 0xff, 0xeb, 0x5a, 0x8c, 0x4d, 0x26, 0x49, 0x71, 0xeb, 0xb3,
            0x22, 0x98, 0x02, 0x3a, 0x46, 0x5f, 0xa4, 0x1d, 0xf5, 0xd1},
};

static const char *keep(struct gpu_appraisal *a, struct error *err)
{
    const char *text = arena_strdup(a->result->arena, error_text(err));

    error_free(err);
    return text;
}

static const char *hex(struct gpu_appraisal *a, const void *data, size_t size)
{
    _cleanup_free_ char *text = hex_encode_new(data, size);

    return arena_strdup(a->result->arena, text);
}

static struct gpu_finding check_format(struct gpu_appraisal *a, const struct gpu_device *d)
{
    (void)a;
    return d->problem ? GPU_FAIL(d->problem) : GPU_PASS("");
}

static struct gpu_finding check_chain(struct gpu_appraisal *a, const struct gpu_device *d)
{
    const char *problem = x509_path_problem(&d->chain.path, a->roots->device);

    return problem ? GPU_FAIL(problem) : GPU_PASS(d->chain.chip);
}

static struct gpu_finding check_validity(struct gpu_appraisal *a, const struct gpu_device *d)
{
    return x509_path_in_date(&d->chain.path, a->policy->at_ms) ? GPU_PASS("")
                                                               : GPU_FAIL("not in date");
}

static struct gpu_finding check_signature(struct gpu_appraisal *a, const struct gpu_device *d)
{
    (void)a;
    EVP_PKEY *key = x509_path_key(&d->chain.path);

    return key && spdm_signature_is_valid(&d->spdm, key) ? GPU_PASS("")
                                                         : GPU_FAIL("not by the leaf's key");
}

static struct gpu_finding check_nonce(struct gpu_appraisal *a, const struct gpu_device *d)
{
    if (!d->nonce)
        return GPU_UNKNOWN("the expected nonce is not given");
    bool equal = CRYPTO_memcmp(d->nonce, d->spdm.nonce, SPDM_NONCE_SIZE) == 0;
    return equal ? GPU_PASS("") : GPU_FAIL(hex(a, d->spdm.nonce, SPDM_NONCE_SIZE));
}

/* The firmware that the certificate names, and the one that the device says it runs. */
static struct gpu_finding check_firmware(struct gpu_appraisal *a, const struct gpu_device *d)
{
    const struct spdm_bytes *told = &d->spdm.opaque[SPDM_OPAQUE_FWID];

    if (!told->data && a->policy->accept_no_fwid)
        return GPU_PASS("not told, as asked for");
    if (!told->data)
        return GPU_UNKNOWN("the device does not name its firmware");
    if (!d->chain.has_fwid)
        return GPU_FAIL("the certificate names no firmware");
    bool equal =
        told->size == GPU_FWID_SIZE && CRYPTO_memcmp(told->data, d->chain.fwid, GPU_FWID_SIZE) == 0;
    return equal ? GPU_PASS("") : GPU_FAIL(hex(a, told->data, told->size));
}

/* The flag means something from version 1 of the opaque data on; before, protected PCIe had its own
 * field, and before that there was one mode only. */
int gpu_mode(const struct spdm_transcript *spdm)
{
    if (spdm_opaque_u16(spdm, SPDM_OPAQUE_VERSION) >= 1)
        return spdm_opaque_u16(spdm, SPDM_OPAQUE_FEATURE_FLAG);
    return spdm_opaque_byte(spdm, SPDM_OPAQUE_PROTECTED_PCIE) == SPDM_STATUS_ENABLED
               ? GPU_MODE_PROTECTED
               : GPU_MODE_SINGLE;
}

static struct gpu_finding check_mode(struct gpu_appraisal *a, const struct gpu_device *d)
{
    static const char *const names[] = {"single GPU pass-through", "multiple GPU pass-through",
                                        "protected PCIe"};
    int mode = gpu_mode(&d->spdm);
    int pcie = spdm_opaque_byte(&d->spdm, SPDM_OPAQUE_PROTECTED_PCIE);

    if (d->chain.is_switch)
        return GPU_PASS("a switch");
    for (size_t i = 0; i < a->n; i++)
        if (!a->devices[i].problem && !a->devices[i].chain.is_switch &&
            gpu_mode(&a->devices[i].spdm) != mode)
            return GPU_FAIL("not the mode of the other GPUs");
    if (mode < 0 || mode > GPU_MODE_PROTECTED)
        return GPU_FAIL("an unknown mode");
    if (pcie >= 0 && (pcie == SPDM_STATUS_ENABLED) != (mode == GPU_MODE_PROTECTED))
        return GPU_FAIL("two fields tell different modes");
    return GPU_PASS(names[mode]);
}

/* Is there one RIM of exactly this version, and is it NVIDIA's? */
static struct gpu_finding check_rim(struct gpu_appraisal *a, const struct gpu_rim *rim,
                                    const char *version, const char *code_ambiguous)
{
    struct arena *arena = a->result->arena;

    if (!version[0])
        return GPU_FAIL("the device does not tell its version");
    if (rim->ambiguous)
        return (struct gpu_finding){
            VERDICT_UNKNOWN,
            arena_printf(arena, "several RIMs of version %s, which differ", version),
            code_ambiguous};
    if (!rim->rim)
        return GPU_UNKNOWN(arena_printf(arena, "no RIM of version %s is given", version));
    return rim->rim->problem ? GPU_FAIL(rim->rim->problem) : GPU_PASS(rim->rim->version);
}

static struct gpu_finding check_driver(struct gpu_appraisal *a, const struct gpu_device *d)
{
    if (d->chain.is_switch)
        return GPU_PASS("a switch");
    return check_rim(a, &d->driver, d->spdm.driver_version, "gpu_driver_ambiguous");
}

static struct gpu_finding check_vbios(struct gpu_appraisal *a, const struct gpu_device *d)
{
    return check_rim(a, &d->vbios, d->spdm.vbios_version, "gpu_vbios_ambiguous");
}

static struct gpu_finding check_rim_validity(struct gpu_appraisal *a, const struct gpu_device *d)
{
    const struct rim *rims[] = {d->driver.rim, d->vbios.rim};
    bool in_date = true;

    for (size_t i = 0; i < ELEMENTSOF(rims); i++)
        in_date &= !rims[i] || x509_path_in_date(&rims[i]->signer, a->policy->at_ms);
    if (!rims[0] && !rims[1])
        return GPU_UNKNOWN("there is no RIM to judge");
    if (in_date)
        return GPU_PASS("");
    return a->policy->accept_expired_rims ? GPU_PASS("a RIM's signer is out of date, as asked for")
                                          : GPU_FAIL("a RIM's signer is out of date");
}

static const struct device_step {
    const char *id;
    struct gpu_finding (*check)(struct gpu_appraisal *a, const struct gpu_device *device);
    const char *expected;
    const char *why;
} device_steps[] = {
    {"gpu_format", check_format, "an SPDM exchange and five certificates, nothing more",
     "bytes that are not exactly evidence could mean different things to others"},
    {"gpu_chain", check_chain, "a chain to NVIDIA's root key",
     "anyone can make evidence; only a vendor's chain shows a real device"},
    {"gpu_validity", check_validity, "all certificates in date",
     "a certificate out of date is no longer vouched for"},
    {"gpu_signature", check_signature, "signed by the device, the question included",
     "every field of the evidence could be forged without it"},
    {"gpu_nonce", check_nonce, "the nonce of this question and this index",
     "evidence of another day or another guest could be replayed"},
    {"gpu_firmware", check_firmware, "the firmware that the certificate is for",
     "a key of older firmware could speak for this one"},
    {"gpu_mode", check_mode, "a confidential mode, the same on all GPUs",
     "a GPU in another mode may share its links in plain text"},
    {"gpu_driver", check_driver, "a signed RIM of the driver's version",
     "the driver could be one that NVIDIA never published"},
    {"gpu_vbios", check_vbios, "a signed RIM of the VBIOS version",
     "the firmware could be one that NVIDIA never published"},
    {"gpu_rim_validity", check_rim_validity, "RIM signers in date",
     "reference values out of date are no longer vouched for"},
    {"gpu_measurements", gpu_check_measurements, "every reference value of driver and VBIOS",
     "other firmware could run in place of the published one"},
    {"gpu_revocation", gpu_check_revocation, "no certificate revoked",
     "a key that was stolen could still sign"},
};

static const struct list_step {
    const char *id;
    struct gpu_finding (*check)(struct gpu_appraisal *a);
    const char *expected;
    const char *why;
} list_steps[] = {
    {"gpu_distinct", gpu_check_distinct, "as many devices as there is evidence",
     "one good GPU could answer for all others"},
    {"gpu_topology", gpu_check_topology, "GPUs and switches that are linked to each other only",
     "a link in plain text could lead to a foreign switch"},
};

_Static_assert(ELEMENTSOF(device_steps) + ELEMENTSOF(list_steps) + 1 == GPU_STEPS, "GPU_STEPS");

static void add_step(struct gpu_appraisal *a, const struct device_step *step,
                     const struct gpu_finding *finding)
{
    if (finding->code)
        verify_problem_add(a->result, finding->code, step->expected, finding->text, step->why);
    else
        verify_step_add(a->result, step->id, finding->verdict, step->expected, finding->text,
                        step->why);
}

/* The worst verdict, and the devices it is about. */
static void run_device_step(struct gpu_appraisal *a, const struct device_step *step)
{
    _cleanup_buffer_ struct buffer text = {};
    struct gpu_finding worst = GPU_PASS("");

    for (size_t i = 0; i < a->n; i++) {
        const struct gpu_device *d = &a->devices[i];
        struct gpu_finding finding = d->problem && step->check != check_format
                                         ? GPU_UNKNOWN("there is no evidence")
                                         : step->check(a, d);

        if (finding.verdict == VERDICT_FAIL || worst.verdict == VERDICT_PASS)
            worst = finding;
        if (finding.text[0])
            buffer_printf(&text, "%sdevice %zu: %s", text.size ? "; " : "", i, finding.text);
    }
    if (a->n == 0)
        worst = GPU_UNKNOWN("there is no device");
    else
        worst.text = buffer_text(&text);
    add_step(a, step, &worst);
}

static void run_count(struct gpu_appraisal *a)
{
    struct arena *arena = a->result->arena;
    size_t gpus = 0;

    for (size_t i = 0; i < a->n; i++)
        gpus += a->devices[i].problem || !a->devices[i].chain.is_switch;
    bool ok = a->policy->any_number ? gpus > 0 : gpus == a->policy->n_gpus;
    verify_step_add(a->result, "gpu_count", ok ? VERDICT_PASS : VERDICT_FAIL,
                    a->policy->any_number ? "any, at least one"
                                          : arena_printf(arena, "%zu", a->policy->n_gpus),
                    arena_printf(arena, "%zu", gpus), "a GPU could be left out, or added");
}

static void run_steps(struct gpu_appraisal *a)
{
    run_count(a);
    for (size_t i = 0; i < ELEMENTSOF(device_steps); i++)
        run_device_step(a, &device_steps[i]);
    for (size_t i = 0; i < ELEMENTSOF(list_steps); i++) {
        struct gpu_finding finding = list_steps[i].check(a);

        verify_step_add(a->result, list_steps[i].id, finding.verdict, list_steps[i].expected,
                        finding.text, list_steps[i].why);
    }
}

static bool is_of(const struct rim *rim, const char *chip, const char *version)
{
    return version[0] && strcmp(rim->product, chip) == 0 && strcmp(rim->version, version) == 0;
}

static bool files_are_equal(const struct binding_bytes *a, const struct binding_bytes *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* A good RIM before a bad one of the same name. Which chip, the signed chain says. Two good ones
 * that differ are both genuine: NVIDIA has signed a set of values for its own tests under the
 * product, version and tagId of a published one, and nothing in the file tells it apart. Then none
 * counts, or the order of the files would decide. */
static struct gpu_rim find_rim(const struct gpu_appraisal *a, const char *chip, const char *version)
{
    const struct binding_bytes *file = NULL;
    struct gpu_rim found = {};

    for (size_t i = 0; i < a->n_rims; i++) {
        const struct rim *rim = a->rims[i];

        if (!is_of(rim, chip, version) || (found.rim && rim->problem))
            continue;
        if (found.rim && !found.rim->problem && !files_are_equal(file, a->files[i]))
            return (struct gpu_rim){.ambiguous = true};
        found.rim = rim;
        file = a->files[i];
    }
    return found;
}

static void load_device(struct gpu_appraisal *a, const struct binding_bytes *in,
                        struct gpu_device *d)
{
    struct error *err = gpu_evidence_parse(in->data, in->size, &d->evidence);

    if (!err)
        err = spdm_parse(d->evidence.exchange.data, d->evidence.exchange.size, &d->spdm);
    if (!err)
        err =
            gpu_chain_parse(d->evidence.certificate.data, d->evidence.certificate.size, &d->chain);
    if (err) {
        d->problem = keep(a, err);
        return;
    }
    d->vbios = find_rim(a, d->chain.chip, d->spdm.vbios_version);
    if (!d->chain.is_switch)
        d->driver = find_rim(a, d->chain.chip, d->spdm.driver_version);
}

/* A file that is no RIM at all is of no version, and so matches nothing. */
static void load_rim(struct gpu_appraisal *a, const struct binding_bytes *in)
{
    struct error *err = rim_open(in->data, in->size, a->roots->rim, &a->rims[a->n_rims]);

    if (!err)
        a->files[a->n_rims++] = in;
    error_free(err);
}

static void appraisal_done(struct gpu_appraisal *a)
{
    for (size_t i = 0; i < a->n; i++) {
        gpu_evidence_done(&a->devices[i].evidence);
        gpu_chain_done(&a->devices[i].chain);
    }
    for (size_t i = 0; i < a->n_rims; i++)
        rim_free(a->rims[i]);
    free(a);
}
DEFINE_CLEANUP(struct gpu_appraisal *, appraisal_done)

struct error *verify_gpus(const struct gpu_policy *policy, const struct binding_bytes *devices,
                          size_t n, struct verify_result *result)
{
    if (!result->arena || n > GPU_DEVICES_MAX || policy->n_rims > GPU_RIMS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "verify gpus: too many devices or RIM files");
    if (result->n_steps + GPU_STEPS > VERIFY_STEPS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "verify gpus: no room for the steps");
    _cleanup_(appraisal_donep) struct gpu_appraisal *a = xnew(struct gpu_appraisal);
    a->policy = policy;
    a->roots = policy->roots ? policy->roots : &gpu_roots_nvidia;
    a->result = result;
    for (size_t i = 0; i < policy->n_rims; i++)
        load_rim(a, &policy->rims[i]);
    for (; a->n < n; a->n++) {
        a->devices[a->n].nonce = policy->nonces ? policy->nonces[a->n] : NULL;
        load_device(a, &devices[a->n], &a->devices[a->n]);
    }
    run_steps(a);
    if (memcmp(a->roots, &gpu_roots_nvidia, sizeof(gpu_roots_nvidia)) != 0)
        result->development = true;
    return NULL;
}
