#include "services/scheduler/workload_fsm.h"

#include <stddef.h>

#include "shared/base/cleanup.h"

#define IN(status) (1u << (status))

enum {
    BOOTING = IN(STATUS_STARTING) | IN(STATUS_AWAITING_CERT),
    SERVING = IN(STATUS_RUNNING) | IN(STATUS_DEGRADED),
    LIVE = BOOTING | SERVING,
    KEPT = IN(STATUS_SCHEDULED) | IN(STATUS_WAITING) | LIVE | IN(STATUS_ERROR),
};

struct row {
    enum trigger trigger;
    enum source source;
    unsigned from; /* set of IN() */
    struct transition transition;
};

static const struct row rows[] = {
    {TRIGGER_CREATE, SOURCE_USER, IN(STATUS_NONE), {STATUS_SCHEDULED, "scheduled"}},
    {TRIGGER_START,
     SOURCE_USER,
     IN(STATUS_STOPPED) | IN(STATUS_STOPPING) | IN(STATUS_ERROR),
     {STATUS_SCHEDULED, "scheduled"}},
    {TRIGGER_STOP, SOURCE_USER, KEPT, {STATUS_STOPPING, "stopping"}},
    {TRIGGER_RESTART,
     SOURCE_USER,
     KEPT | IN(STATUS_STOPPING) | IN(STATUS_STOPPED),
     {STATUS_SCHEDULED, "scheduled"}},
    {TRIGGER_UPDATE, SOURCE_USER, KEPT, {STATUS_SCHEDULED, "scheduled"}},
    {TRIGGER_DELETE,
     SOURCE_USER,
     KEPT | IN(STATUS_STOPPING) | IN(STATUS_STOPPED),
     {STATUS_DELETING, "deleting"}},

    {TRIGGER_LAUNCHED, SOURCE_SCHEDULER, IN(STATUS_SCHEDULED), {STATUS_STARTING, "starting"}},
    {TRIGGER_LAUNCHED, SOURCE_HOST, IN(STATUS_SCHEDULED), {STATUS_STARTING, "starting"}},
    {TRIGGER_LAUNCH_REFUSED, SOURCE_SCHEDULER, IN(STATUS_SCHEDULED), {STATUS_ERROR, "error"}},
    {TRIGGER_VM_GONE, SOURCE_HOST, IN(STATUS_SCHEDULED) | LIVE, {STATUS_ERROR, "error"}},
    {TRIGGER_VM_GONE, SOURCE_SCHEDULER, LIVE, {STATUS_ERROR, "error"}},
    {TRIGGER_RETRY, SOURCE_SCHEDULER, IN(STATUS_ERROR), {STATUS_SCHEDULED, "vmRestarted"}},
    {TRIGGER_DEADLINE,
     SOURCE_SCHEDULER,
     IN(STATUS_SCHEDULED) | IN(STATUS_STARTING),
     {STATUS_ERROR, "error"}},
    {TRIGGER_CERTIFICATE_LATE,
     SOURCE_SCHEDULER,
     IN(STATUS_AWAITING_CERT),
     {STATUS_DEGRADED, "degraded"}},
    {TRIGGER_HOST_LOST, SOURCE_SCHEDULER, IN(STATUS_SCHEDULED) | LIVE, {STATUS_WAITING, "waiting"}},
    {TRIGGER_HOST_BACK, SOURCE_SCHEDULER, IN(STATUS_WAITING), {STATUS_STARTING, "starting"}},
    {TRIGGER_REPLACE, SOURCE_SCHEDULER, IN(STATUS_WAITING), {STATUS_SCHEDULED, "scheduled"}},

    {TRIGGER_CHALLENGE, SOURCE_GUEST, IN(STATUS_SCHEDULED) | LIVE, {STATUS_STARTING, "starting"}},
    {TRIGGER_RELEASE_REFUSED, SOURCE_SCHEDULER, IN(STATUS_STARTING), {STATUS_ERROR, "error"}},
    {TRIGGER_STAGE_FAILED, SOURCE_GUEST, IN(STATUS_SCHEDULED) | LIVE, {STATUS_ERROR, "error"}},
    {TRIGGER_UP, SOURCE_GUEST, IN(STATUS_STARTING), {STATUS_AWAITING_CERT, "awaitingCert"}},
    {TRIGGER_CERTIFICATE, SOURCE_GUEST, BOOTING, {STATUS_RUNNING, "running"}},
    {TRIGGER_HEALTHY, SOURCE_GUEST, BOOTING | IN(STATUS_DEGRADED), {STATUS_RUNNING, "running"}},
    {TRIGGER_UNHEALTHY,
     SOURCE_GUEST,
     IN(STATUS_AWAITING_CERT) | IN(STATUS_RUNNING),
     {STATUS_DEGRADED, "degraded"}},

    {TRIGGER_STOPPED, SOURCE_SCHEDULER, IN(STATUS_STOPPING), {STATUS_STOPPED, "stopped"}},
    {TRIGGER_STOPPED, SOURCE_HOST, IN(STATUS_STOPPING), {STATUS_STOPPED, "stopped"}},
    {TRIGGER_GONE, SOURCE_SCHEDULER, IN(STATUS_DELETING), {STATUS_DELETED, "deleted"}},
};

const struct transition *fsm_find(enum trigger trigger, enum source source, enum status from)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (rows[i].trigger == trigger && rows[i].source == source && rows[i].from & IN(from))
            return &rows[i].transition;
    return NULL;
}

const char *trigger_name(enum trigger trigger)
{
    static const char *const names[TRIGGER_MAX_] = {
        [TRIGGER_CREATE] = "create",
        [TRIGGER_START] = "start",
        [TRIGGER_STOP] = "stop",
        [TRIGGER_RESTART] = "restart",
        [TRIGGER_UPDATE] = "update",
        [TRIGGER_DELETE] = "delete",
        [TRIGGER_LAUNCHED] = "launched",
        [TRIGGER_LAUNCH_REFUSED] = "launch refused",
        [TRIGGER_VM_GONE] = "vm gone",
        [TRIGGER_RETRY] = "retry",
        [TRIGGER_DEADLINE] = "deadline",
        [TRIGGER_CERTIFICATE_LATE] = "certificate late",
        [TRIGGER_HOST_LOST] = "host lost",
        [TRIGGER_HOST_BACK] = "host back",
        [TRIGGER_REPLACE] = "replace",
        [TRIGGER_CHALLENGE] = "challenge",
        [TRIGGER_RELEASE_REFUSED] = "release refused",
        [TRIGGER_STAGE_FAILED] = "stage failed",
        [TRIGGER_UP] = "up",
        [TRIGGER_CERTIFICATE] = "certificate",
        [TRIGGER_HEALTHY] = "healthy",
        [TRIGGER_UNHEALTHY] = "unhealthy",
        [TRIGGER_STOPPED] = "stopped",
        [TRIGGER_GONE] = "gone",
    };

    return (unsigned)trigger < TRIGGER_MAX_ ? names[trigger] : "unknown";
}

const char *source_name(enum source source)
{
    static const char *const names[SOURCE_MAX_] = {"user", "scheduler", "host", "guest"};

    return (unsigned)source < SOURCE_MAX_ ? names[source] : "unknown";
}

const char *status_name(enum status status)
{
    static const char *const names[STATUS_MAX_] = {
        [STATUS_NONE] = "none",
        [STATUS_SCHEDULED] = "scheduled",
        [STATUS_WAITING] = "waiting",
        [STATUS_STARTING] = "starting",
        [STATUS_AWAITING_CERT] = "awaitingCert",
        [STATUS_RUNNING] = "running",
        [STATUS_DEGRADED] = "degraded",
        [STATUS_ERROR] = "error",
        [STATUS_STOPPING] = "stopping",
        [STATUS_STOPPED] = "stopped",
        [STATUS_DELETING] = "deleting",
        [STATUS_DELETED] = "deleted",
    };

    return (unsigned)status < STATUS_MAX_ ? names[status] : "unknown";
}
