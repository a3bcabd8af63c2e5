#include "services/api-gateway/plan_measurements.h"

#include "services/api-gateway/fleet_facts.h"
#include "services/api-gateway/json_text.h"

static json_t *text_of(const json_t *item, const char *name)
{
    const char *text = json_string_value(json_object_get(item, name));

    return json_text(text ?: "", strlen(text ?: ""));
}

static void add_matching(const json_t *image, uint32_t vcpus, struct request *request, json_t *list)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(image, "measurements"), i, item)
    {
        json_int_t features = json_integer_value(json_object_get(item, "guest_features"));
        if (json_integer_value(json_object_get(item, "vcpus")) != vcpus)
            continue;
        json_array_append_new(
            list, json_pack("{s:I, s:o, s:s, s:o}", "vcpus", (json_int_t)vcpus, "cpuModel",
                            text_of(item, "cpu_model"), "guestFeatures",
                            arena_printf(request->arena, "0x%llx", (unsigned long long)features),
                            "measurement", text_of(item, "digest")));
    }
}

struct error *plan_measurements(struct request *request, const char *image_version, uint32_t vcpus,
                                json_t *ret_list)
{
    _cleanup_buffer_ struct buffer bytes = {0};
    _cleanup_(json_decrefp) json_t *image = NULL;
    struct error *err = image_load(request->gateway, image_version, request->arena, &bytes);

    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    if (err)
        return err;
    image = json_loadb(buffer_text(&bytes), bytes.size, 0, NULL);
    if (!image)
        return error_new(ERROR_INTERNAL, "image.json of '%s' is not JSON", image_version);
    add_matching(image, vcpus, request, ret_list);
    return NULL;
}
