/* What a RIM says: which product, which version, which values are right. */
#include <string.h>

#include "shared/base/encode.h"
#include "shared/nvidia/rim_xml.h"

#define NS_SHA384 "http://www.w3.org/2001/04/xmlenc#sha384"

static bool copy_text(const char *text, char ret_text[RIM_TEXT_SIZE])
{
    size_t size = text ? strlen(text) : 0;

    if (size == 0 || size >= RIM_TEXT_SIZE)
        return false;
    memcpy(ret_text, text, size + 1);
    return true;
}

struct error *rim_xml_identity(const struct rim_xml *xml, struct rim *rim)
{
    if (!copy_text(rim_xml_attribute(xml->meta, "product", NULL), rim->product) ||
        !copy_text(rim_xml_attribute(xml->meta, "colloquialVersion", NULL), rim->version))
        return error_new(ERROR_INVALID_ARGUMENT, "rim: no product or no version");
    return NULL;
}

/* A decimal number of at most two digits. */
static bool read_number(const char *text, size_t below, size_t *ret_number)
{
    size_t size = text ? strlen(text) : 0, number = 0;

    if (size == 0 || size > 2)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        number = number * 10 + (size_t)(*text - '0');
    }
    *ret_number = number;
    return number < below;
}

static struct error *read_hashes(const xmlNode *resource, struct rim_measurement *measurement)
{
    for (size_t i = 0; i < measurement->n; i++) {
        char name[32];
        snprintf(name, sizeof(name), "Hash%zu", i);
        const char *hex = rim_xml_attribute(resource, name, NS_SHA384);

        if (!hex)
            return error_new(ERROR_INVALID_ARGUMENT, "no '%s'", name);
        struct error *err = hex_decode(hex, measurement->alternatives[i], RIM_HASH_SIZE);
        if (err)
            return err;
    }
    return NULL;
}

static bool attribute_is(const xmlNode *node, const char *name, const char *value)
{
    const char *text = rim_xml_attribute(node, name, NULL);

    return text && strcmp(text, value) == 0;
}

/* One Resource; one that is not active says nothing. */
static struct error *read_resource(const xmlNode *resource, struct rim *rim)
{
    struct rim_measurement *measurement = NULL;
    size_t index = 0, n = 0;

    if (!attribute_is(resource, "type", "Measurement"))
        return NULL;
    if (!read_number(rim_xml_attribute(resource, "index", NULL), SPDM_MEASUREMENTS_MAX, &index))
        return error_new(ERROR_INVALID_ARGUMENT, "rim: a measurement without an index");
    if (attribute_is(resource, "active", "False"))
        return NULL;
    measurement = &rim->measurements[index];
    if (!attribute_is(resource, "active", "True") || measurement->active)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: measurement %zu is there twice", index);
    if (!attribute_is(resource, "size", "48") ||
        !read_number(rim_xml_attribute(resource, "alternatives", NULL), RIM_ALTERNATIVES_MAX + 1,
                     &n) ||
        n == 0)
        return error_new(ERROR_INVALID_ARGUMENT, "rim: measurement %zu has another form", index);
    measurement->active = true;
    measurement->n = n;
    rim->n_active++;
    return error_wrap(read_hashes(resource, measurement), "rim: measurement %zu", index);
}

/* Only from the payload of the signed root: a Resource elsewhere means nothing. */
struct error *rim_xml_measurements(const struct rim_xml *xml, struct rim *rim)
{
    struct error *err = NULL;

    for (const xmlNode *node = xml->payload->children; node && !err; node = node->next)
        if (rim_xml_is(node, RIM_NS_SWID, "Resource"))
            err = read_resource(node, rim);
    if (!err && rim->n_active == 0)
        err = error_new(ERROR_INVALID_ARGUMENT, "rim: no active measurement");
    return err;
}
