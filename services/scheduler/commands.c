#include "services/scheduler/commands.h"

#include <openssl/crypto.h>

#include "shared/bus/subject.h"
#include "shared/manifest/manifest.h"

enum { COMMAND_TIMEOUT_MS = 5000, FILES_TIMEOUT_MS = 20000 };

static void wipe_text(char **text)
{
    if (*text)
        OPENSSL_cleanse(*text, strlen(*text));
    free(*text);
}

static struct error *load_input(struct scheduler *scheduler, const char *workload_id,
                                struct arena *arena, Coffer__V1__WorkloadInput **ret_input)
{
    uint64_t version;
    struct error *err =
        record_load(scheduler, KEY_WORKLOAD_INPUT, workload_id,
                    &coffer__v1__workload_input__descriptor, arena, ret_input, &version);

    if (!err && !*ret_input)
        err = error_new(ERROR_DATA_LOSS, "workload '%s' has lost its input", workload_id);
    return err;
}

/* Plain files may be larger than a message: they go by reference, as a WorkloadInput with nothing
 * else in it. */
static struct error *send_files(struct scheduler *scheduler, const char *name,
                                const Coffer__V1__WorkloadInput *input, struct arena *arena)
{
    Coffer__V1__WorkloadInput files = COFFER__V1__WORKLOAD_INPUT__INIT;

    files.files = input->files;
    files.n_files = input->n_files;
    size_t size = coffer__v1__workload_input__get_packed_size(&files);
    uint8_t *packed = arena_alloc(arena, size);
    coffer__v1__workload_input__pack(&files, packed);
    return error_wrap(bus_object_put(scheduler->bus, name, packed, size, FILES_TIMEOUT_MS),
                      "send files");
}

static struct error *add_domains(Coffer__V1__StartVmRequest *request,
                                 const Coffer__V1__WorkloadInput *input, struct arena *arena)
{
    struct manifest *manifest;
    struct error *err = manifest_parse(input->manifest.data, input->manifest.len, arena, &manifest);

    if (err)
        return err;
    request->custom_domains = (char **)manifest->domains;
    request->n_custom_domains = manifest->n_domains;
    return NULL;
}

static struct error *call_host(struct scheduler *scheduler, const char *host_id, const char *verb,
                               const ProtobufCMessage *request, struct arena *arena,
                               Coffer__V1__Vm **ret_vm)
{
    char subject[SUBJECT_MAX];
    void *reply = NULL;
    struct error *err = subject_build(subject, "cmd", "host", host_id, verb, NULL);

    err = err
              ?: bus_call(scheduler->bus, subject, request, &coffer__v1__vm_reply__descriptor, NULL,
                          NULL, COMMAND_TIMEOUT_MS, arena, &reply, NULL);
    if (err)
        return error_wrap(err, "host '%s', %s", host_id, verb);
    *ret_vm = ((Coffer__V1__VmReply *)reply)->vm;
    return NULL;
}

struct error *command_start(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                            struct arena *arena, Coffer__V1__Vm **ret_vm)
{
    Coffer__V1__StartVmRequest request = COFFER__V1__START_VM_REQUEST__INIT;
    _cleanup_(wipe_text) char *credentials = NULL;
    Coffer__V1__WorkloadInput *input;
    struct error *err = load_input(scheduler, workload->workload_id, arena, &input);

    if (!err && input->n_files) {
        request.files_reference =
            arena_printf(arena, "files/%s/%s", workload->host_id, workload->workload_id);
        err = send_files(scheduler, request.files_reference, input, arena);
    }
    err = err ?: add_domains(&request, input, arena);
    err = err
              ?: scheduler->make_credentials(scheduler->credentials_data, workload->host_id,
                                             workload->workload_id, workload->generation,
                                             &credentials);
    if (err)
        return err;
    request.workload_id = workload->workload_id;
    request.generation = workload->generation;
    request.resources = workload->resources;
    request.image_version = workload->image_version;
    request.manifest = input->manifest;
    request.compose = input->compose;
    request.domain = workload->domain;
    request.guest_credentials = credentials;
    return call_host(scheduler, workload->host_id, "start", &request.base, arena, ret_vm);
}

struct error *command_end(struct scheduler *scheduler, const char *verb, const char *host_id,
                          const char *workload_id, uint64_t generation, struct arena *arena,
                          Coffer__V1__Vm **ret_vm)
{
    Coffer__V1__StopVmRequest request = COFFER__V1__STOP_VM_REQUEST__INIT;

    request.workload_id = (char *)workload_id;
    request.generation = generation;
    request.grace_seconds = STOP_GRACE_SECONDS;
    *ret_vm = NULL;
    struct error *err = call_host(scheduler, host_id, verb, &request.base, arena, ret_vm);
    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}
