/* Fleet state in one process: for tests and for one-process trials. Same contract as Redis. */
#include <inttypes.h>
#include <pthread.h>

#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/store/backends.h"

struct item {
    char *key;
    uint64_t version;
    uint8_t *data;
    size_t size;
    int64_t expires_at_ms; /* monotonic; 0: never */
};

struct set_member {
    char *set;
    char *member;
};

struct list_item {
    char *key;
    uint8_t *data;
    size_t size;
    int64_t expires_at_ms; /* of the whole list; monotonic, 0: never */
};

struct memory_watch {
    struct store_watch base;
    struct memory_watch *next;
};

struct store_memory {
    struct store base;
    pthread_mutex_t lock;
    struct clock *clock;
    uint64_t version;
    uint64_t term;
    struct item *items;
    size_t n_items;
    struct set_member *members;
    size_t n_members;
    struct list_item *lists; /* oldest first */
    size_t n_lists;
    struct store_outbox_entry *outbox; /* owns its texts */
    size_t n_outbox;
    struct memory_watch *watches;
};

static void unlock(pthread_mutex_t **lock)
{
    pthread_mutex_unlock(*lock);
}

static pthread_mutex_t *lock_of(struct store *store)
{
    struct store_memory *memory = (struct store_memory *)store;

    pthread_mutex_lock(&memory->lock);
    return &memory->lock;
}
#define _locked_(store) _cleanup_(unlock) _unused_ pthread_mutex_t *locked_ = lock_of(store)

static void tell(const struct store_memory *memory, const char *key)
{
    for (const struct memory_watch *watch = memory->watches; watch; watch = watch->next)
        for (size_t i = 0; i < watch->base.n_prefixes; i++)
            if (strncmp(key, watch->base.prefixes[i], strlen(watch->base.prefixes[i])) == 0)
                watch->base.told(watch->base.state, STORE_CHANGED, key);
}

static void item_remove(struct store_memory *memory, struct item *item)
{
    size_t left = (size_t)(memory->items + memory->n_items - item - 1);

    free(item->key);
    free(item->data);
    memmove(item, item + 1, left * sizeof(*item));
    memory->n_items--;
}

static struct item *item_find(struct store_memory *memory, const char *key)
{
    int64_t now_ms = clock_monotonic_ms(memory->clock);

    for (size_t i = 0; i < memory->n_items; i++) {
        struct item *item = &memory->items[i];
        if (strcmp(item->key, key) != 0)
            continue;
        if (!item->expires_at_ms || item->expires_at_ms > now_ms)
            return item;
        item_remove(memory, item);
        tell(memory, key);
        return NULL;
    }
    return NULL;
}

static struct error *memory_get(struct store *store, const char *key, struct arena *arena,
                                struct store_record *ret_record)
{
    _locked_(store);
    const struct item *item = item_find((struct store_memory *)store, key);

    *ret_record = (struct store_record){.key = arena_strdup(arena, key)};
    if (item) {
        ret_record->version = item->version;
        ret_record->value = arena_bytes(arena, item->data, item->size);
    }
    return NULL;
}

static struct error *memory_get_many(struct store *store, const char *const *keys, size_t n,
                                     struct arena *arena, struct store_record *ret_records)
{
    for (size_t i = 0; i < n; i++) {
        struct error *err = memory_get(store, keys[i], arena, &ret_records[i]);
        if (err)
            return err;
    }
    return NULL;
}

static struct error *memory_members(struct store *store, const char *set, size_t max,
                                    struct arena *arena, const char ***ret_members, size_t *ret_n)
{
    _locked_(store);
    const struct store_memory *memory = (struct store_memory *)store;
    const char **found = arena_alloc(arena, (memory->n_members + 1) * sizeof(*found));
    size_t n = 0;

    for (size_t i = 0; i < memory->n_members; i++)
        if (strcmp(memory->members[i].set, set) == 0)
            found[n++] = arena_strdup(arena, memory->members[i].member);
    if (n > max)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "%zu members, at most %zu are read", n, max);
    *ret_members = found;
    *ret_n = n;
    return NULL;
}

static struct error *check_change(struct store_memory *memory, const struct store_change *change)
{
    if (change->term && memory->term > change->term)
        return error_new(ERROR_ABORTED, "term is %" PRIu64 ", not %" PRIu64, memory->term,
                         change->term);
    for (size_t i = 0; i < change->n_writes; i++) {
        const struct store_write *write = &change->writes[i];
        const struct item *item = item_find(memory, write->key);
        uint64_t version = item ? item->version : 0;
        if (write->expected_version != UINT64_MAX && write->expected_version != version)
            return error_new(ERROR_ABORTED, "%s has version %" PRIu64 ", not %" PRIu64, write->key,
                             version, write->expected_version);
    }
    return NULL;
}

static void apply_write(struct store_memory *memory, const struct store_write *write)
{
    struct item *item = item_find(memory, write->key);

    if (item)
        item_remove(memory, item);
    if (!write->value.data && !write->value.len)
        return;
    memory->items = xrealloc_array(memory->items, memory->n_items + 1, sizeof(*memory->items));
    memory->items[memory->n_items++] = (struct item){
        .key = xstrdup(write->key),
        .version = memory->version,
        .data = xmemdup(write->value.data, write->value.len),
        .size = write->value.len,
        .expires_at_ms =
            write->expire_ms > 0 ? clock_monotonic_ms(memory->clock) + write->expire_ms : 0,
    };
}

static void apply_edit(struct store_memory *memory, const struct store_index_edit *edit)
{
    for (size_t i = 0; i < memory->n_members; i++) {
        struct set_member *member = &memory->members[i];
        if (strcmp(member->set, edit->set) != 0 || strcmp(member->member, edit->member) != 0)
            continue;
        if (!edit->remove)
            return;
        free(member->set);
        free(member->member);
        *member = memory->members[--memory->n_members];
        return;
    }
    if (edit->remove)
        return;
    memory->members =
        xrealloc_array(memory->members, memory->n_members + 1, sizeof(*memory->members));
    memory->members[memory->n_members++] =
        (struct set_member){.set = xstrdup(edit->set), .member = xstrdup(edit->member)};
}

static void outbox_entry_done(struct store_outbox_entry *entry)
{
    free((char *)entry->id);
    free((char *)entry->subject);
    free((char *)entry->type);
    free(entry->payload.data);
}

static void outbox_remove(struct store_memory *memory, size_t index)
{
    struct store_outbox_entry *entry = &memory->outbox[index];

    outbox_entry_done(entry);
    memmove(entry, entry + 1, (memory->n_outbox - index - 1) * sizeof(*entry));
    memory->n_outbox--;
}

/* The one with this id, which then gets other content, or a new last one. */
static struct store_outbox_entry *outbox_place(struct store_memory *memory, const char *id)
{
    for (size_t i = 0; i < memory->n_outbox; i++) {
        if (strcmp(memory->outbox[i].id, id) != 0)
            continue;
        outbox_entry_done(&memory->outbox[i]);
        return &memory->outbox[i];
    }
    memory->outbox = xrealloc_array(memory->outbox, memory->n_outbox + 1, sizeof(*memory->outbox));
    return &memory->outbox[memory->n_outbox++];
}

static void apply_outbox(struct store_memory *memory, const struct store_outbox_entry *entry)
{
    *outbox_place(memory, entry->id) = (struct store_outbox_entry){
        .id = xstrdup(entry->id),
        .subject = xstrdup(entry->subject),
        .type = xstrdup(entry->type),
        .payload = {.data = xmemdup(entry->payload.data, entry->payload.len),
                    .len = entry->payload.len},
    };
}

static void list_remove(struct store_memory *memory, size_t index)
{
    struct list_item *item = &memory->lists[index];

    free(item->key);
    free(item->data);
    memmove(item, item + 1, (memory->n_lists - index - 1) * sizeof(*item));
    memory->n_lists--;
}

/* Drops the list when its time is over; otherwise when that will be. */
static int64_t list_expiry(struct store_memory *memory, const char *key)
{
    int64_t now_ms = clock_monotonic_ms(memory->clock);
    int64_t expires_at_ms = 0;

    for (size_t i = memory->n_lists; i-- > 0;) {
        if (strcmp(memory->lists[i].key, key) != 0)
            continue;
        if (memory->lists[i].expires_at_ms && memory->lists[i].expires_at_ms <= now_ms)
            list_remove(memory, i);
        else
            expires_at_ms = memory->lists[i].expires_at_ms;
    }
    return expires_at_ms;
}

static void apply_list(struct store_memory *memory, const struct store_list_edit *edit)
{
    size_t length = 0;
    int64_t expires_at_ms = list_expiry(memory, edit->key);

    if (edit->expire_ms > 0)
        expires_at_ms = clock_monotonic_ms(memory->clock) + edit->expire_ms;
    memory->lists = xrealloc_array(memory->lists, memory->n_lists + 1, sizeof(*memory->lists));
    memory->lists[memory->n_lists++] = (struct list_item){
        .key = xstrdup(edit->key),
        .data = xmemdup(edit->value.data, edit->value.len),
        .size = edit->value.len,
    };
    for (size_t i = memory->n_lists; i-- > 0;) {
        if (strcmp(memory->lists[i].key, edit->key) != 0)
            continue;
        memory->lists[i].expires_at_ms = expires_at_ms;
        if (++length > edit->max_length)
            list_remove(memory, i);
    }
}

static void tell_all(const struct store_memory *memory, const struct store_change *change)
{
    for (size_t i = 0; i < change->n_writes; i++)
        tell(memory, change->writes[i].key);
    for (size_t i = 0; i < change->n_edits; i++)
        tell(memory, change->edits[i].set);
    for (size_t i = 0; i < change->n_lists; i++)
        tell(memory, change->lists[i].key);
}

static struct error *memory_commit(struct store *store, const struct store_change *change)
{
    _locked_(store);
    struct store_memory *memory = (struct store_memory *)store;
    struct error *err = check_change(memory, change);

    if (err)
        return err;
    memory->version++;
    for (size_t i = 0; i < change->n_writes; i++)
        apply_write(memory, &change->writes[i]);
    for (size_t i = 0; i < change->n_edits; i++)
        apply_edit(memory, &change->edits[i]);
    for (size_t i = 0; i < change->n_outbox; i++)
        apply_outbox(memory, &change->outbox[i]);
    for (size_t i = 0; i < change->n_lists; i++)
        apply_list(memory, &change->lists[i]);
    tell_all(memory, change);
    return NULL;
}

static struct error *memory_outbox_peek(struct store *store, size_t max, struct arena *arena,
                                        struct store_outbox_entry **ret_entries, size_t *ret_n)
{
    _locked_(store);
    const struct store_memory *memory = (struct store_memory *)store;
    size_t n = memory->n_outbox < max ? memory->n_outbox : max;
    struct store_outbox_entry *entries = arena_alloc(arena, (n + 1) * sizeof(*entries));

    for (size_t i = 0; i < n; i++) {
        const struct store_outbox_entry *from = &memory->outbox[i];
        entries[i] = (struct store_outbox_entry){
            .id = arena_strdup(arena, from->id),
            .subject = arena_strdup(arena, from->subject),
            .type = arena_strdup(arena, from->type),
            .payload = arena_bytes(arena, from->payload.data, from->payload.len),
        };
    }
    *ret_entries = entries;
    *ret_n = n;
    return NULL;
}

static struct error *memory_outbox_clear(struct store *store, const char *const *ids, size_t n)
{
    _locked_(store);
    struct store_memory *memory = (struct store_memory *)store;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < memory->n_outbox; k++)
            if (strcmp(memory->outbox[k].id, ids[i]) == 0) {
                outbox_remove(memory, k);
                break;
            }
    return NULL;
}

static struct error *memory_get_term(struct store *store, uint64_t *ret_term)
{
    _locked_(store);
    *ret_term = ((struct store_memory *)store)->term;
    return NULL;
}

static struct error *memory_set_term(struct store *store, uint64_t term)
{
    _locked_(store);
    struct store_memory *memory = (struct store_memory *)store;

    if (term <= memory->term)
        return error_new(ERROR_ABORTED, "term is %" PRIu64, memory->term);
    memory->term = term;
    return NULL;
}

static struct error *memory_list_push(struct store *store, const char *key, const void *data,
                                      size_t size, size_t max_length)
{
    _locked_(store);
    const struct store_list_edit edit = {
        .key = key,
        .value = {.data = (uint8_t *)data, .len = size},
        .max_length = max_length,
    };

    apply_list((struct store_memory *)store, &edit);
    tell((struct store_memory *)store, key);
    return NULL;
}

static struct error *memory_list_range(struct store *store, const char *key, size_t max,
                                       struct arena *arena, ProtobufCBinaryData **ret_items,
                                       size_t *ret_n)
{
    _locked_(store);
    struct store_memory *memory = (struct store_memory *)store;

    (void)list_expiry(memory, key);
    ProtobufCBinaryData *items = arena_alloc(arena, (memory->n_lists + 1) * sizeof(*items));
    size_t n = 0;

    for (size_t i = memory->n_lists; i-- > 0 && n < max;)
        if (strcmp(memory->lists[i].key, key) == 0)
            items[n++] = arena_bytes(arena, memory->lists[i].data, memory->lists[i].size);
    *ret_items = items;
    *ret_n = n;
    return NULL;
}

static struct error *memory_ping(_unused_ struct store *store)
{
    return NULL;
}

static struct error *memory_watch(struct store *store, const char *const *prefixes, size_t n,
                                  store_told told, void *state, struct store_watch **ret_watch)
{
    struct store_memory *memory = (struct store_memory *)store;
    struct memory_watch *watch = xnew(struct memory_watch);

    watch->base = (struct store_watch){
        .store = store, .prefixes = prefixes, .n_prefixes = n, .told = told, .state = state};
    *ret_watch = &watch->base;
    _locked_(store);
    watch->next = memory->watches;
    memory->watches = watch;
    told(state, STORE_WATCHED, "");
    return NULL;
}

static void memory_unwatch(struct store_watch *watch)
{
    _locked_(watch->store);
    struct memory_watch **at = &((struct store_memory *)watch->store)->watches;

    while (&(*at)->base != watch)
        at = &(*at)->next;
    struct memory_watch *gone = *at;
    *at = gone->next;
    free(gone);
}

static void memory_free(struct store *store)
{
    struct store_memory *memory = (struct store_memory *)store;

    while (memory->n_items)
        item_remove(memory, &memory->items[0]);
    while (memory->n_outbox)
        outbox_remove(memory, 0);
    while (memory->n_lists)
        list_remove(memory, 0);
    for (size_t i = 0; i < memory->n_members; i++) {
        free(memory->members[i].set);
        free(memory->members[i].member);
    }
    free(memory->items);
    free(memory->outbox);
    free(memory->lists);
    free(memory->members);
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .get = memory_get,
    .get_many = memory_get_many,
    .members = memory_members,
    .commit = memory_commit,
    .outbox_peek = memory_outbox_peek,
    .outbox_clear = memory_outbox_clear,
    .get_term = memory_get_term,
    .set_term = memory_set_term,
    .list_push = memory_list_push,
    .list_range = memory_list_range,
    .ping = memory_ping,
    .watch = memory_watch,
    .unwatch = memory_unwatch,
    .free = memory_free,
};

struct store *store_memory_new_with_clock(struct clock *clock)
{
    struct store_memory *memory = xnew(struct store_memory);

    memory->base.ops = &memory_ops;
    memory->clock = clock;
    pthread_mutex_init(&memory->lock, NULL);
    return &memory->base;
}

struct store *store_memory_new(void)
{
    return store_memory_new_with_clock(clock_system());
}
