#include "services/scheduler/test_kit.h"

#include <unistd.h>

#include "services/scheduler/admission.h"
#include "services/scheduler/hosts.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/secrets.h"
#include "services/scheduler/sources.h"
#include "shared/attestation/binding.h"
#include "shared/attestation/test_root.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/bus/subject.h"
#include "shared/fleet/fleet.h"
#include "shared/manifest/manifest.h"

void kit_ok(struct error *err)
{
    if (!err)
        return;
    fail_msg("%s (%s)", error_text(err), error_origin(err));
    abort(); /* not reached: cmocka does not declare that a failure never returns */
}

void kit_code(struct error *err, enum error_code code)
{
    if (error_get_code(err) != code)
        fail_msg("%s instead of %s: %s", error_code_name(error_get_code(err)),
                 error_code_name(code), error_text(err));
    error_free(err);
}

enum { CALL_TIMEOUT_MS = 20000 };

static const char compose_text[] = "services:\n  web:\n    image: nginx\n";

/* Files of the fleet: keys, hosts with their chips, the development root, one signed image. */

void kit_add_image(struct kit *kit, const char *version)
{
    _cleanup_free_ char *key_path = xasprintf("%s/fleet/release/sign.key", kit->dir);
    _cleanup_free_ char *folder = xasprintf("%s/images", kit->dir);
    _cleanup_free_ char *path = xasprintf("%s/images/%s.json", kit->dir, version);
    _cleanup_free_ char *digest = hex_encode_new(kit->measurement, sizeof(kit->measurement));
    _cleanup_buffer_ struct buffer bytes = {0};
    struct sign_key key;
    uint8_t signature[SIGN_SIZE];
    char zeros[65];

    memset(zeros, '0', 64);
    zeros[64] = '\0';
    json_t *root = json_pack(
        "{s:s, s:s, s:s, s:s, s:{s:{s:s, s:i}}, s:[{s:i, s:s, s:i, s:s}, {s:i, s:s, s:i, s:s}]}",
        "version", version, "verity_root_hash", zeros, "cmdline", "quiet", "firmware", "f.fd",
        "files", "f.fd", "sha256", zeros, "size", 1, "measurements", "vcpus", 1, "cpu_model",
        "EPYC-v4", "guest_features", 1, "digest", digest, "vcpus", 2, "cpu_model", "EPYC-v4",
        "guest_features", 1, "digest", digest);
    assert_non_null(root);
    kit_ok(sign_key_load(key_path, &key));
    kit_ok(canonical_json(root, &bytes));
    kit_ok(sign_bytes(&key, bytes.data, bytes.size, signature));
    _cleanup_free_ char *public_hex = hex_encode_new(key.public, sizeof(key.public));
    _cleanup_free_ char *value = base64_encode_new(signature, sizeof(signature));
    json_object_set_new(root, "signature",
                        json_pack("{s:s, s:s}", "key", public_hex, "value", value));
    _cleanup_free_ char *text = json_dumps(root, 0);
    kit_ok(dir_make(folder, 0700));
    kit_ok(file_write_atomic(path, text, strlen(text), 0600));
    json_decref(root);
    sign_key_done(&key);
}

static void make_fleet(struct kit *kit)
{
    _cleanup_free_ char *fleet = xasprintf("%s/fleet", kit->dir);
    _cleanup_free_ char *root = xasprintf("%s/root", kit->dir);
    static const char *const ids[] = {"h1", "h2"};

    kit_ok(fleet_init(
        fleet, &(struct fleet_options){.hosts = ids, .n_hosts = 2, .workload_domain = KIT_DOMAIN}));
    kit_ok(test_root_init(root));
    for (size_t i = 0; i < 2; i++) {
        _cleanup_free_ char *tee = xasprintf("%s/tee-%s", kit->dir, ids[i]);
        kit_ok(dir_make(tee, 0700));
        kit_ok(tee_dev_init_host(root, tee));
        kit_ok(processor_open(tee, &kit->processors[i]));
        kit_ok(fleet_enroll_host(fleet, ids[i], processor_chip_id(kit->processors[i])));
    }
    kit_add_image(kit, KIT_IMAGE);
}

static void make_config(struct kit *kit)
{
    kit->config = (struct scheduler_config){
        .redis_url = xstrdup("memory:"),
        .redis_password_file = xstrdup(""),
        .fleet_dir = xasprintf("%s/fleet", kit->dir),
        .images_dir = xasprintf("%s/images", kit->dir),
        .acme_directory = xstrdup(""),
        .acme_eab_file = xasprintf("%s/eab.json", kit->dir),
        .platform_registry_file = xstrdup(""),
        .dns_server = xstrdup(""),
        .dns_zone = xstrdup(""),
        .dns_tsig_file = xstrdup(""),
        .trust_root_dir = xasprintf("%s/root", kit->dir),
        .allow_software_tee = true,
        .require_crl = true,
        .gpu_rims = xstrdup(""),
        .gpu_require_ocsp = true,
        .gpu_require_current_rims = true,
        .suspect_after_ms = 15000,
        .lost_after_ms = 60000,
        .boot_deadline_ms = 600000,
        .restart_backoff_ms = 10000,
        .restart_max = 3,
        .tombstone_ms = 3600000,
    };
    static const char eab[] = "{\"key_id\": \"kid\", \"mac_key\": \"mac\"}";
    kit_ok(file_write_atomic(kit->config.acme_eab_file, eab, strlen(eab), 0600));
}

/* A store or name service that a scheduler does not free with itself. */

static void open_scheduler(struct kit *kit)
{
    kit->scheduler = scheduler_new(&kit->config, kit->bus, &kit->clock.base);
    kit->scheduler->store = kit->store;
    kit_ok(scheduler_open(kit->scheduler));
    kit->scheduler->dns = kit->dns;
}

static void close_scheduler(struct kit *kit)
{
    kit->scheduler->store = NULL;
    kit->scheduler->dns = NULL;
    scheduler_free(kit->scheduler);
    kit->scheduler = NULL;
}

void kit_restart_scheduler(struct kit *kit)
{
    close_scheduler(kit);
    open_scheduler(kit);
}

/* The fake host-agent. */

static size_t find_vm(const struct kit_host *host, const char *workload_id)
{
    size_t i = 0;

    while (i < host->n_vms && strcmp(host->vms[i].workload_id, workload_id) != 0)
        i++;
    return i;
}

static void fill_vm(struct bus_call *call, const struct kit_host *host, size_t i)
{
    Coffer__V1__VmReply *reply = call->out;
    Coffer__V1__Vm *vm = arena_alloc(call->arena, sizeof(*vm));

    coffer__v1__vm__init(vm);
    vm->workload_id = arena_strdup(call->arena, host->vms[i].workload_id);
    vm->generation = host->vms[i].generation;
    vm->state = host->vms[i].state;
    reply->vm = vm;
}

static struct error *start_locked(struct kit_host *host, struct bus_call *call)
{
    const Coffer__V1__StartVmRequest *in = call->in;
    size_t i = find_vm(host, in->workload_id);

    host->start_calls++;
    if (host->away)
        return error_new(ERROR_UNAVAILABLE, "away");
    if (host->refuse)
        return error_new(host->refuse, "no such machine type");
    if (i < host->n_vms && in->generation < host->vms[i].generation)
        return error_new(ERROR_FAILED_PRECONDITION, "generation is over");
    if (i == host->n_vms || host->vms[i].generation != in->generation)
        host->starts++;
    if (i == host->n_vms)
        host->n_vms++;
    snprintf(host->vms[i].workload_id, sizeof(host->vms[i].workload_id), "%s", in->workload_id);
    host->vms[i].generation = in->generation;
    host->vms[i].state = COFFER__V1__VM_STATE__VM_RUNNING;
    snprintf(host->files_reference, sizeof(host->files_reference), "%s", in->files_reference);
    snprintf(host->credentials, sizeof(host->credentials), "%s", in->guest_credentials);
    fill_vm(call, host, i);
    return NULL;
}

static struct error *end_locked(struct kit_host *host, struct bus_call *call)
{
    const Coffer__V1__StopVmRequest *in = call->in;
    size_t i = find_vm(host, in->workload_id);

    if (host->away)
        return error_new(ERROR_UNAVAILABLE, "away");
    if (i == host->n_vms)
        return error_new(ERROR_NOT_FOUND, "no such vm");
    host->ends++;
    host->vms[i].state = COFFER__V1__VM_STATE__VM_STOPPED;
    fill_vm(call, host, i);
    if (strstr(call->message->subject, ".delete"))
        host->vms[i] = host->vms[--host->n_vms];
    return NULL;
}

static struct error *on_start(void *state, struct bus_call *call)
{
    struct kit_host *host = state;

    pthread_mutex_lock(&host->lock);
    struct error *err = start_locked(host, call);
    pthread_mutex_unlock(&host->lock);
    return err;
}

static struct error *on_end(void *state, struct bus_call *call)
{
    struct kit_host *host = state;

    pthread_mutex_lock(&host->lock);
    struct error *err = end_locked(host, call);
    pthread_mutex_unlock(&host->lock);
    return err;
}

void kit_start_host(struct kit *kit, size_t index, struct bus *bus)
{
    static const struct bus_handler rows[3] = {
        {"cmd.host.%.start", &coffer__v1__start_vm_request__descriptor,
         &coffer__v1__vm_reply__descriptor, on_start, NULL},
        {"cmd.host.%.stop", &coffer__v1__stop_vm_request__descriptor,
         &coffer__v1__vm_reply__descriptor, on_end, NULL},
        {"cmd.host.%.delete", &coffer__v1__stop_vm_request__descriptor,
         &coffer__v1__vm_reply__descriptor, on_end, NULL},
    };
    static const char *const verbs[] = {"start", "stop", "delete"};
    struct kit_host *host = &kit->hosts[index];

    snprintf(host->id, sizeof(host->id), "h%zu", index + 1);
    snprintf(host->public_address, sizeof(host->public_address), "192.0.2.%zu", index + 1);
    coffer__v1__resources__init(&host->total);
    host->total.cpus = 4;
    host->total.memory_mib = 4096;
    host->total.disk_gib = 40;
    pthread_mutex_init(&host->lock, NULL);
    host->bus = bus;
    for (size_t i = 0; i < 3; i++) {
        char subject[64];
        snprintf(subject, sizeof(subject), "cmd.host.%s.%s", host->id, verbs[i]);
        kit_ok(bus_subscribe(host->bus, &rows[i], subject, host, &host->subscriptions[i]));
    }
}

void kit_stop_host(struct kit_host *host)
{
    for (size_t i = 0; i < 3; i++)
        bus_unsubscribe(host->subscriptions[i]);
    bus_free(host->bus);
    pthread_mutex_destroy(&host->lock);
}

static struct kit files; /* what all tests of the program share: folder, chips, image */

int kit_group_setup(_unused_ void **state)
{
    strcpy(files.dir, "/tmp/scheduler-test-XXXXXX");
    assert_non_null(mkdtemp(files.dir));
    memset(files.measurement, 0x5a, sizeof(files.measurement));
    make_fleet(&files);
    return 0;
}

int kit_group_teardown(_unused_ void **state)
{
    _cleanup_free_ char *command = xasprintf("rm -rf '%s'", files.dir);

    processor_free(files.processors[0]);
    processor_free(files.processors[1]);
    return system(command);
}

struct kit *kit_new(void)
{
    struct kit *kit = xnew(struct kit);

    *kit = files;
    /* The certificates of the development root are valid from just now on. */
    clock_fake_init(&kit->clock, clock_wall_ms(clock_system()) + 1000);
    kit->arena = arena_new();
    make_config(kit);
    return kit;
}

void kit_free(struct kit *kit)
{
    arena_free(kit->arena);
    config_done(scheduler_config_rows, &kit->config);
    free(kit);
}

int kit_setup(void **state)
{
    struct kit *kit = kit_new();

    kit->bus = bus_memory_new();
    kit->store = store_memory_new_with_clock(&kit->clock.base);
    kit->dns = dns_memory_new();
    kit_ok(bus_ensure_streams(kit->bus));
    open_scheduler(kit);
    kit_start_host(kit, 0, bus_memory_attach(kit->bus));
    kit_start_host(kit, 1, bus_memory_attach(kit->bus));
    *state = kit;
    return 0;
}

int kit_teardown(void **state)
{
    struct kit *kit = *state;

    close_scheduler(kit);
    kit_stop_host(&kit->hosts[0]);
    kit_stop_host(&kit->hosts[1]);
    store_free(kit->store);
    dns_free(kit->dns);
    bus_free(kit->bus);
    kit_free(kit);
    return 0;
}

/* What the scheduler hears. */

static ProtobufCBinaryData pack(struct kit *kit, const ProtobufCMessage *message)
{
    ProtobufCBinaryData data = {.len = protobuf_c_message_get_packed_size(message)};

    data.data = arena_alloc(kit->arena, data.len + 1);
    protobuf_c_message_pack(message, data.data);
    return data;
}

static const struct bus_handler *find_handler(const char *subject)
{
    const struct bus_handler *row = scheduler_handlers;

    while (row->subject && !subject_matches(row->subject, subject))
        row++;
    assert_non_null(row->subject);
    return row;
}

struct error *kit_call(struct kit *kit, const char *subject, const ProtobufCMessage *in,
                       void *ret_out)
{
    const struct bus_handler *row = find_handler(subject);

    if (kit->gateway)
        return bus_call(kit->gateway, subject, in, row->reply, NULL, NULL, CALL_TIMEOUT_MS,
                        kit->arena, ret_out, NULL);
    ProtobufCBinaryData data = pack(kit, in);
    ProtobufCBinaryData reply = {0};
    const struct bus_message message = {
        .subject = subject, .data = data.data, .size = data.len, .type = in->descriptor->name};
    struct error *err = bus_dispatch(row, kit->scheduler, &message, kit->arena, &reply);

    if (err || !ret_out)
        return err;
    return bus_unpack(row->reply, reply.data, reply.len, kit->arena, ret_out);
}

void kit_heartbeat(struct kit *kit, size_t index)
{
    struct kit_host *host = &kit->hosts[index];
    Coffer__V1__HostHeartbeat heartbeat = COFFER__V1__HOST_HEARTBEAT__INIT;
    Coffer__V1__ImageState image = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState extra = COFFER__V1__IMAGE_STATE__INIT;
    Coffer__V1__ImageState *images[] = {&image, &extra};
    Coffer__V1__Vm vms[8];
    Coffer__V1__Vm *list[8];
    char subject[64];

    image.version = (char *)KIT_IMAGE;
    image.ready = true;
    extra.version = (char *)host->extra_image;
    extra.ready = true;
    heartbeat.host_id = host->id;
    heartbeat.total = &host->total;
    heartbeat.images = images;
    heartbeat.n_images = host->extra_image ? 2 : 1;
    heartbeat.tee = (char *)"software";
    heartbeat.public_address = host->public_address;
    heartbeat.vms = list;
    pthread_mutex_lock(&host->lock);
    heartbeat.n_vms = host->n_vms;
    for (size_t i = 0; i < host->n_vms; i++) {
        coffer__v1__vm__init(&vms[i]);
        vms[i].workload_id = host->vms[i].workload_id;
        vms[i].generation = host->vms[i].generation;
        vms[i].state = host->vms[i].state;
        list[i] = &vms[i];
    }
    pthread_mutex_unlock(&host->lock);
    snprintf(subject, sizeof(subject), "hb.host.%s", host->id);
    /* A bus that is away costs a heartbeat, as it does in a host. */
    if (kit->gateway)
        error_free(bus_send(host->bus, subject, &heartbeat.base, NULL, NULL, 1000));
    else
        kit_ok(kit_call(kit, subject, &heartbeat.base, NULL));
}

void kit_tick(struct kit *kit)
{
    kit_heartbeat(kit, 0);
    kit_heartbeat(kit, 1);
    kit_ok(reconcile_pass(kit->scheduler));
}

static ProtobufCBinaryData make_manifest(struct kit *kit)
{
    _cleanup_buffer_ struct buffer json = {0};
    struct manifest_service service = {.name = "web", .image = "nginx", .digest = "unpinned"};
    struct manifest_hash file = {.name = "site/index.html"};
    const char *env[] = {"SECRET"};
    struct manifest manifest = {
        .image_version = KIT_IMAGE,
        .public_service = "web",
        .public_port = 80,
        .acme_directory = "https://acme.test/dir",
        .acme_ca = "",
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .env = env,
        .n_env = 1,
        .services = &service,
        .n_services = 1,
        .files = &file,
        .n_files = 1,
    };

    sha256("hello", 5, file.sha256);
    sha256(compose_text, strlen(compose_text), manifest.compose_sha256);
    memcpy(manifest.authority_sign, kit->scheduler->authority.sign.public, SIGN_KEY_SIZE);
    kit_ok(manifest_write(&manifest, &json));
    return arena_bytes(kit->arena, json.data, json.size);
}

static ProtobufCBinaryData make_secrets(struct kit *kit, const char *id)
{
    _cleanup_buffer_ struct buffer box = {0};
    Coffer__V1__Secrets secrets = COFFER__V1__SECRETS__INIT;
    Coffer__V1__EnvironmentVariable variable = COFFER__V1__ENVIRONMENT_VARIABLE__INIT;
    Coffer__V1__EnvironmentVariable *list[] = {&variable};

    variable.name = (char *)"SECRET";
    variable.value = (char *)"canary";
    secrets.environment = list;
    secrets.n_environment = 1;
    ProtobufCBinaryData plain = pack(kit, &secrets.base);
    kit_ok(seal_to(kit->scheduler->authority.box.public,
                   arena_printf(kit->arena, "%s%s", SECRETS_CONTEXT, id), plain.data, plain.len,
                   &box));
    return arena_bytes(kit->arena, box.data, box.size);
}

Coffer__V1__CreateWorkloadRequest *kit_create_request(struct kit *kit, const char *id)
{
    struct arena *arena = kit->arena;
    Coffer__V1__CreateWorkloadRequest *request = arena_alloc(arena, sizeof(*request));
    Coffer__V1__Resources *resources = arena_alloc(arena, sizeof(*resources));
    Coffer__V1__File *file = arena_alloc(arena, sizeof(*file));

    coffer__v1__create_workload_request__init(request);
    coffer__v1__resources__init(resources);
    coffer__v1__file__init(file);
    request->workload_id = arena_strdup(arena, id);
    request->account_id = arena_strdup(arena, "acme");
    request->name = arena_strdup(arena, "a name");
    request->manifest = make_manifest(kit);
    request->compose = arena_bytes(arena, compose_text, strlen(compose_text));
    file->path = arena_strdup(arena, "site/index.html");
    file->content = arena_bytes(arena, "hello", 5);
    request->files = arena_alloc(arena, sizeof(*request->files));
    request->files[0] = file;
    request->n_files = 1;
    request->sealed_secrets = make_secrets(kit, id);
    resources->cpus = 2;
    resources->memory_mib = 1024;
    resources->disk_gib = 10;
    request->resources = resources;
    request->image_version = arena_strdup(arena, KIT_IMAGE);
    request->domain = arena_printf(arena, "%s." KIT_DOMAIN, id);
    return request;
}

Coffer__V1__Workload *kit_create(struct kit *kit, const char *id)
{
    Coffer__V1__WorkloadReply *reply;

    kit_ok(
        kit_call(kit, "svc.scheduler.workload.create", &kit_create_request(kit, id)->base, &reply));
    return reply->workload;
}

struct error *kit_wish(struct kit *kit, const char *verb, const char *id)
{
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    Coffer__V1__RestartWorkloadRequest restart = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    const char *subject = arena_printf(kit->arena, "svc.scheduler.workload.%s", verb);
    Coffer__V1__WorkloadReply *reply;

    request.workload_id = restart.workload_id = arena_strdup(kit->arena, id);
    request.account_id = restart.account_id = arena_strdup(kit->arena, "acme");
    return kit_call(kit, subject, strcmp(verb, "restart") == 0 ? &restart.base : &request.base,
                    &reply);
}

/* What the scheduler has written and said. */

Coffer__V1__Workload *kit_workload(struct kit *kit, const char *id)
{
    Coffer__V1__Workload *workload;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_WORKLOAD, id, &coffer__v1__workload__descriptor,
                       kit->arena, &workload, &version));
    return workload;
}

Coffer__V1__Host *kit_host_record(struct kit *kit, const char *id)
{
    Coffer__V1__Host *host;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_HOST, id, &coffer__v1__host__descriptor, kit->arena,
                       &host, &version));
    return host;
}

enum status kit_status(struct kit *kit, const char *id)
{
    const Coffer__V1__Workload *workload = kit_workload(kit, id);

    return workload ? (enum status)workload->status : STATUS_NONE;
}

/* The next canonical event of the workload from that place in the stream; NULL: no more. */
static Coffer__V1__WorkloadEvent *next_event(struct kit *kit, const char *id, uint64_t *from)
{
    const char *filter = arena_printf(kit->arena, "evt.workload.%s.*", id);
    struct bus_message message;
    void *event;
    struct error *err =
        bus_stream_next(kit->bus, "EVENTS", filter, *from, 1000, kit->arena, &message);

    if (error_get_code(err) == ERROR_NOT_FOUND) {
        error_free(err);
        return NULL;
    }
    kit_ok(err);
    kit_ok(bus_unpack(&coffer__v1__workload_event__descriptor, message.data, message.size,
                      kit->arena, &event));
    *from = message.stream_sequence + 1;
    return event;
}

const char *kit_events(struct kit *kit, const char *id)
{
    _cleanup_buffer_ struct buffer kinds = {0};
    uint64_t from = 1;
    uint64_t sequence = 0;

    for (;;) {
        const Coffer__V1__WorkloadEvent *event = next_event(kit, id, &from);
        if (!event)
            break;
        assert_int_equal(event->sequence, ++sequence);
        assert_string_equal(event->workload_id, id);
        buffer_printf(&kinds, "%s%s%s%s", kinds.size ? " " : "", event->kind,
                      strcmp(event->kind, "stage") == 0 ? ":" : "",
                      strcmp(event->kind, "stage") == 0 ? event->stage : "");
    }
    return arena_strdup(kit->arena, buffer_text(&kinds));
}

const Coffer__V1__WorkloadEvent *kit_last_event(struct kit *kit, const char *id, const char *kind)
{
    const Coffer__V1__WorkloadEvent *last = NULL;
    const Coffer__V1__WorkloadEvent *event;
    uint64_t from = 1;

    while ((event = next_event(kit, id, &from)))
        if (strcmp(event->kind, kind) == 0)
            last = event;
    return last;
}
