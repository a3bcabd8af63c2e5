/* What `coffer verify` says in the end: one structure, printed as a page or as JSON. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "shared/attestation/verifier.h"

#define VERIFY_FACTS_MAX 8

/* Something that was seen and that is no verdict. */
struct verify_fact {
    const char *id;    /* in JSON */
    const char *label; /* on the page */
    const char *value; /* NULL: not known, null in JSON */
};

struct verify_page {
    const struct verify_result *result;
    const char *policy;          /* its name */
    const char *const *gives_up; /* NULL-ended; NULL: nothing */
    int64_t at_ms;               /* the time that was judged for, Unix */
    struct verify_fact facts[VERIFY_FACTS_MAX];
    size_t n_facts;
};

/* Adds a fact of hex digits, data NULL: one that is not known; the text lives in the result's
 * arena. */
void verify_page_add_hex(struct verify_page *page, const char *id, const char *label,
                         const void *data, size_t size);
void verify_page_add(struct verify_page *page, const char *id, const char *label,
                     const char *value);

/* Prints to stdout and returns the exit code. */
int verify_page_print(const struct verify_page *page, bool as_json);
