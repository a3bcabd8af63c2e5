#include "services/guest-agent/gpus.h"

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "shared/attestation/tee.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/base/log.h"
#include "shared/bus/bus.h"
#include "shared/nvidia/gpu_references.h"
#include "shared/nvidia/nvml_abi.h"

#define VENDOR_NVIDIA "0x10de"
#define CLASS_DISPLAY "0x03" /* of 0x030000 VGA, 0x030200 3D controller */
#define NODES_MAX     (GPU_DEVICES_MAX + 2)
#define MESSAGE_REST  (16 * 1024) /* of an AttestRequest: report, keys, framing */
#define SET_MAX       (BUS_PAYLOAD_MAX - TEE_CERTIFICATES_MAX - MESSAGE_REST)

/* All evidence goes to the release authority in one message. What NVML can give for 16 GPUs fits
 * (about 18 KiB of JSON each); real sets have about 12 KiB each. */
#define OF_ONE_GPU  (4 * (NVML_REPORT_SIZE + NVML_ATTESTATION_CHAIN_SIZE) / 3 + 64)
#define LARGEST_SET (GPU_DEVICES_MAX * OF_ONE_GPU)
_Static_assert(LARGEST_SET < SET_MAX, "the largest set must fit a message");

enum mode { MODE_AUTO, MODE_NONE, MODE_NVML };

struct gpus {
    struct gpus_options options;
    enum mode mode;
    struct devices *devices; /* stays open: the last one to leave may end the ready state */
    size_t on_bus;
    size_t n;               /* with evidence */
    char *nodes[NODES_MAX]; /* owned */
    size_t n_nodes;
};

DEFINE_CLEANUP(DIR *, closedir)

struct error *gpus_new(const struct gpus_options *options, struct gpus **ret_gpus)
{
    static const char *const names[] = {"auto", "none", "nvml"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        if (strcmp(options->mode, names[i]) != 0)
            continue;
        struct gpus *gpus = xnew(struct gpus);
        gpus->options = *options;
        gpus->mode = (enum mode)i;
        *ret_gpus = gpus;
        return NULL;
    }
    return error_new(ERROR_INVALID_ARGUMENT, "unknown kind of GPUs '%s'", options->mode);
}

static void forget_nodes(struct gpus *gpus)
{
    while (gpus->n_nodes)
        free(gpus->nodes[--gpus->n_nodes]);
}

void gpus_free(struct gpus *gpus)
{
    if (!gpus)
        return;
    forget_nodes(gpus);
    devices_free(gpus->devices);
    free(gpus);
}

/* Does this file of a PCI device begin so? */
static struct error *begins(const char *folder, const char *device, const char *name,
                            const char *start, bool *ret_begins)
{
    _cleanup_free_ char *path = xasprintf("%s/%s/%s", folder, device, name);
    _cleanup_free_ char *text = NULL;
    struct error *err = file_read_text(path, 64, &text);

    if (!err)
        *ret_begins = strncmp(text, start, strlen(start)) == 0;
    return err;
}

/* A kernel without PCI has no folder. Anything else that cannot be read may hide a GPU. */
static struct error *count_on_bus(const char *sys, size_t *ret_n)
{
    _cleanup_free_ char *folder = xasprintf("%s/bus/pci/devices", sys);
    _cleanup_(closedirp) DIR *dir = opendir(folder);
    struct error *err = NULL;

    *ret_n = 0;
    if (!dir)
        return errno == ENOENT ? NULL : error_errno(errno, "open '%s'", folder);
    for (struct dirent *entry; !err && (entry = readdir(dir));) {
        bool is_nvidia = false, is_display = false;

        if (entry->d_name[0] == '.')
            continue;
        err = begins(folder, entry->d_name, "vendor", VENDOR_NVIDIA, &is_nvidia);
        if (!err)
            err = begins(folder, entry->d_name, "class", CLASS_DISPLAY, &is_display);
        *ret_n += is_nvidia && is_display;
    }
    return err;
}

struct error *gpus_open(struct gpus *gpus)
{
    if (gpus->mode == MODE_NONE || gpus->devices)
        return NULL;
    struct error *err = count_on_bus(gpus->options.sys, &gpus->on_bus);
    if (err || (gpus->on_bus == 0 && gpus->mode == MODE_AUTO))
        return err;
    return devices_open("nvml", gpus->options.library, &gpus->devices);
}

static struct error *load_references(const char *dir, struct arena *arena,
                                     struct gpu_references *references)
{
    bool is_absent = access(dir, F_OK) != 0 && errno == ENOENT;

    return is_absent ? NULL : gpu_references_load(dir, arena, references);
}

static struct error *take_verdict(const struct verify_result *result)
{
    const struct verify_step *problem = verify_result_first_problem(result);

    if (verify_result_verdict(result) == VERDICT_FAIL)
        return error_new(ERROR_PERMISSION_DENIED,
                         "check '%s' failed: expected %.512s, found %.512s (%s)", problem->id,
                         problem->expected, problem->actual, problem->why);
    log_info("GPUs judged", "left_to_the_authority", problem ? problem->code : "");
    return NULL;
}

/*
 * In this guest only a step that is bad counts. RIM signers that are out of date do not: the image
 * vouches for its RIM files by being measured, they age with it, and whether that is fine is the
 * platform's to say, as it is for what cannot be told here.
 */
static struct error *judge(const struct gpus *gpus, const uint8_t (*nonces)[32], int64_t at_ms,
                           const struct gpu_evidence_list *list)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct gpu_references *references = arena_alloc(arena, sizeof(*references));
    struct binding_bytes devices[GPU_DEVICES_MAX];
    struct gpu_policy policy = {
        .roots = gpus->options.roots,
        .nonces = nonces,
        .any_number = gpus->on_bus == 0,
        .n_gpus = gpus->on_bus,
        .at_ms = at_ms,
        .accept_expired_rims = true,
    };
    struct verify_result result;

    struct error *err = load_references(gpus->options.rims, arena, references);
    if (err)
        return err;
    gpu_policy_use(&policy, references);
    for (size_t i = 0; i < list->n; i++)
        devices[i] = (struct binding_bytes){list->devices[i].data, list->devices[i].size};
    verify_result_init(&result);
    err = verify_gpus(&policy, devices, list->n, &result);
    if (!err)
        err = take_verdict(&result);
    verify_result_done(&result);
    return err;
}

static struct error *collect(const struct gpus *gpus, const uint8_t nonce[32],
                             const uint8_t key_hash[32], int64_t at_ms,
                             struct gpu_evidence_list *ret_list)
{
    uint8_t nonces[GPU_DEVICES_MAX][SPDM_NONCE_SIZE];

    struct error *err = gpus->devices->ops->collect(gpus->devices, nonce, key_hash, ret_list);
    if (err)
        return err;
    for (size_t i = 0; i < ret_list->n; i++)
        gpu_nonce(nonce, key_hash, (uint32_t)i, nonces[i]);
    return judge(gpus, (const uint8_t(*)[32])nonces, at_ms, ret_list);
}

struct error *gpus_collect(struct gpus *gpus, const uint8_t nonce[32], const uint8_t key_hash[32],
                           int64_t at_ms, struct gpu_evidence_list *ret_list)
{
    *ret_list = (struct gpu_evidence_list){};
    if (!gpus->devices)
        return NULL;
    struct error *err = collect(gpus, nonce, key_hash, at_ms, ret_list);
    if (err)
        gpu_evidence_list_done(ret_list);
    gpus->n = ret_list->n;
    return err;
}

/* "nvidia7": of one GPU. */
static bool is_gpu_node(const char *name)
{
    static const char start[] = "nvidia";
    const char *number = name + strlen(start);

    return strncmp(name, start, strlen(start)) == 0 && *number &&
           number[strspn(number, "0123456789")] == '\0';
}

static int by_name(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

static struct error *add_node(struct gpus *gpus, const char *name)
{
    if (gpus->n_nodes == NODES_MAX)
        return error_new(ERROR_FAILED_PRECONDITION, "more than %d device nodes", NODES_MAX);
    gpus->nodes[gpus->n_nodes++] = xasprintf("%s/%s", gpus->options.dev, name);
    return NULL;
}

/* One node for each GPU with evidence: another one would be of a GPU that nobody has judged. */
static struct error *find_nodes(struct gpus *gpus)
{
    _cleanup_(closedirp) DIR *dir = opendir(gpus->options.dev);
    bool has_control = false;
    struct error *err = NULL;
    size_t n = 0;

    if (!dir)
        return error_errno(errno, "open '%s'", gpus->options.dev);
    forget_nodes(gpus);
    for (struct dirent *entry; !err && (entry = readdir(dir));) {
        bool is_gpu = is_gpu_node(entry->d_name);
        bool is_control = strcmp(entry->d_name, "nvidiactl") == 0;

        if (is_gpu || is_control || strcmp(entry->d_name, "nvidia-uvm") == 0)
            err = add_node(gpus, entry->d_name);
        has_control |= is_control;
        n += is_gpu;
    }
    if (!err && (!has_control || n != gpus->n))
        err = error_new(ERROR_FAILED_PRECONDITION, "%zu GPUs, and device nodes of %zu%s", gpus->n,
                        n, has_control ? "" : ", none for control");
    qsort(gpus->nodes, gpus->n_nodes, sizeof(*gpus->nodes), by_name);
    return err;
}

struct error *gpus_allow(struct gpus *gpus)
{
    if (!gpus->n)
        return NULL;
    struct error *err = find_nodes(gpus);
    if (!err)
        err = gpus->devices->ops->set_ready(gpus->devices, true);
    if (err)
        forget_nodes(gpus);
    return err;
}

const char *const *gpus_nodes(const struct gpus *gpus, size_t *ret_n)
{
    *ret_n = gpus->n_nodes;
    return (const char *const *)gpus->nodes;
}
