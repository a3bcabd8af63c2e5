#include "services/guest-agent/model.h"

#include <jansson.h>

static struct error *check_service(const json_t *services, const struct manifest_service *expected)
{
    const json_t *service = json_object_get(services, expected->name);
    const char *image = json_string_value(json_object_get(service, "image"));

    if (!service)
        return error_new(ERROR_PERMISSION_DENIED,
                         "service '%s' of the manifest is not in the model", expected->name);
    if (!image || strcmp(image, expected->image) != 0)
        return error_new(ERROR_PERMISSION_DENIED,
                         "service '%s' has image '%.200s', the manifest says '%s'", expected->name,
                         image ? image : "", expected->image);
    return NULL;
}

static void take_networks(const json_t *service, struct arena *arena, struct model_facts *facts)
{
    json_t *networks = json_object_get(service, "networks");
    const char *name;
    json_t *value;

    facts->networks = arena_alloc(arena, (json_object_size(networks) + 1) * sizeof(char *));
    json_object_foreach(networks, name, value) facts->networks[facts->n_networks++] =
        arena_strdup(arena, name);
}

static struct error *read_services(const json_t *model, const struct manifest *manifest,
                                   struct arena *arena, struct model_facts *facts)
{
    const json_t *services = json_object_get(model, "services");

    if (json_object_size(services) != manifest->n_services)
        return error_new(ERROR_PERMISSION_DENIED, "compose sees %zu services, the manifest has %zu",
                         json_object_size(services), manifest->n_services);
    for (size_t i = 0; i < manifest->n_services; i++) {
        struct error *err = check_service(services, &manifest->services[i]);
        if (err)
            return err;
    }
    const json_t *service = json_object_get(services, manifest->public_service);
    if (!service)
        return error_new(ERROR_PERMISSION_DENIED, "the public service '%s' is not in the model",
                         manifest->public_service);
    take_networks(service, arena, facts);
    return NULL;
}

struct error *model_read(const char *json, size_t size, const struct manifest *manifest,
                         struct arena *arena, struct model_facts *ret_facts)
{
    struct model_facts facts = {0};
    json_t *model = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);

    if (!model)
        return error_new(ERROR_INTERNAL, "compose's model is not JSON");
    struct error *err = read_services(model, manifest, arena, &facts);
    json_decref(model);
    if (!err)
        *ret_facts = facts;
    return err;
}
