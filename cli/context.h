/*
 * Contexts: which gateway, with which key. $XDG_CONFIG_HOME/coffer (or ~/.config/coffer) holds
 *
 *     contexts/NAME/url, api-key, ca.pem     one folder (0700) each, files 0600; ca.pem is optional
 *     current                                the name of the one in use
 *     url, api-key                           of before contexts: the context "default"
 *
 * What is set in the environment comes first: COFFER_API_URL, COFFER_API_KEY, COFFER_CA_FILE, then
 * COFFER_CONTEXT. --context NAME comes before them all.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "shared/base/error.h"

enum { CONTEXT_KEY_MAX = 4096, CONTEXT_CA_MAX = 1024 * 1024 };

struct context {
    char *name; /* NULL: all of it comes from the environment */
    char *url;  /* without a '/' at its end; NULL: none */
    char *key;  /* wiped at the end; NULL: none */
    char *ca;   /* path of a PEM file; NULL: the system's authorities */
};

void context_done(struct context *context);

/* The one to use. INVALID_ARGUMENT: no such name; PERMISSION_DENIED: others may read a key. What
 * is not set is NULL. */
struct error *context_load(struct context *ret_context) _must_check_;

/* One by its name, as stored: the environment is not asked. NOT_FOUND. */
struct error *context_load_named(const char *name, struct context *ret_context) _must_check_;

/* The name in use, by option, environment and file: "default" when nothing says. Caller frees. */
struct error *context_current(char **ret_name) _must_check_;

/* Stores it, and makes it the current one when there was none or use is set. ca: a file that is
 * copied; NULL: none. */
struct error *context_save(const char *name, const char *url, const char *key, const char *ca,
                           bool use) _must_check_;

struct error *context_use(const char *name) _must_check_;        /* NOT_FOUND */
struct error *context_remove(const char *name) _must_check_;     /* NOT_FOUND */
struct error *context_forget_key(const char *name) _must_check_; /* NOT_FOUND: it has none */

/* The names, sorted, as an array of texts. Caller owns it. */
struct error *context_names(json_t **ret_names) _must_check_;

/* The folder of all; caller frees. UNAUTHENTICATED: there is no home. */
struct error *context_folder(char **ret_path) _must_check_;

/* The folder that holds the files of one; caller frees. */
struct error *context_path(const char *name, char **ret_path) _must_check_;

/* A name may be [a-z0-9-], and is at most 63 long. */
struct error *context_check_name(const char *name) _must_check_;

/* A key as somebody gave it: visible ASCII without white space, at least 8 of it. */
struct error *context_check_key(const char *key) _must_check_;

/* http:// or https://, a name, nothing else but a path. */
struct error *context_check_url(const char *url) _must_check_;

/* Whether what is said there can be read on the way: no TLS, and not to this machine. */
bool context_is_plain(const char *url);

/* A text of a file that nobody else may read. Caller frees, and wipes what is secret. */
struct error *context_read_secret(const char *path, char **ret_text) _must_check_;
