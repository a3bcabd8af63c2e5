/*
 * A guest may get certificates on two ways: with each report (GHCB certificate table) and, where
 * the hypervisor has no such table, from its host at boot. Both are the host's word; a Verifier
 * judges what it is given. Which goes along with a report is decided here.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared/attestation/tee.h"
#include "shared/base/buffer.h"

/*
 * Adds one certificate table for the report to *ret_table; nothing when both are empty. The VCEK is
 * the one for the report's chip and TCB (after a firmware update the older one is not), the CRL the
 * newer, all else the first table's where it has it. A table that cannot be read counts as empty.
 */
void collateral_merge(const uint8_t report[TEE_REPORT_SIZE], const struct buffer *first,
                      const struct buffer *second, struct buffer *ret_table);
