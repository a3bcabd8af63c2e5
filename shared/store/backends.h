/* What the files of this folder share. */
#pragma once

#include "shared/store/store.h"

/* Where a Redis server is, from its url. Strings belong to the struct. */
struct redis_address {
    char *socket_path; /* NULL: TCP */
    char *host;
    int port;
    int db;
    char *password; /* NULL: none */
};

void redis_address_done(struct redis_address *address);

/* INVALID_ARGUMENT names what is wrong; the text never holds the password. */
struct error *redis_address_parse(const char *url, struct redis_address *ret_address) _must_check_;

/* Takes what the address owns. */
struct store *store_redis_new(struct redis_address *address);

/* What every backend's watch begins with. */
struct store_watch {
    struct store *store;
    const char *const *prefixes;
    size_t n_prefixes;
    store_told told;
    void *state;
};

/* Follows the server on a connection of its own; address is copied. */
struct error *redis_watch_new(const struct redis_address *address, const struct store_watch *base,
                              struct store_watch **ret_watch) _must_check_;
void redis_watch_free(struct store_watch *watch);
