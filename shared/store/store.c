#include "shared/store/store.h"

#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/store/backends.h"

enum { PASSWORD_MAX = 1024 };

void redis_address_done(struct redis_address *address)
{
    if (address->password)
        OPENSSL_cleanse(address->password, strlen(address->password));
    free(address->password);
    free(address->host);
    free(address->socket_path);
    *address = (struct redis_address){0};
}

static bool parse_number(const char *text, int max, int *ret_value)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || value > max)
        return false;
    *ret_value = (int)value;
    return true;
}

/* text is [:password@]host[:port][/db]; it is cut apart in place. */
static bool parse_tcp(char *text, struct redis_address *address)
{
    char *at = strrchr(text, '@');
    char *slash;
    char *colon;

    if (at) {
        *at = '\0';
        if (text[0] != ':')
            return false;
        address->password = xstrdup(text + 1);
        text = at + 1;
    }
    slash = strchr(text, '/');
    if (slash && slash[1] && !parse_number(slash + 1, 1023, &address->db))
        return false;
    if (slash)
        *slash = '\0';
    colon = strrchr(text, ':');
    address->port = 6379;
    if (colon && !parse_number(colon + 1, 65535, &address->port))
        return false;
    if (colon)
        *colon = '\0';
    address->host = xstrdup(text);
    return text[0] != '\0';
}

struct error *redis_address_parse(const char *url, struct redis_address *ret_address)
{
    static const char tcp[] = "redis://";
    static const char local[] = "redis+unix://";
    struct redis_address address = {0};
    bool ok = false;

    if (strncmp(url, local, strlen(local)) == 0) {
        address.socket_path = xstrdup(url + strlen(local));
        ok = address.socket_path[0] == '/';
    } else if (strncmp(url, tcp, strlen(tcp)) == 0) {
        _cleanup_free_ char *text = xstrdup(url + strlen(tcp));
        ok = parse_tcp(text, &address);
        OPENSSL_cleanse(text, strlen(url) - strlen(tcp));
    }
    if (!ok) {
        redis_address_done(&address);
        return error_new(ERROR_INVALID_ARGUMENT,
                         "store url is not redis://[:password@]host[:port][/db], "
                         "redis+unix:///path or memory:");
    }
    *ret_address = address;
    return NULL;
}

struct error *store_open(const char *url, const char *password_path, struct store **ret_store)
{
    struct redis_address address = {0};
    struct error *err = NULL;

    if (strcmp(url, "memory:") == 0) {
        *ret_store = store_memory_new();
        return NULL;
    }
    err = redis_address_parse(url, &address);
    if (!err && password_path && password_path[0]) {
        free(address.password);
        address.password = NULL;
        err = file_read_text(password_path, PASSWORD_MAX, &address.password);
    }
    if (err) {
        redis_address_done(&address);
        return error_wrap(err, "open store");
    }
    *ret_store = store_redis_new(&address);
    return NULL;
}

void store_free(struct store *store)
{
    if (store)
        store->ops->free(store);
}

/* What a caller far away can be told without the words of a backend. */
static struct error *away(struct error *err)
{
    return error_get_code(err) == ERROR_UNAVAILABLE ? error_set_reason(err, STORE_AWAY) : err;
}

struct error *store_get(struct store *store, const char *key, struct arena *arena,
                        struct store_record *ret_record)
{
    return error_wrap(away(store->ops->get(store, key, arena, ret_record)), "read '%s'", key);
}

struct error *store_get_many(struct store *store, const char *const *keys, size_t n,
                             struct arena *arena, struct store_record *ret_records)
{
    return error_wrap(away(store->ops->get_many(store, keys, n, arena, ret_records)),
                      "read %zu records", n);
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct error *store_members(struct store *store, const char *set, size_t max, struct arena *arena,
                            const char ***ret_members, size_t *ret_n)
{
    struct error *err = store->ops->members(store, set, max, arena, ret_members, ret_n);

    if (err)
        return error_wrap(away(err), "read set '%s'", set);
    qsort(*ret_members, *ret_n, sizeof(**ret_members), compare_text);
    return NULL;
}

struct error *store_commit(struct store *store, const struct store_change *change)
{
    return error_wrap(away(store->ops->commit(store, change)), "commit");
}

struct error *store_outbox_peek(struct store *store, size_t max, struct arena *arena,
                                struct store_outbox_entry **ret_entries, size_t *ret_n)
{
    return error_wrap(away(store->ops->outbox_peek(store, max, arena, ret_entries, ret_n)),
                      "read the outbox");
}

struct error *store_outbox_clear(struct store *store, const char *const *ids, size_t n)
{
    return error_wrap(away(store->ops->outbox_clear(store, ids, n)), "clear the outbox");
}

struct error *store_get_term(struct store *store, uint64_t *ret_term)
{
    return error_wrap(away(store->ops->get_term(store, ret_term)), "read the term");
}

struct error *store_set_term(struct store *store, uint64_t term)
{
    return error_wrap(away(store->ops->set_term(store, term)), "raise the term");
}

struct error *store_list_push(struct store *store, const char *key, const void *data, size_t size,
                              size_t max_length)
{
    return error_wrap(away(store->ops->list_push(store, key, data, size, max_length)),
                      "add to '%s'", key);
}

struct error *store_list_range(struct store *store, const char *key, size_t max,
                               struct arena *arena, ProtobufCBinaryData **ret_items, size_t *ret_n)
{
    return error_wrap(away(store->ops->list_range(store, key, max, arena, ret_items, ret_n)),
                      "read list '%s'", key);
}

struct error *store_ping(struct store *store)
{
    return away(store->ops->ping(store));
}

struct error *store_watch(struct store *store, const char *const *prefixes, size_t n,
                          store_told told, void *state, struct store_watch **ret_watch)
{
    return error_wrap(away(store->ops->watch(store, prefixes, n, told, state, ret_watch)), "watch");
}

void store_unwatch(struct store_watch *watch)
{
    if (watch)
        watch->store->ops->unwatch(watch);
}
