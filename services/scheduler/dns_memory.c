#include "services/scheduler/dns.h"

#include "shared/base/alloc.h"

struct entry {
    char *name;
    char *address;
};

struct dns_memory {
    struct dns base;
    struct entry *entries;
    size_t n;
    bool fail;
};

static struct entry *find(struct dns_memory *memory, const char *name)
{
    for (size_t i = 0; i < memory->n; i++)
        if (strcmp(memory->entries[i].name, name) == 0)
            return &memory->entries[i];
    return NULL;
}

static struct error *memory_set(struct dns *dns, const char *name, const char *address)
{
    struct dns_memory *memory = (struct dns_memory *)dns;
    struct entry *entry = find(memory, name);

    if (memory->fail)
        return error_new(ERROR_UNAVAILABLE, "dns is away");
    if (!entry) {
        memory->entries = xrealloc_array(memory->entries, memory->n + 1, sizeof(*entry));
        entry = &memory->entries[memory->n++];
        *entry = (struct entry){.name = xstrdup(name)};
    }
    free(entry->address);
    entry->address = xstrdup(address);
    return NULL;
}

static struct error *memory_remove(struct dns *dns, const char *name)
{
    struct dns_memory *memory = (struct dns_memory *)dns;
    struct entry *entry = find(memory, name);

    if (memory->fail)
        return error_new(ERROR_UNAVAILABLE, "dns is away");
    if (!entry)
        return NULL;
    free(entry->name);
    free(entry->address);
    *entry = memory->entries[--memory->n];
    return NULL;
}

static void memory_free(struct dns *dns)
{
    struct dns_memory *memory = (struct dns_memory *)dns;

    for (size_t i = 0; i < memory->n; i++) {
        free(memory->entries[i].name);
        free(memory->entries[i].address);
    }
    free(memory->entries);
    free(memory);
}

static const struct dns_ops memory_ops = {
    .name = "memory",
    .set = memory_set,
    .remove = memory_remove,
    .free = memory_free,
};

struct dns *dns_memory_new(void)
{
    struct dns_memory *memory = xnew(struct dns_memory);

    memory->base.ops = &memory_ops;
    return &memory->base;
}

const char *dns_memory_find(struct dns *dns, const char *name)
{
    const struct entry *entry = find((struct dns_memory *)dns, name);

    return entry ? entry->address : NULL;
}

void dns_memory_fail(struct dns *dns, bool fail)
{
    ((struct dns_memory *)dns)->fail = fail;
}
