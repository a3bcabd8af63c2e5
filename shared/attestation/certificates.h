/*
 * The certificate table of the GHCB protocol (SNP_GET_EXT_REPORT; configfs-tsm auxblob): what the
 * host gives beside a report. Untrusted: it can only lead to failure, never to trust.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/base/buffer.h"
#include "shared/base/error.h"

#define CERTIFICATE_SIZE_MAX (16 * 1024)

struct certificate_view {
    const uint8_t *data; /* NULL: not there */
    size_t size;
};

struct certificate_table {
    struct certificate_view vcek; /* DER, like all */
    struct certificate_view vlek;
    struct certificate_view ask; /* of VCEK or VLEK */
    struct certificate_view ark;
    struct certificate_view crl;
};

/* Views point into data. No bytes: an empty table. Entries of other kinds are skipped; duplicates
 * and anything out of bounds are INVALID_ARGUMENT. */
struct error *certificate_table_parse(const void *data, size_t size,
                                      struct certificate_table *ret_table) _must_check_;

/* Adds the table's bytes to *ret_data. */
void certificate_table_write(const struct certificate_table *table, struct buffer *ret_data);
