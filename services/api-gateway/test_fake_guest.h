/* The guest of TEST_WORKLOAD on TEST_HOST: checks what it is asked, and signs what it says. */
#pragma once

#include "services/api-gateway/test_fixture.h"

struct guest {
    struct bus_signer signer;
    const struct sign_key *key; /* signs its answers; NULL: it does not sign */
    const struct fixture *fixture;
    uint64_t counter;
    unsigned asked;
    unsigned refuse; /* so many questions, as one that came out of order */
    uint64_t last_question;
    bool question_was_signed;
    char source[64];
};

/* Puts the running workload of that account, and answers for it as long as the fixture lives; so
 * must *guest. */
void guest_start(struct fixture *f, struct guest *guest, const char *account);
