/* Inside of policy_parse(): members of a JSON object as a table of rows. */
#pragma once

#include <jansson.h>

#include "shared/attestation/policy.h"

struct policy_context {
    struct arena *arena;
    const char *where; /* for messages: the member that is being read */
};

struct policy_field {
    const char *name;
    struct error *(*read)(const struct policy_context *, const struct policy_field *,
                          const json_t *, void *);
    size_t offset;
    size_t n_offset;      /* lists: the number of entries */
    size_t any_offset;    /* "any"; NO_ANY: not allowed */
    uint64_t size;        /* digests: bytes; numbers: largest */
    const char *words[2]; /* false, true */
};

/* Every member has a row; what has none is refused, not ignored. */
struct error *policy_read_object(const struct policy_context *c, const json_t *object,
                                 const struct policy_field *fields, size_t n_fields,
                                 void *target) _must_check_;

/* Rows: one of two words; a text of 1 to 256 bytes, copied; a number of one byte; "minimum_tcb";
 * "gpus". */
struct error *policy_read_word(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target) _must_check_;
struct error *policy_read_text(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target) _must_check_;
struct error *policy_read_u8(const struct policy_context *c, const struct policy_field *field,
                             const json_t *value, void *target) _must_check_;
struct error *policy_read_minimums(const struct policy_context *c, const struct policy_field *field,
                                   const json_t *value, void *target) _must_check_;

struct error *policy_read_gpus(const struct policy_context *c, const struct policy_field *field,
                               const json_t *value, void *target) _must_check_;

struct error *policy_get_number(const struct policy_context *c, const json_t *value, uint64_t max,
                                uint64_t *ret_number) _must_check_;
/* An array of 1 to POLICY_LIST_MAX: an empty one would read as "nothing asked for" to one and as
 * "nothing accepted" to another. */
struct error *policy_check_list(const struct policy_context *c, const json_t *value) _must_check_;
struct error *policy_bad(const struct policy_context *c,
                         const char *what) _must_check_ _never_null_;
bool policy_is_word(const json_t *value, const char *word);
