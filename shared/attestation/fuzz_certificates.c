/* Target functions: certificate_table_parse, certificate_table_write. What is accepted is written
 * and read again as the same certificates. */
#include <string.h>

#include "shared/attestation/certificates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_same(const struct certificate_view *a, const struct certificate_view *b)
{
    if (a->size != b->size || (a->size > 0 && memcmp(a->data, b->data, a->size) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_buffer_ struct buffer bytes = {};
    struct certificate_table table, again;

    struct error *err = certificate_table_parse(data, size, &table);
    if (err) {
        error_free(err);
        return 0;
    }
    certificate_table_write(&table, &bytes);
    err = certificate_table_parse(bytes.data, bytes.size, &again);
    if (err) { /* overlapping entries may become more bytes than a table has */
        error_free(err);
        return 0;
    }
    expect_same(&table.vcek, &again.vcek);
    expect_same(&table.vlek, &again.vlek);
    expect_same(&table.ask, &again.ask);
    expect_same(&table.ark, &again.ark);
    expect_same(&table.crl, &again.crl);
    return 0;
}
