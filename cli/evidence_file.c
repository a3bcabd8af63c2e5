#include "cli/evidence_file.h"

#include "shared/attestation/tee.h"
#include "shared/base/file.h"

/* No report begins so: its first bytes are a small version number. */
static bool is_json(const struct buffer *bytes)
{
    size_t at = 0;

    while (at < bytes->size && (bytes->data[at] == ' ' || bytes->data[at] == '\n'))
        at++;
    return at < bytes->size && bytes->data[at] == '{';
}

struct error *evidence_file_read(const char *path, struct buffer *ret_bytes, bool *ret_is_answer)
{
    struct error *err = file_read(path, EVIDENCE_FILE_MAX, ret_bytes);

    if (err)
        return err;
    *ret_is_answer = is_json(ret_bytes);
    if (!*ret_is_answer && ret_bytes->size != TEE_REPORT_SIZE)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "'%s' is neither a report of %d bytes nor an attester's answer", path,
                         TEE_REPORT_SIZE);
    return NULL;
}
