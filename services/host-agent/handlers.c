/* cmd.host.<h>.*: checks fields, calls one function of vm.h, fills the reply. */
#include "schemas/common.pb-c.h"
#include "schemas/host.pb-c.h"
#include "services/host-agent/host_agent.h"
#include "shared/base/alloc.h"
#include "shared/seal/seal.h"

#define CUSTOM_DOMAINS_MAX (VM_DOMAINS_MAX - 1)

/* Copies of all the texts: the request's memory ends with the call. */
static struct error *read_facts(const Coffer__V1__StartVmRequest *request,
                                struct vm_facts *ret_facts)
{
    if (!request->resources)
        return error_new(ERROR_INVALID_ARGUMENT, "resources are missing");
    if (request->n_custom_domains > CUSTOM_DOMAINS_MAX)
        return error_new(ERROR_INVALID_ARGUMENT, "more than %d custom domains", CUSTOM_DOMAINS_MAX);
    *ret_facts = (struct vm_facts){
        .workload_id = xstrdup(request->workload_id),
        .generation = request->generation,
        .cpus = request->resources->cpus,
        .memory_mib = request->resources->memory_mib,
        .disk_gib = request->resources->disk_gib,
        .gpus = request->resources->gpus,
        .image_version = xstrdup(request->image_version),
    };
    sha256(request->manifest.data, request->manifest.len, ret_facts->manifest_sha256);
    if (request->domain[0])
        vm_facts_add_domain(ret_facts, request->domain);
    for (size_t i = 0; i < request->n_custom_domains; i++)
        vm_facts_add_domain(ret_facts, request->custom_domains[i]);
    return NULL;
}

static void read_order(const Coffer__V1__StartVmRequest *request, struct vm_order *ret_order)
{
    ret_order->generation = request->generation;
    buffer_add(&ret_order->manifest, request->manifest.data, request->manifest.len);
    buffer_add(&ret_order->compose, request->compose.data, request->compose.len);
    ret_order->files_reference = xstrdup(request->files_reference);
    ret_order->credentials = xstrdup(request->guest_credentials);
}

static struct error *reply_vm(struct error *err, struct vm_status *status, struct bus_call *call)
{
    Coffer__V1__VmReply *reply = call->out;

    if (err)
        return err;
    reply->vm = report_vm(status, call->arena);
    vm_status_done(status);
    return NULL;
}

static struct error *on_start(void *state, struct bus_call *call)
{
    struct host_agent *agent = state;
    const Coffer__V1__StartVmRequest *request = call->in;
    _cleanup_facts_ struct vm_facts facts = {0};
    _cleanup_order_ struct vm_order order = {0};
    struct vm_status status;
    struct error *err = read_facts(request, &facts);

    if (err)
        return err;
    read_order(request, &order);
    return reply_vm(vms_start(agent->vms, &facts, &order, &status), &status, call);
}

static struct error *on_stop(void *state, struct bus_call *call)
{
    struct host_agent *agent = state;
    const Coffer__V1__StopVmRequest *request = call->in;
    struct vm_status status;
    struct error *err = vms_stop(agent->vms, request->workload_id, request->generation,
                                 request->grace_seconds, &status);

    return reply_vm(err, &status, call);
}

static struct error *on_delete(void *state, struct bus_call *call)
{
    struct host_agent *agent = state;
    const Coffer__V1__StopVmRequest *request = call->in;
    struct vm_status status;
    struct error *err = vms_delete(agent->vms, request->workload_id, request->generation, &status);

    return reply_vm(err, &status, call);
}

static struct error *on_list(void *state, struct bus_call *call)
{
    struct host_agent *agent = state;
    Coffer__V1__ListVmsReply *reply = call->out;
    size_t n;

    if (!vms_is_settled(agent->vms))
        return error_new(ERROR_UNAVAILABLE, "the host has not looked at its VMs yet");
    struct vm_status *statuses = vms_copy(agent->vms, &n);
    reply->vms = arena_alloc(call->arena, (n + 1) * sizeof(*reply->vms));
    reply->n_vms = n;
    for (size_t i = 0; i < n; i++)
        reply->vms[i] = report_vm(&statuses[i], call->arena);
    vm_statuses_free(statuses, n);
    return NULL;
}

static struct error *on_console(void *state, struct bus_call *call)
{
    struct host_agent *agent = state;
    const Coffer__V1__ConsoleRequest *request = call->in;
    Coffer__V1__ConsoleReply *reply = call->out;
    _cleanup_buffer_ struct buffer text = {0};
    struct error *err =
        vms_console(agent->vms, request->workload_id, request->max_bytes ?: VM_CONSOLE_MAX, &text);

    if (err)
        return err;
    reply->text = arena_bytes(call->arena, text.data, text.size);
    return NULL;
}

#define ROW(verb, request, reply)                                                                  \
    {                                                                                              \
        "cmd.host.%." #verb, &coffer__v1__##request##__descriptor,                                 \
            &coffer__v1__##reply##__descriptor, on_##verb, NULL                                    \
    }

const struct bus_handler host_agent_handlers[] = {
    ROW(start, start_vm_request, vm_reply),       ROW(stop, stop_vm_request, vm_reply),
    ROW(delete, stop_vm_request, vm_reply),       ROW(list, empty, list_vms_reply),
    ROW(console, console_request, console_reply), {0},
};
