/* A boot of workload "w1" up to its challenge, and requests that are spoilt in ways that several
 * tests of releases use. */
#pragma once

#include "services/scheduler/test_kit.h"

/* Until the guest has its nonce. */
void kit_begin_boot(struct kit *kit, struct kit_guest *ret_guest);

/* Of the report. */
void kit_flip_signature(struct kit *kit, _unused_ struct kit_guest *guest,
                        Coffer__V1__AttestRequest **request);

/* The report of the other host's chip. */
void kit_take_other_chip(struct kit *kit, struct kit_guest *guest,
                         Coffer__V1__AttestRequest **request);

/* The certificates without the revocation list. */
void kit_drop_crl(struct kit *kit, struct kit_guest *guest, Coffer__V1__AttestRequest **request);
