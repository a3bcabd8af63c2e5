#include "shared/bus/subject.h"

#include <ctype.h>
#include <stdarg.h>

#include "schemas/boot.pb-c.h"
#include "schemas/catalog.pb-c.h"
#include "schemas/event.pb-c.h"
#include "schemas/guest.pb-c.h"
#include "schemas/host.pb-c.h"
#include "schemas/workload.pb-c.h"
#include "shared/base/encode.h"

#define MESSAGE(name) (&coffer__v1__##name##__descriptor)

/* DESIGN section 4. The first match counts. */
const struct subject_row subject_table[] = {
    {"svc.scheduler.workload.create", MESSAGE(create_workload_request), MESSAGE(workload_reply)},
    {"svc.scheduler.workload.restart", MESSAGE(restart_workload_request), MESSAGE(workload_reply)},
    {"svc.scheduler.workload.update", MESSAGE(update_workload_request), MESSAGE(workload_reply)},
    {"svc.scheduler.workload.plan", MESSAGE(plan_workload_request), MESSAGE(plan_workload_reply)},
    {"svc.scheduler.workload.*", MESSAGE(workload_request), MESSAGE(workload_reply)},
    {"svc.scheduler.artifact.*", MESSAGE(artifact_request), MESSAGE(artifact)},
    {"svc.scheduler.tier.delete", MESSAGE(workload_tier_request), MESSAGE(empty)},
    {"svc.scheduler.tier.*", MESSAGE(workload_tier), MESSAGE(workload_tier)},
    {"svc.scheduler.host.delete", MESSAGE(host_request), MESSAGE(empty)},

    {"cmd.host.*.start", MESSAGE(start_vm_request), MESSAGE(vm_reply)},
    {"cmd.host.*.stop", MESSAGE(stop_vm_request), MESSAGE(vm_reply)},
    {"cmd.host.*.delete", MESSAGE(stop_vm_request), MESSAGE(vm_reply)},
    {"cmd.host.*.console", MESSAGE(console_request), MESSAGE(console_reply)},
    {"cmd.host.*.list", MESSAGE(empty), MESSAGE(list_vms_reply)},

    {"cmd.guest.*.*.stats", MESSAGE(guest_query), MESSAGE(guest_sample)},
    {"cmd.guest.*.*.containers", MESSAGE(guest_query), MESSAGE(containers_reply)},
    {"cmd.guest.*.*.stop", MESSAGE(guest_query), MESSAGE(empty)},
    {"cmd.guest.*.*.logs", MESSAGE(logs_request), MESSAGE(logs_reply)},

    {"hb.host.*", MESSAGE(host_heartbeat), NULL},
    {"src.host.*.vm", MESSAGE(vm_changed), NULL},
    {"src.guest.*.*.stage", MESSAGE(guest_stage), NULL},
    {"src.guest.*.*.health", MESSAGE(guest_health), NULL},

    {"evt.workload.*.*", MESSAGE(workload_event), NULL},
    {"evt.host.*.*", MESSAGE(host_event), NULL},

    {"log.*.*.*", MESSAGE(log_batch), NULL},
    {"stat.host.*", MESSAGE(host_sample), NULL},
    {"stat.guest.*.*", MESSAGE(guest_sample), NULL},

    {"boot.*.*.challenge", MESSAGE(challenge_request), MESSAGE(challenge_reply)},
    {"boot.*.*.attest", MESSAGE(attest_request), MESSAGE(attest_reply)},
    {NULL, NULL, NULL},
};

const struct subject_row *subject_find(const char *subject)
{
    for (const struct subject_row *row = subject_table; row->pattern; row++) {
        if (subject_matches(row->pattern, subject))
            return row;
    }
    return NULL;
}

bool subject_matches(const char *pattern, const char *subject)
{
    for (;;) {
        size_t p = strcspn(pattern, ".");
        size_t s = strcspn(subject, ".");
        if (s == 0)
            return false;
        if (p == 1 && pattern[0] == '>')
            return pattern[1] == '\0';
        bool any = p == 1 && pattern[0] == '*';
        if (!any && (p != s || strncmp(pattern, subject, p) != 0))
            return false;
        if (!pattern[p] || !subject[s])
            return pattern[p] == subject[s];
        pattern += p + 1;
        subject += s + 1;
    }
}

static bool token_is_valid(const char *token)
{
    size_t length = strlen(token);

    if (length == 0 || length > 63)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)token[i]) && token[i] != '-' && token[i] != '_')
            return false;
    }
    return true;
}

static struct error *append_token(char ret_subject[SUBJECT_MAX], const char *token)
{
    size_t used = strlen(ret_subject);

    if (!token_is_valid(token))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.80s' cannot be part of a subject", token);
    if (used + 1 + strlen(token) >= SUBJECT_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "subject is longer than %d bytes", SUBJECT_MAX);
    snprintf(ret_subject + used, SUBJECT_MAX - used, "%s%s", used ? "." : "", token);
    return NULL;
}

struct error *subject_build(char ret_subject[SUBJECT_MAX], const char *first, ...)
{
    char subject[SUBJECT_MAX] = "";
    struct error *err = NULL;
    va_list args;

    va_start(args, first);
    for (const char *token = first; token && !err; token = va_arg(args, const char *))
        err = append_token(subject, token);
    va_end(args);
    if (!err)
        memcpy(ret_subject, subject, sizeof(subject));
    return err;
}

bool subject_token(const char *subject, size_t index, char *ret_token, size_t size)
{
    for (; index; index--) {
        subject = strchr(subject, '.');
        if (!subject)
            return false;
        subject++;
    }
    size_t length = strcspn(subject, ".");
    if (length == 0 || length >= size)
        return false;
    memcpy(ret_token, subject, length);
    ret_token[length] = '\0';
    return true;
}

void subject_encode_name(const char *name, char ret_token[64])
{
    bool plain = name_is_valid(name) && strncmp(name, "x-", 2) != 0;
    size_t length = strlen(name);

    if (plain) {
        memcpy(ret_token, name, length + 1);
        return;
    }
    memcpy(ret_token, "x-", 2);
    hex_encode(name, length < 30 ? length : 30, ret_token + 2);
}
