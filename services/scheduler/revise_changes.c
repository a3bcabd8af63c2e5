/* What an update changes, in words: "compose; env SECRET (changed), NEW (added)". */
#include "services/scheduler/revise.h"

/* A named part and what tells whether it is the same. */
struct part {
    const char *name;
    ProtobufCBinaryData content;
};

struct parts {
    struct part *items;
    size_t n;
};

static struct parts parts_new(struct arena *arena, size_t room)
{
    return (struct parts){.items = arena_alloc(arena, (room + 1) * sizeof(struct part))};
}

static void parts_add(struct parts *parts, const char *name, const void *data, size_t size)
{
    parts->items[parts->n++] =
        (struct part){.name = name, .content = {.data = (uint8_t *)data, .len = size}};
}

static struct parts environment_of(const struct configuration *c, struct arena *arena)
{
    struct parts parts = parts_new(arena, c->secrets->n_environment);

    for (size_t i = 0; i < c->secrets->n_environment; i++) {
        const Coffer__V1__EnvironmentVariable *variable = c->secrets->environment[i];
        parts_add(&parts, variable->name, variable->value, strlen(variable->value));
    }
    return parts;
}

static struct parts registries_of(const struct configuration *c, struct arena *arena)
{
    struct parts parts = parts_new(arena, c->secrets->n_registries);

    for (size_t i = 0; i < c->secrets->n_registries; i++) {
        const Coffer__V1__Registry *registry = c->secrets->registries[i];
        const char *account = arena_printf(arena, "%s:%s", registry->username, registry->password);
        parts_add(&parts, registry->server, account, strlen(account));
    }
    return parts;
}

static struct parts hashes_of(const struct manifest_hash *hashes, size_t n, struct arena *arena)
{
    struct parts parts = parts_new(arena, n);

    for (size_t i = 0; i < n; i++)
        parts_add(&parts, hashes[i].name, hashes[i].sha256, sizeof(hashes[i].sha256));
    return parts;
}

static struct parts files_of(const struct configuration *c, struct arena *arena)
{
    return hashes_of(c->manifest->files, c->manifest->n_files, arena);
}

static struct parts secret_files_of(const struct configuration *c, struct arena *arena)
{
    return hashes_of(c->manifest->secret_files, c->manifest->n_secret_files, arena);
}

static struct parts services_of(const struct configuration *c, struct arena *arena)
{
    struct parts parts = parts_new(arena, c->manifest->n_services);

    for (size_t i = 0; i < c->manifest->n_services; i++) {
        const struct manifest_service *service = &c->manifest->services[i];
        const char *image = arena_printf(arena, "%s@%s", service->image, service->digest);
        parts_add(&parts, service->name, image, strlen(image));
    }
    return parts;
}

static struct parts custom_domains_of(const struct configuration *c, struct arena *arena)
{
    struct parts parts = parts_new(arena, c->manifest->n_domains);

    for (size_t i = 0; i < c->manifest->n_domains; i++)
        parts_add(&parts, c->manifest->domains[i], "", 0);
    return parts;
}

static const struct part *find(const struct parts *parts, const char *name)
{
    for (size_t i = 0; i < parts->n; i++)
        if (strcmp(parts->items[i].name, name) == 0)
            return &parts->items[i];
    return NULL;
}

static void add_word(struct buffer *words, const char *what, const char *name, const char *how,
                     bool *first)
{
    if (*first)
        buffer_printf(words, "%s%s ", words->size ? "; " : "", what);
    else
        buffer_add_text(words, ", ");
    buffer_printf(words, "%s (%s)", name, how);
    *first = false;
}

static void compare(struct buffer *words, const char *what, const struct parts *before,
                    const struct parts *after)
{
    bool first = true;

    for (size_t i = 0; i < after->n; i++) {
        const struct part *old = find(before, after->items[i].name);
        if (!old)
            add_word(words, what, after->items[i].name, "added", &first);
        else if (!bytes_equal(old->content, after->items[i].content))
            add_word(words, what, after->items[i].name, "changed", &first);
    }
    for (size_t i = 0; i < before->n; i++)
        if (!find(after, before->items[i].name))
            add_word(words, what, before->items[i].name, "removed", &first);
}

static void compare_text(struct buffer *words, const char *what, const char *before,
                         const char *after)
{
    if (strcmp(before, after) != 0)
        buffer_printf(words, "%s%s %s to %s", words->size ? "; " : "", what, before, after);
}

static void compare_manifests(struct buffer *words, const struct manifest *before,
                              const struct manifest *after)
{
    if (memcmp(before->compose_sha256, after->compose_sha256, sizeof(after->compose_sha256)) != 0)
        buffer_printf(words, "%scompose", words->size ? "; " : "");
    compare_text(words, "image version", before->image_version, after->image_version);
    compare_text(words, "public service", before->public_service, after->public_service);
    if (before->public_port != after->public_port)
        buffer_printf(words, "%spublic port %u to %u", words->size ? "; " : "", before->public_port,
                      after->public_port);
}

const char *configuration_changes(const struct configuration *before,
                                  const struct configuration *after, struct arena *arena)
{
    static const struct {
        const char *what;
        struct parts (*of)(const struct configuration *c, struct arena *arena);
    } rows[] = {
        {"service", services_of},    {"env", environment_of},
        {"file", files_of},          {"secret file", secret_files_of},
        {"registry", registries_of}, {"custom domain", custom_domains_of},
    };
    _cleanup_buffer_ struct buffer words = {0};

    if (strcmp(before->name, after->name) != 0)
        buffer_add_text(&words, "name");
    compare_text(&words, "domain", before->domain, after->domain);
    compare_manifests(&words, before->manifest, after->manifest);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct parts old = rows[i].of(before, arena);
        const struct parts new = rows[i].of(after, arena);
        compare(&words, rows[i].what, &old, &new);
    }
    return arena_strdup(arena, words.size ? buffer_text(&words) : "manifest");
}
