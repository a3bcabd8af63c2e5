#include "shared/fleet/permissions.h"

#include "shared/base/encode.h"

/* "%h" stands for the host, "%w" for the workload. */
struct row {
    const char *name;
    const char *connection_type;
    const char *publish[PERMISSION_SUBJECTS_MAX];
    const char *subscribe[PERMISSION_SUBJECTS_MAX];
    bool host;
    bool workload;
    int max_subscriptions; /* 0: no limit. Each one of a guest becomes known to the hub. */
};

static const struct row table[] = {
    /* The release authority, the only writer of records and of canonical events. */
    [IDENTITY_SCHEDULER] =
        {
            .name = "scheduler",
            .connection_type = "STANDARD",
            .publish = {"cmd.host.>", "cmd.guest.>", "evt.>", "obj.>", "_INBOX.>", "$JS.API.>",
                        "$JS.ACK.>", "$KV.>"},
            .subscribe = {"svc.scheduler.>", "hb.host.>", "boot.>", "stat.>", "_INBOX.scheduler.>"},
        },
    /* Reads history by direct get, which creates nothing on the server. The consumer that its
     * copies share is made for it, as the monitor's below. */
    [IDENTITY_API_GATEWAY] =
        {
            .name = "api-gateway",
            .connection_type = "STANDARD",
            .publish = {"svc.scheduler.>", "cmd.guest.>", "$JS.API.DIRECT.GET.EVENTS",
                        "$JS.API.DIRECT.GET.EVENTS.>", "$JS.API.DIRECT.GET.LOGS",
                        "$JS.API.DIRECT.GET.LOGS.>", "$JS.API.CONSUMER.MSG.NEXT.EVENTS.WEBHOOKS",
                        "$JS.ACK.EVENTS.WEBHOOKS.>"},
            .subscribe = {"evt.>", "log.>", "stat.>", "_INBOX.api-gateway.>"},
        },
    [IDENTITY_LEAF] =
        {
            .name = "leaf",
            .connection_type = "LEAFNODE",
            .publish = {"hb.host.%h", "src.host.%h.>", "src.guest.%h.>", "log.%h.>", "stat.host.%h",
                        "stat.guest.%h.>", "boot.%h.>", "_INBOX.*.to.host.%h.>",
                        "_INBOX.*.to.guest.%h.>", "get.obj.files.%h.>"},
            .subscribe = {"cmd.host.%h.>", "cmd.guest.%h.>", "_INBOX.host-agent-%h.>",
                          "_INBOX.guest-agent-%h.>"},
            .host = true,
        },
    [IDENTITY_HOST_AGENT] =
        {
            .name = "host-agent",
            .connection_type = "STANDARD",
            .publish = {"hb.host.%h", "src.host.%h.>", "stat.host.%h", "_INBOX.*.to.host.%h.>",
                        "get.obj.files.%h.>"},
            .subscribe = {"cmd.host.%h.>", "_INBOX.host-agent-%h.>"},
            .host = true,
        },
    [IDENTITY_GUEST] =
        {
            .name = "guest-agent",
            .connection_type = "STANDARD",
            .publish = {"src.guest.%h.%w.>", "log.%h.%w.>", "stat.guest.%h.%w", "boot.%h.%w.>",
                        "_INBOX.*.to.guest.%h.%w.>"},
            .subscribe = {"cmd.guest.%h.%w.>", "_INBOX.guest-agent-%h.%w.>"},
            .host = true,
            .workload = true,
            .max_subscriptions = 64,
        },
    /* Its pull consumer is made for it: the right to create one is the right to aim it. */
    [IDENTITY_MONITOR] =
        {
            .name = "monitor",
            .connection_type = "STANDARD",
            .publish = {"$JS.API.CONSUMER.MSG.NEXT.EVENTS.monitor", "$JS.ACK.EVENTS.monitor.>"},
            .subscribe = {"evt.>", "stat.>", "_INBOX.monitor.>"},
        },
    [IDENTITY_OPS] =
        {
            .name = "ops",
            .connection_type = "STANDARD",
            .publish = {">"},
            .subscribe = {">"},
        },
};

const char *identity_name(enum identity identity)
{
    return table[identity].name;
}

static void expand(const char *pattern, const char *host, const char *workload,
                   char ret_text[PERMISSION_TEXT_MAX])
{
    size_t used = 0;

    for (; *pattern; pattern++) {
        const char *insert = pattern[0] != '%' ? NULL : pattern[1] == 'h' ? host : workload;
        size_t room = PERMISSION_TEXT_MAX - used;
        if (insert) {
            used += (size_t)snprintf(ret_text + used, room, "%s", insert);
            pattern++;
        } else {
            used += (size_t)snprintf(ret_text + used, room, "%c", *pattern);
        }
    }
}

static size_t expand_all(const char *const patterns[PERMISSION_SUBJECTS_MAX], const char *host,
                         const char *workload,
                         char ret_texts[PERMISSION_SUBJECTS_MAX][PERMISSION_TEXT_MAX])
{
    size_t n = 0;

    for (; n < PERMISSION_SUBJECTS_MAX && patterns[n]; n++)
        expand(patterns[n], host, workload, ret_texts[n]);
    return n;
}

struct error *permissions_of(enum identity identity, const char *host, const char *workload,
                             struct permissions *ret_permissions)
{
    const struct row *row = &table[identity];
    struct permissions permissions = {.connection_type = row->connection_type,
                                      .max_subscriptions = row->max_subscriptions ?: -1};

    if (row->host && (!host || !name_is_valid(host)))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.80s' is no host id", host ?: "");
    if (row->workload && (!workload || !name_is_valid(workload)))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.80s' is no workload id", workload ?: "");
    permissions.n_publish = expand_all(row->publish, host, workload, permissions.publish);
    permissions.n_subscribe = expand_all(row->subscribe, host, workload, permissions.subscribe);
    *ret_permissions = permissions;
    return NULL;
}
