/*
 * Which event from which source moves a workload from which status to which (DESIGN section 7).
 * The one table stands in workload_fsm.c; whatever is not in it is refused by the caller, logged
 * and counted.
 */
#pragma once

#include <stdbool.h>

#include "schemas/workload.pb-c.h"

/* Same numbers as coffer.v1.WorkloadStatus. */
enum status {
    STATUS_NONE = COFFER__V1__WORKLOAD_STATUS__WORKLOAD_STATUS_UNSPECIFIED,
    STATUS_SCHEDULED = COFFER__V1__WORKLOAD_STATUS__SCHEDULED,
    STATUS_WAITING = COFFER__V1__WORKLOAD_STATUS__WAITING,
    STATUS_STARTING = COFFER__V1__WORKLOAD_STATUS__STARTING,
    STATUS_AWAITING_CERT = COFFER__V1__WORKLOAD_STATUS__AWAITING_CERT,
    STATUS_RUNNING = COFFER__V1__WORKLOAD_STATUS__RUNNING,
    STATUS_DEGRADED = COFFER__V1__WORKLOAD_STATUS__DEGRADED,
    STATUS_ERROR = COFFER__V1__WORKLOAD_STATUS__ERROR,
    STATUS_STOPPING = COFFER__V1__WORKLOAD_STATUS__STOPPING,
    STATUS_STOPPED = COFFER__V1__WORKLOAD_STATUS__STOPPED,
    STATUS_DELETING = COFFER__V1__WORKLOAD_STATUS__DELETING,
    STATUS_DELETED = COFFER__V1__WORKLOAD_STATUS__DELETED,
    STATUS_MAX_,
};

enum source { SOURCE_USER, SOURCE_SCHEDULER, SOURCE_HOST, SOURCE_GUEST, SOURCE_MAX_ };

enum trigger {
    TRIGGER_CREATE,
    TRIGGER_START,
    TRIGGER_STOP,
    TRIGGER_RESTART, /* the owner's */
    TRIGGER_UPDATE,  /* a new manifest of what runs */
    TRIGGER_DELETE,
    TRIGGER_LAUNCHED,       /* the host accepted the start, or says that the VM runs */
    TRIGGER_LAUNCH_REFUSED, /* the host cannot start it */
    TRIGGER_VM_GONE,        /* failed, stopped by itself, or missing */
    TRIGGER_RETRY,          /* back-off is over */
    TRIGGER_DEADLINE,
    TRIGGER_CERTIFICATE_LATE,
    TRIGGER_HOST_LOST,
    TRIGGER_HOST_BACK, /* with the VM still running */
    TRIGGER_REPLACE,   /* back, without the VM */
    TRIGGER_CHALLENGE, /* a boot begins to attest */
    TRIGGER_RELEASE_REFUSED,
    TRIGGER_STAGE_FAILED,
    TRIGGER_UP, /* containers are up */
    TRIGGER_CERTIFICATE,
    TRIGGER_HEALTHY,
    TRIGGER_UNHEALTHY,
    TRIGGER_STOPPED,
    TRIGGER_GONE, /* after a delete */
    TRIGGER_MAX_,
};

struct transition {
    enum status to;
    const char *kind; /* of the canonical event */
};

/* NULL: not allowed. A status may lead to itself where the table says so. */
const struct transition *fsm_find(enum trigger trigger, enum source source, enum status from);

const char *trigger_name(enum trigger trigger);
const char *source_name(enum source source);
const char *status_name(enum status status); /* as in events: "awaitingCert" */
