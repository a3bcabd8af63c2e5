#include "shared/attestation/processor.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/pem.h"
#include "shared/attestation/report.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/base/reader.h"

#define KEY_MAX              4096
#define REQUEST_BODY_SIZE    68
#define STATUS_INVALID_PARAM 0x16 /* SEV-SNP firmware ABI, status codes */

/* What a Genoa of this level reports (seen in the field). */
#define DEV_REPORT_VERSION 5
#define DEV_TCB                                                                                    \
    ((uint64_t)DEV_TCB_MICROCODE << 56 | (uint64_t)DEV_TCB_SNP << 48 | DEV_TCB_TEE << 8 |          \
     DEV_TCB_BOOTLOADER)
#define DEV_PLATFORM_INFO  0x25 /* SMT, ECC, alias check complete */
#define DEV_FIRMWARE_MAJOR 1
#define DEV_FIRMWARE_MINOR 55
#define DEV_FIRMWARE_BUILD 43
#define DEV_MIT_VECTOR     0x1
#define DEV_CPUID_FAMILY   0x19
#define DEV_CPUID_MODEL    0x11
#define DEV_CPUID_STEPPING 1
#define DEV_SIGNATURE_P384 1

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)
DEFINE_CLEANUP(BIO *, BIO_free)

struct processor {
    EVP_PKEY *key;
    uint8_t chip_id[64];
    struct buffer certificates; /* the table, as a host would give it */
};

static struct error *read_certificate(const char *dir, const char *name, struct buffer *ret_der)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    return file_read(path, CERTIFICATE_SIZE_MAX, ret_der);
}

/* A chip that was made before there were CRLs has none. */
static struct error *read_crl(const char *dir, struct buffer *ret_der)
{
    struct error *err = read_certificate(dir, "crl.der", ret_der);

    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}

static struct error *read_certificates(const char *dir, struct buffer *ret_table)
{
    _cleanup_buffer_ struct buffer vcek = {}, ask = {}, ark = {}, crl = {};

    struct error *err = read_certificate(dir, "vcek.der", &vcek);
    if (!err)
        err = read_certificate(dir, "ask.der", &ask);
    if (!err)
        err = read_certificate(dir, "ark.der", &ark);
    if (!err)
        err = read_crl(dir, &crl);
    if (err)
        return err;
    const struct certificate_table table = {
        .vcek = {vcek.data, vcek.size},
        .ask = {ask.data, ask.size},
        .ark = {ark.data, ark.size},
        .crl = {crl.data, crl.size},
    };
    certificate_table_write(&table, ret_table);
    return NULL;
}

static struct error *read_key(const char *dir, EVP_PKEY **ret_key)
{
    _cleanup_free_ char *path = xasprintf("%s/vcek.key", dir);
    _cleanup_buffer_ struct buffer text = {};

    struct error *err = file_read(path, KEY_MAX, &text);
    if (err)
        return err;
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(buffer_text(&text), (int)text.size);
    *ret_key = bio ? PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, NULL) : NULL;
    return *ret_key ? NULL : error_openssl("read '%s'", path);
}

static struct error *read_chip_id(const char *dir, uint8_t ret_chip_id[64])
{
    _cleanup_free_ char *path = xasprintf("%s/chip_id", dir);
    _cleanup_free_ char *text = NULL;

    struct error *err = file_read_text(path, 256, &text);
    return err ? err : hex_decode(text, ret_chip_id, 64);
}

struct error *processor_open(const char *dir, struct processor **ret_processor)
{
    _cleanup_(processor_freep) struct processor *processor = xnew(struct processor);

    struct error *err = read_chip_id(dir, processor->chip_id);
    if (!err)
        err = read_key(dir, &processor->key);
    if (!err)
        err = read_certificates(dir, &processor->certificates);
    if (err)
        return error_wrap(err, "software processor '%s'", dir);
    *ret_processor = TAKE_PTR(processor);
    return NULL;
}

void processor_free(struct processor *processor)
{
    if (!processor)
        return;
    EVP_PKEY_free(processor->key);
    buffer_done(&processor->certificates);
    free(processor);
}

const uint8_t *processor_chip_id(const struct processor *processor)
{
    return processor->chip_id;
}

static void put(uint8_t *at, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

/* CURRENT_BUILD, _MINOR, _MAJOR, and the same committed. */
static void put_firmware(uint8_t *at)
{
    at[0] = DEV_FIRMWARE_BUILD;
    at[1] = DEV_FIRMWARE_MINOR;
    at[2] = DEV_FIRMWARE_MAJOR;
}

/* Offsets: SEV-SNP firmware ABI, ATTESTATION_REPORT. */
static void fill_report(const struct processor *processor, const struct processor_guest *guest,
                        uint32_t vmpl, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                        uint8_t report[TEE_REPORT_SIZE])
{
    memset(report, 0, TEE_REPORT_SIZE);
    put(report + 0x000, DEV_REPORT_VERSION, 4);
    put(report + 0x008, guest->policy, 8);
    put(report + 0x030, vmpl, 4);
    put(report + 0x034, DEV_SIGNATURE_P384, 4);
    put(report + 0x038, DEV_TCB, 8); /* current */
    put(report + 0x040, DEV_PLATFORM_INFO, 8);
    memcpy(report + 0x050, report_data, TEE_REPORT_DATA_SIZE);
    memcpy(report + 0x090, guest->measurement, 48);
    memcpy(report + 0x0c0, guest->host_data, 32);
    memcpy(report + 0x140, guest->report_id, 32);
    memset(report + 0x160, 0xff, 32); /* no migration agent */
    put(report + 0x180, DEV_TCB, 8);  /* reported */
    report[0x188] = DEV_CPUID_FAMILY;
    report[0x189] = DEV_CPUID_MODEL;
    report[0x18a] = DEV_CPUID_STEPPING;
    memcpy(report + 0x1a0, processor->chip_id, 64);
    put(report + 0x1e0, DEV_TCB, 8); /* committed */
    put_firmware(report + 0x1e8);
    put_firmware(report + 0x1ec);
    put(report + 0x1f0, DEV_TCB, 8); /* at launch */
    put(report + 0x1f8, DEV_MIT_VECTOR, 8);
    put(report + 0x200, DEV_MIT_VECTOR, 8);
}

/* R and S, little endian, 48 of 72 bytes each. */
static struct error *sign_report(const struct processor *processor, uint8_t report[TEE_REPORT_SIZE])
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t der[160];
    const uint8_t *at = der;
    size_t size = sizeof(der);

    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha384(), NULL, processor->key) != 1 ||
        EVP_DigestSign(ctx, der, &size, report, REPORT_SIGNED_SIZE) != 1)
        return error_openssl("sign report");
    _cleanup_(ECDSA_SIG_freep) ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)size);
    uint8_t *r = report + REPORT_SIGNED_SIZE, *s = r + REPORT_SCALAR_SIZE;
    if (!signature || BN_bn2lebinpad(ECDSA_SIG_get0_r(signature), r, 48) != 48 ||
        BN_bn2lebinpad(ECDSA_SIG_get0_s(signature), s, 48) != 48)
        return error_openssl("sign report");
    return NULL;
}

static struct error *make_report(const struct processor *processor,
                                 const struct processor_guest *guest, uint32_t vmpl,
                                 const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                 uint8_t ret_report[TEE_REPORT_SIZE])
{
    fill_report(processor, guest, vmpl, report_data, ret_report);
    return sign_report(processor, ret_report);
}

struct error *processor_report(struct processor *processor, const struct processor_guest *guest,
                               const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                               struct tee_evidence *ret_evidence)
{
    struct tee_evidence evidence = {.tee = "sev-snp", .provider = "software"};

    struct error *err = make_report(processor, guest, guest->vmpl, report_data, evidence.report);
    if (err)
        return err;
    buffer_add(&evidence.certificates, processor->certificates.data, processor->certificates.size);
    *ret_evidence = evidence;
    return NULL;
}

/* The requested VMPL must not be more privileged than the caller. */
static struct error *answer(const struct processor *processor, const struct processor_guest *guest,
                            const uint8_t *report_data, uint32_t vmpl, struct buffer *ret_response)
{
    uint8_t report[TEE_REPORT_SIZE];
    bool refused = vmpl < guest->vmpl || vmpl > 3;

    if (!refused) {
        struct error *err = make_report(processor, guest, vmpl, report_data, report);
        if (err)
            return err;
    }
    size_t size = refused ? 0 : sizeof(report) + processor->certificates.size;
    buffer_add_text(ret_response, TEE_SOFTWARE_MAGIC);
    buffer_add_u32be(ret_response, (uint32_t)(4 + size));
    buffer_add_u32be(ret_response, refused ? STATUS_INVALID_PARAM : 0);
    if (!refused) {
        buffer_add(ret_response, report, sizeof(report));
        buffer_add(ret_response, processor->certificates.data, processor->certificates.size);
    }
    return NULL;
}

struct error *processor_answer(struct processor *processor, const struct processor_guest *guest,
                               const void *request, size_t size, struct buffer *ret_response)
{
    struct reader in;

    reader_init(&in, request, size);
    const uint8_t *magic = reader_view(&in, strlen(TEE_SOFTWARE_MAGIC));
    uint32_t length = reader_u32be(&in);
    const uint8_t *report_data = reader_view(&in, TEE_REPORT_DATA_SIZE);
    uint32_t vmpl = reader_u32be(&in);
    if (!reader_done(&in) || length != REQUEST_BODY_SIZE ||
        memcmp(magic, TEE_SOFTWARE_MAGIC, strlen(TEE_SOFTWARE_MAGIC)) != 0)
        return error_new(ERROR_INVALID_ARGUMENT, "malformed request to the software processor");
    return answer(processor, guest, report_data, vmpl, ret_response);
}
