/* A JSON object read field by field: every problem becomes a finding, nothing stops at the first.
 * Texts live in the request's arena. */
#pragma once

#include "services/api-gateway/http.h"

struct form {
    struct request *request;
    const json_t *json;
    json_t *body;          /* the form's own, of form_open() */
    const char *taken[32]; /* names that were asked for; the rest is unknown */
    size_t n_taken;
};

void form_init(struct form *form, struct request *request, const json_t *json);

/* The whole body of a request, from form_open() to form_close(), which must follow and ends with
 * form_finish() and form_result(). Nothing that was taken may be JSON of the body after that. */
struct error *form_open(struct form *form, struct request *request) _must_check_;
struct error *form_close(struct form *form) _must_check_;
/* Of an update: it is wrong, too, when all else is right and nothing is to be changed. */
struct error *form_close_edit(struct form *form, bool changes, const char *where,
                              const char *fix) _must_check_;

/* A finding about a place in the body. */
void form_find(struct form *form, const char *where, const char *what, const char *fix);

/* Of any type, for the caller to judge; NULL when it is missing or null. */
json_t *form_value(struct form *form, const char *name);

/* NULL when it is missing (a finding when required) or no text of at most max bytes. */
const char *form_text(struct form *form, const char *name, bool required, size_t max);

/* The same, for what people see in lists: without control characters, which terminals obey. */
const char *form_name(struct form *form, const char *name, bool required, size_t max);

/* fallback when missing; a finding when it is no whole number from min to max. A required one
 * (min > fallback) that is missing is found too. */
uint64_t form_uint(struct form *form, const char *name, uint64_t min, uint64_t max,
                   uint64_t fallback);
/* USD as a number, in millionths; more than 0. A finding otherwise, also for a part of a millionth.
 */
uint64_t form_usd(struct form *form, const char *name);
bool form_bool(struct form *form, const char *name, bool fallback);
/* Whether it was given; *ret_active is true when not. */
bool form_active(struct form *form, bool *ret_active);

/* An object or array member, or NULL; wrong types and more than max items are findings. */
json_t *form_member(struct form *form, const char *name, json_type type, size_t max);

/* What nobody asked for is a finding: a misspelt name must not be ignored. */
void form_finish(struct form *form);

/* INVALID_ARGUMENT when there are findings. */
struct error *form_result(const struct form *form) _must_check_;

/* For bodies of one member: the text of at most max bytes that this name has. */
struct error *form_read_text(struct request *request, const char *name, size_t max,
                             const char **ret_text) _must_check_;
/* The same, where it is what the request is about (audit_about()); of a body that was read, and of
 * one that was not. */
struct error *form_object(struct request *request, const json_t *body, const char *name, size_t max,
                          char **ret_text) _must_check_;
struct error *form_read_object(struct request *request, const char *name, size_t max,
                               char **ret_text) _must_check_;
