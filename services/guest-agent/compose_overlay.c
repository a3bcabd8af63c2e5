#include "services/guest-agent/compose_overlay.h"

#include <jansson.h>

#include "shared/base/alloc.h"

#define CONTAINER_MANIFEST   "/run/coffer/manifest.json"
#define CONTAINER_COLLATERAL "/run/coffer/collateral"
#define CONTAINER_DEVICE     "/dev/coffer-tee"
#define CONTAINER_TSM        "/run/coffer/tsm"
#define MEMORY_WITH_GPUS     "256m"

/* Compose interpolates '$' in every value; ours are meant as they stand. */
static json_t *text(const char *value)
{
    _cleanup_free_ char *safe = xcalloc(2 * strlen(value) + 1, 1);
    char *at = safe;

    for (; *value; value++) {
        if (*value == '$')
            *at++ = '$';
        *at++ = *value;
    }
    json_t *string = json_string(safe);
    return string ? string : json_string("");
}

static json_t *list_of(const char *first)
{
    return json_pack("[o]", text(first));
}

static json_t *bind_of(const char *source, const char *target, bool read_only)
{
    return json_pack("{s:s, s:o, s:s, s:b}", "type", "bind", "source", text(source), "target",
                     target, "read_only", read_only);
}

/* Programs and certificate authorities come from the measured root, not from the image. */
static json_t *root_binds(void)
{
    return json_pack("[o, o]", bind_of("/usr", "/usr", true),
                     bind_of("/etc/ssl/certs", "/etc/ssl/certs", true));
}

/* What both have: no privileges, nothing to write to, bounded memory. */
static json_t *service_base(const char *program, const char *version, const char *memory)
{
    _cleanup_free_ char *image = xasprintf("coffer/platform:%s", version);

    return json_pack("{s:o, s:[s], s:s, s:s, s:b, s:[s], s:[s], s:s, s:i}", "image", text(image),
                     "entrypoint", program, "pull_policy", "never", "restart", "unless-stopped",
                     "read_only", 1, "cap_drop", "ALL", "security_opt", "no-new-privileges:true",
                     "mem_limit", memory, "pids_limit", 128);
}

static json_t *proxy_networks(const struct overlay *overlay)
{
    json_t *networks = json_pack("{s:n}", OVERLAY_NETWORK);

    for (size_t i = 0; i < overlay->n_networks; i++)
        json_object_set_new(networks, overlay->networks[i], json_null());
    if (overlay->n_networks == 0)
        json_object_set_new(networks, "default", json_null());
    return networks;
}

static json_t *proxy_service(const struct overlay *overlay)
{
    json_t *service = service_base("/usr/bin/caddy", overlay->image_version, "256m");
    json_t *volumes = root_binds();

    json_array_append_new(volumes, bind_of(overlay->caddy_config, "/etc/coffer/caddy.json", true));
    if (overlay->acme_ca)
        json_array_append_new(volumes, bind_of(overlay->acme_ca, "/etc/coffer/acme-ca.pem", true));
    json_array_append_new(volumes, json_pack("{s:s, s:s, s:s}", "type", "volume", "source",
                                             OVERLAY_VOLUME, "target", "/data"));
    json_object_set_new(service, "volumes", volumes);
    json_object_set_new(service, "command",
                        json_pack("[s, s, s]", "run", "--config", "/etc/coffer/caddy.json"));
    json_object_set_new(service, "tmpfs", json_pack("[s, s]", "/config", "/tmp"));
    json_object_set_new(service, "ports", json_pack("[s, s]", "80:80", "443:443"));
    json_object_set_new(service, "networks", proxy_networks(overlay));
    return service;
}

static json_t *attester_environment(const struct overlay *overlay, const char *tee_path)
{
    _cleanup_free_ char *vcpus = xasprintf("%u", overlay->vcpus);

    return json_pack("{s:o, s:s, s:o, s:s, s:s, s:o, s:o, s:o}", "ATTESTER_DOMAIN",
                     text(overlay->domain), "ATTESTER_PROXY", OVERLAY_PROXY ":443", "ATTESTER_TEE",
                     text(overlay->tee), "ATTESTER_TEE_PATH", tee_path, "ATTESTER_MANIFEST",
                     CONTAINER_MANIFEST, "ATTESTER_IMAGE_VERSION", text(overlay->image_version),
                     "ATTESTER_VCPUS", text(vcpus), "ATTESTER_CPU_MODEL", text(overlay->cpu_model));
}

static void add_collateral(const struct overlay *overlay, json_t *service)
{
    _cleanup_free_ char *at = xasprintf("%lld", (long long)overlay->collateral_at_ms);
    json_t *environment = json_object_get(service, "environment");

    if (!overlay->collateral)
        return;
    json_array_append_new(json_object_get(service, "volumes"),
                          bind_of(overlay->collateral, CONTAINER_COLLATERAL, true));
    json_object_set_new(environment, "ATTESTER_COLLATERAL", json_string(CONTAINER_COLLATERAL));
    json_object_set_new(environment, "ATTESTER_COLLATERAL_AT_MS", json_string(at));
}

/* Their evidence comes from the driver: its library is in /usr, its nodes get their usual names.
 * Room for that library is a guess: no GPU was there to measure. */
static void add_gpus(const struct overlay *overlay, json_t *service)
{
    json_t *devices = json_object_get(service, "devices");

    if (!overlay->n_gpu_nodes)
        return;
    if (!devices) {
        devices = json_array();
        json_object_set_new(service, "devices", devices);
    }
    for (size_t i = 0; i < overlay->n_gpu_nodes; i++) {
        const char *node = overlay->gpu_nodes[i];
        _cleanup_free_ char *device = xasprintf("%s:/dev/%s:rw", node, basename(node));
        json_array_append_new(devices, text(device));
    }
    json_object_set_new(json_object_get(service, "environment"), "ATTESTER_GPUS",
                        json_string("nvml"));
    json_object_set_new(service, "mem_limit", json_string(MEMORY_WITH_GPUS));
}

static json_t *attester_service(const struct overlay *overlay)
{
    json_t *service = service_base("/usr/bin/coffer-attester", overlay->image_version, "64m");
    bool is_folder = strcmp(overlay->tee, "configfs-tsm") == 0;
    json_t *volumes = root_binds();

    json_array_append_new(volumes, bind_of(overlay->manifest, CONTAINER_MANIFEST, true));
    if (is_folder) {
        json_array_append_new(volumes, bind_of(overlay->tee_device, CONTAINER_TSM, false));
    } else {
        _cleanup_free_ char *device = xasprintf("%s:%s:rw", overlay->tee_device, CONTAINER_DEVICE);
        json_object_set_new(service, "devices", list_of(device));
    }
    json_object_set_new(service, "volumes", volumes);
    json_object_set_new(service, "tmpfs", json_pack("[s]", "/tmp"));
    json_object_set_new(service, "networks", json_pack("{s:n}", OVERLAY_NETWORK));
    json_object_set_new(
        service, "environment",
        attester_environment(overlay, is_folder ? CONTAINER_TSM : CONTAINER_DEVICE));
    add_collateral(overlay, service);
    add_gpus(overlay, service);
    return service;
}

void overlay_write(const struct overlay *overlay, struct buffer *ret_json)
{
    json_t *file = json_pack("{s:{s:o, s:o}, s:{s:{s:b}}, s:{s:{}}}", "services", OVERLAY_PROXY,
                             proxy_service(overlay), OVERLAY_ATTESTER, attester_service(overlay),
                             "networks", OVERLAY_NETWORK, "internal", 1, "volumes", OVERLAY_VOLUME);
    char *json = json_dumps(file, JSON_INDENT(2) | JSON_SORT_KEYS);

    if (!json)
        abort();
    buffer_add_text(ret_json, json);
    free(json);
    json_decref(file);
}

bool overlay_is_ours(const char *service)
{
    return strcmp(service, OVERLAY_PROXY) == 0 || strcmp(service, OVERLAY_ATTESTER) == 0;
}
