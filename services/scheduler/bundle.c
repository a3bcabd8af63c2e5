#include "services/scheduler/bundle.h"

#include "services/scheduler/secrets.h"

#define BUNDLE_CONTEXT "coffer/bundle/v1 "
#define SIGNED_TAG     "coffer/bundle/v1"

static void add_platform(const struct platform *platform, struct arena *arena,
                         Coffer__V1__Bundle *bundle)
{
    bundle->acme_eab_key_id = platform->eab_key_id;
    bundle->acme_eab_mac_key = platform->eab_mac_key;
    bundle->platform_registries =
        arena_alloc(arena, (platform->n_registries + 1) * sizeof(*bundle->platform_registries));
    for (size_t i = 0; i < platform->n_registries; i++) {
        Coffer__V1__Registry *registry = arena_alloc(arena, sizeof(*registry));
        coffer__v1__registry__init(registry);
        registry->server = platform->registries[i].server;
        registry->username = platform->registries[i].username;
        registry->password = platform->registries[i].password;
        bundle->platform_registries[bundle->n_platform_registries++] = registry;
    }
}

static struct error *build(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                           const Coffer__V1__WorkloadInput *input, uint64_t boot_number,
                           struct arena *arena, Coffer__V1__Bundle *bundle)
{
    struct manifest *manifest;
    struct error *err = manifest_parse(input->manifest.data, input->manifest.len, arena, &manifest);

    err = err
              ?: secrets_open(scheduler, workload->workload_id, input->sealed_secrets, arena,
                              &bundle->secrets);
    if (err)
        return err;
    bundle->domain = workload->domain;
    bundle->acme_directory = (char *)manifest->acme_directory;
    bundle->gateway_sign_public =
        arena_bytes(arena, scheduler->authority.gateway_sign_public, SIGN_KEY_SIZE);
    bundle->boot_number = boot_number;
    add_platform(&scheduler->platform, arena, bundle);
    return NULL;
}

static struct error *sign_reply(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                const Coffer__V1__AttestRequest *request, struct arena *arena,
                                Coffer__V1__AttestReply *reply)
{
    _cleanup_buffer_ struct buffer number = {0};
    _cleanup_buffer_ struct buffer bytes = {0};
    uint8_t digest[SHA256_SIZE];
    uint8_t signature[SIGN_SIZE];

    sha256(reply->sealed_bundle.data, reply->sealed_bundle.len, digest);
    buffer_add_u64be(&number, request->boot_number);
    buffer_add(&bytes, SIGNED_TAG, sizeof(SIGNED_TAG)); /* with its 0x00 */
    buffer_add_lp(&bytes, workload->workload_id, strlen(workload->workload_id));
    buffer_add_lp(&bytes, number.data, number.size);
    buffer_add_lp(&bytes, workload->domain, strlen(workload->domain));
    buffer_add_lp(&bytes, request->box_public.data, request->box_public.len);
    buffer_add_lp(&bytes, request->sign_public.data, request->sign_public.len);
    buffer_add_lp(&bytes, request->nonce.data, request->nonce.len);
    buffer_add_lp(&bytes, digest, sizeof(digest));
    struct error *err = sign_bytes(&scheduler->authority.sign, bytes.data, bytes.size, signature);
    if (err)
        return err;
    reply->signature = arena_bytes(arena, signature, sizeof(signature));
    reply->domain = workload->domain;
    return NULL;
}

/* The input that belongs to the workload as it was verified: read before the record, which says
 * whether an update or another boot came in between. */
static struct error *load_input(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                                struct arena *arena, Coffer__V1__WorkloadInput **ret_input)
{
    const char *id = workload->workload_id;
    Coffer__V1__Workload *now;
    uint64_t version;
    struct error *err =
        record_load(scheduler, KEY_WORKLOAD_INPUT, id, &coffer__v1__workload_input__descriptor,
                    arena, ret_input, &version);

    if (!err && !*ret_input)
        err = error_new(ERROR_DATA_LOSS, "workload '%s' has lost its input", id);
    err = err
              ?: record_load(scheduler, KEY_WORKLOAD, id, &coffer__v1__workload__descriptor, arena,
                             &now, &version);
    if (!err && (!now || now->generation != workload->generation ||
                 now->boot_number != workload->boot_number))
        err = error_new(ERROR_ABORTED, "another boot of workload '%s' has begun meanwhile", id);
    return err;
}

struct error *bundle_make(struct scheduler *scheduler, const Coffer__V1__Workload *workload,
                          const Coffer__V1__AttestRequest *request, struct arena *arena,
                          Coffer__V1__AttestReply *reply)
{
    Coffer__V1__Bundle bundle = COFFER__V1__BUNDLE__INIT;
    _cleanup_buffer_ struct buffer box = {0};
    Coffer__V1__WorkloadInput *input;
    struct error *err = load_input(scheduler, workload, arena, &input);

    err = err ?: build(scheduler, workload, input, request->boot_number, arena, &bundle);
    if (err)
        return err;
    size_t size = coffer__v1__bundle__get_packed_size(&bundle);
    uint8_t *plain = arena_alloc(arena, size ? size : 1);
    coffer__v1__bundle__pack(&bundle, plain);
    err = seal_to(request->box_public.data,
                  arena_printf(arena, "%s%s", BUNDLE_CONTEXT, workload->workload_id), plain, size,
                  &box);
    if (err)
        return error_wrap(err, "seal the bundle");
    reply->sealed_bundle = arena_bytes(arena, box.data, box.size);
    return sign_reply(scheduler, workload, request, arena, reply);
}
