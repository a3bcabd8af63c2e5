/*
 * The allow-list of service keys. A row without a rule and without a reason is fine as it is; one
 * with a reason is refused whatever its value; anything that has no row is unknown and refused.
 */
#include <string.h>

#include "shared/compose/lint_private.h"

struct key_row {
    const char *key;
    lint_rule rule;
    bool interpolates; /* the rule looks at "$" itself */
    const char *why;   /* refused */
    const char *fix;
};

#define ISOLATION "it would take away the wall between the containers and what proves the machine"
#define KERNEL    "it would reach into the kernel that all containers of the machine share"

static const struct key_row key_rows[] = {
    /* with a rule */
    {"image", lint_image, false, NULL, NULL},
    {"environment", lint_environment, true, NULL, NULL},
    {"env_file", lint_env_file, true, NULL, NULL},
    {"ports", lint_ports, false, NULL, NULL},
    {"volumes", lint_service_volumes, true, NULL, NULL},
    {"networks", lint_service_networks, false, NULL, NULL},
    {"links", lint_links, false, NULL, NULL},
    {"extra_hosts", lint_extra_hosts, false, NULL, NULL},
    {"depends_on", lint_depends_on, false, NULL, NULL},
    {"container_name", lint_own_name, false, NULL, NULL},
    {"hostname", lint_own_name, false, NULL, NULL},
    {"domainname", lint_own_name, false, NULL, NULL},
    {"labels", lint_labels, false, NULL, NULL},
    {"deploy", lint_deploy, false, NULL, NULL},
    {"logging", lint_logging, false, NULL, NULL},
    {"healthcheck", lint_healthcheck, false, NULL, NULL},
    {"security_opt", lint_security_opt, false, NULL, NULL},
    {"pull_policy", lint_pull_policy, false, NULL, NULL},
    {"profiles", lint_profiles, false, NULL, NULL},

    /* fine as they are */
    {"attach", NULL, false, NULL, NULL},
    {"cap_drop", NULL, false, NULL, NULL},
    {"command", NULL, false, NULL, NULL},
    {"cpu_count", NULL, false, NULL, NULL},
    {"cpu_percent", NULL, false, NULL, NULL},
    {"cpu_period", NULL, false, NULL, NULL},
    {"cpu_quota", NULL, false, NULL, NULL},
    {"cpu_shares", NULL, false, NULL, NULL},
    {"cpus", NULL, false, NULL, NULL},
    {"cpuset", NULL, false, NULL, NULL},
    {"dns", NULL, false, NULL, NULL},
    {"dns_opt", NULL, false, NULL, NULL},
    {"dns_search", NULL, false, NULL, NULL},
    {"entrypoint", NULL, false, NULL, NULL},
    {"expose", NULL, false, NULL, NULL},
    {"group_add", NULL, false, NULL, NULL},
    {"init", NULL, false, NULL, NULL},
    {"mac_address", NULL, false, NULL, NULL},
    {"mem_limit", NULL, false, NULL, NULL},
    {"mem_reservation", NULL, false, NULL, NULL},
    {"mem_swappiness", NULL, false, NULL, NULL},
    {"memswap_limit", NULL, false, NULL, NULL},
    {"oom_score_adj", NULL, false, NULL, NULL},
    {"pids_limit", NULL, false, NULL, NULL},
    {"platform", NULL, false, NULL, NULL},
    {"read_only", NULL, false, NULL, NULL},
    {"restart", NULL, false, NULL, NULL},
    {"scale", NULL, false, NULL, NULL},
    {"shm_size", NULL, false, NULL, NULL},
    {"stdin_open", NULL, false, NULL, NULL},
    {"stop_grace_period", NULL, false, NULL, NULL},
    {"stop_signal", NULL, false, NULL, NULL},
    {"tmpfs", NULL, false, NULL, NULL},
    {"tty", NULL, false, NULL, NULL},
    {"ulimits", NULL, false, NULL, NULL},
    {"user", NULL, false, NULL, NULL},
    {"working_dir", NULL, false, NULL, NULL},

    /* refused, and why */
    {"privileged", NULL, false, ISOLATION, "remove it"},
    {"cap_add", NULL, false, ISOLATION, "remove it; cap_drop is fine"},
    {"devices", NULL, false,
     "a device of the machine, such as its security processor, must not be "
     "reached by a container",
     "remove it; GPUs are asked for with deploy.resources.reservations"},
    {"device_cgroup_rules", NULL, false, ISOLATION, "remove it"},
    {"annotations", NULL, false,
     "the program that confines containers takes orders from them, such as which devices are open",
     "remove it; labels are fine"},
    {"pid", NULL, false, ISOLATION, "remove it"},
    {"ipc", NULL, false, ISOLATION, "remove it"},
    {"uts", NULL, false, ISOLATION, "remove it"},
    {"userns_mode", NULL, false, ISOLATION, "remove it"},
    {"network_mode", NULL, false,
     "the machine's own network is the proxy's, and that of another "
     "container would hide behind its name",
     "remove it; declare networks instead"},
    {"net", NULL, false, "it is the old name of network_mode", "remove it"},
    {"cgroup", NULL, false, ISOLATION, "remove it"},
    {"cgroup_parent", NULL, false, ISOLATION, "remove it"},
    {"sysctls", NULL, false, KERNEL, "remove it"},
    {"runtime", NULL, false, "another runtime confines containers differently", "remove it"},
    {"isolation", NULL, false, "it changes how containers are confined", "remove it"},
    {"volumes_from", NULL, false, "it would hand over mounts that this check does not see",
     "name the same volume in both services"},
    {"volume_driver", NULL, false, "data must stay on the machine's encrypted disk", "remove it"},
    {"external_links", NULL, false, "it reaches containers outside of this file",
     "use networks and service names"},
    {"use_api_socket", NULL, false, "the engine's socket is control over the whole machine",
     "remove it"},
    {"build", NULL, false, "images are pulled, so that a digest can name them",
     "push the image to a registry and name it with image:"},
    {"extends", NULL, false, "what runs would stand in another place than the file that is proven",
     "write the keys out, or use YAML anchors"},
    {"secrets", NULL, false, "compose secrets are files of the machine",
     "give the value as an environment value or as a secret file"},
    {"configs", NULL, false, "compose configs are files of the machine",
     "upload the file and mount ${FILES}/name"},
    {"credential_spec", NULL, false, "it is a file of the machine", "remove it"},
    {"blkio_config", NULL, false, "it names devices of the machine", "remove it"},
    {"oom_kill_disable", NULL, false, KERNEL, "remove it"},
    {"storage_opt", NULL, false, "it depends on the machine's own disk", "remove it"},
};

static const struct key_row *find_row(const char *key)
{
    for (size_t i = 0; i < ELEMENTSOF(key_rows); i++)
        if (strcmp(key_rows[i].key, key) == 0)
            return &key_rows[i];
    return NULL;
}

/* For the others compose refuses the word, too. */
static bool takes_bool(const char *key)
{
    return strcmp(key, "privileged") == 0 || strcmp(key, "oom_kill_disable") == 0;
}

/* Lists in which compose refuses an entry that is given twice; in others it keeps one. */
static bool is_set(const char *key)
{
    static const char *const keys[] = {"networks", "depends_on", "group_add", "security_opt",
                                       "extra_hosts"};

    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        if (strcmp(keys[i], key) == 0)
            return true;
    return false;
}

static void check_twice(struct lint *lint, const struct place *place)
{
    const struct node *node = place->value;

    if (lint->model || node->kind != NODE_SEQUENCE || node->n > NODE_KEYS_MAX)
        return;
    for (size_t i = 1; i < node->n; i++)
        for (size_t j = 0; j < i; j++) {
            const char *text = node_text(node->items[i]);
            if (!*text || strcmp(text, node_text(node->items[j])) != 0)
                continue;
            struct place item = lint_item(lint, place, i);
            lint_find(lint, &item, "duplicate-entry",
                      arena_printf(lint->arena, "'%s' is in the list twice",
                                   lint_show(lint->arena, text)),
                      "compose refuses it", "keep one of them");
            break;
        }
}

static void check_key(struct lint *lint, const struct place *place, const struct key_row *row)
{
    if (row->why) {
        bool off = node_is_false(place->value) && takes_bool(row->key);
        if (!off && !(lint->model && node_is_unset(place->value)))
            lint_find(lint, place, row->key,
                      arena_printf(lint->arena, "'%s' is not allowed", row->key), row->why,
                      row->fix);
        return;
    }
    if (!row->interpolates)
        lint_no_interpolation(lint, place);
    if (!lint_shape(lint, place, row->key))
        return;
    lint_words(lint, place, row->key);
    if (is_set(row->key))
        check_twice(lint, place);
    if (row->rule && !node_is_null(place->value))
        row->rule(lint, place);
}

static void check_unknown(struct lint *lint, const struct place *place, const char *key)
{
    if (strncmp(key, "x-", 2) == 0 || (lint->model && node_is_unset(place->value)))
        return;
    lint_find(
        lint, place, "unknown-key",
        arena_printf(lint->arena, "service key '%s' is not supported", lint_show(lint->arena, key)),
        "only keys whose effect is known to be contained in the workload are accepted",
        "remove the key, or correct its name; keys of your own begin with x-");
}

void lint_service(struct lint *lint, const struct place *service)
{
    const struct node *node = service->value;

    if (!lint_expect(lint, service, NODE_MAPPING))
        return;
    if (node_is_unset(node_get(node, "image")) && node_is_unset(node_get(node, "build")))
        lint_find(lint, service, "image", "a service without an image",
                  "the manifest names every image exactly", "add image: with a reference");
    for (size_t i = 0; i < node->n; i++) {
        const struct node_pair *pair = &node->pairs[i];
        const struct key_row *row = find_row(pair->key);
        struct place place = lint_child(lint, service, pair->key, pair->value, pair->line);
        if (row)
            check_key(lint, &place, row);
        else
            check_unknown(lint, &place, pair->key);
    }
    lint_conflicts(lint, service);
}
