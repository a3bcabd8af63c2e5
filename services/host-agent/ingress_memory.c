#include "services/host-agent/ingress.h"
#include "shared/base/alloc.h"

struct memory_ingress {
    struct ingress base;
    char **names, **addresses;
    size_t n;
};

static void clear(struct memory_ingress *memory)
{
    for (size_t i = 0; i < memory->n; i++) {
        free(memory->names[i]);
        free(memory->addresses[i]);
    }
    free(memory->names);
    free(memory->addresses);
    memory->names = memory->addresses = NULL;
    memory->n = 0;
}

static void add(struct memory_ingress *memory, const char *name, const char *address)
{
    memory->names = xrealloc_array(memory->names, memory->n + 1, sizeof(char *));
    memory->addresses = xrealloc_array(memory->addresses, memory->n + 1, sizeof(char *));
    memory->names[memory->n] = xstrdup(name);
    memory->addresses[memory->n++] = xstrdup(address);
}

static struct error *memory_apply(struct ingress *ingress, const struct ingress_route *routes,
                                  size_t n)
{
    struct memory_ingress *memory = (struct memory_ingress *)ingress;
    struct error *err = ingress_check(routes, n);

    if (err)
        return err;
    clear(memory);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < routes[i].n_domains; k++)
            if (ingress_is_first(routes, i, k))
                add(memory, routes[i].domains[k], routes[i].address);
    return NULL;
}

static void memory_free(struct ingress *ingress)
{
    clear((struct memory_ingress *)ingress);
    free(ingress);
}

static const struct ingress_ops memory_ops = {
    .name = "memory", .apply = memory_apply, .free = memory_free};

struct ingress *ingress_memory_new(void)
{
    struct memory_ingress *memory = xnew(struct memory_ingress);

    memory->base.ops = &memory_ops;
    return &memory->base;
}

const char *ingress_memory_find(struct ingress *ingress, const char *domain)
{
    const struct memory_ingress *memory = (const struct memory_ingress *)ingress;

    for (size_t i = 0; i < memory->n; i++)
        if (strcmp(memory->names[i], domain) == 0)
            return memory->addresses[i];
    return NULL;
}
