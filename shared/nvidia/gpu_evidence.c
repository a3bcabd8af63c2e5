#include "shared/nvidia/gpu_evidence.h"

#include <jansson.h>
#include <string.h>

#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/nvidia/x509_path.h"

void gpu_evidence_done(struct gpu_evidence *evidence)
{
    buffer_done(&evidence->exchange);
    buffer_done(&evidence->certificate);
}

static struct error *read_bytes(const json_t *json, const char *name, size_t max,
                                struct buffer *ret_bytes)
{
    const char *text = json_string_value(json_object_get(json, name));
    _cleanup_free_ uint8_t *bytes = NULL;
    size_t size = 0;

    if (!text)
        return error_new(ERROR_INVALID_ARGUMENT, "gpu evidence: no '%s'", name);
    struct error *err = base64_decode_new(text, max, &bytes, &size);
    if (err)
        return error_wrap(err, "gpu evidence: '%s'", name);
    buffer_add(ret_bytes, bytes, size);
    return NULL;
}

struct error *gpu_evidence_parse(const void *data, size_t size, struct gpu_evidence *ret_evidence)
{
    *ret_evidence = (struct gpu_evidence){};
    if (size > GPU_EVIDENCE_SIZE_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "gpu evidence: longer than %d bytes",
                         GPU_EVIDENCE_SIZE_MAX);
    json_auto_t *json = json_loadb(size ? data : "", size, JSON_REJECT_DUPLICATES, NULL);
    if (json_object_size(json) != 2)
        return error_new(ERROR_INVALID_ARGUMENT, "gpu evidence: not 'certificate' and 'evidence'");
    struct error *err = read_bytes(json, "evidence", SPDM_TRANSCRIPT_MAX, &ret_evidence->exchange);
    if (!err)
        err = read_bytes(json, "certificate", X509_PATH_PEM_MAX, &ret_evidence->certificate);
    if (err)
        gpu_evidence_done(ret_evidence);
    return err;
}

static char *encode(const struct buffer *bytes)
{
    return base64_encode_new(bytes->size ? (const void *)bytes->data : "", bytes->size);
}

void gpu_evidence_write(const struct gpu_evidence *evidence, struct buffer *ret_json)
{
    _cleanup_free_ char *certificate = encode(&evidence->certificate);
    _cleanup_free_ char *exchange = encode(&evidence->exchange);

    buffer_printf(ret_json, "{\"certificate\":\"%s\",\"evidence\":\"%s\"}", certificate, exchange);
}

void gpu_nonce(const uint8_t root[32], const uint8_t key_hash[32], uint32_t index,
               uint8_t ret_nonce[SPDM_NONCE_SIZE])
{
    binding_gpu_nonce(root, key_hash, index, ret_nonce);
}
