#include "services/scheduler/test_kit_update.h"

#include "schemas/catalog.pb-c.h"
#include "services/scheduler/secrets.h"

static const char salt[] = "0123456789abcdef0123456789abcdef";

const struct kit_app kit_same_app = {
    .compose = "services:\n  web:\n    image: nginx\n",
    .image_version = KIT_IMAGE,
    .env = {"SECRET"},
    .domain = "w1." KIT_DOMAIN,
    .name = "a name",
};

static ProtobufCBinaryData manifest_of(struct kit *kit, const struct kit_app *app)
{
    _cleanup_buffer_ struct buffer json = {0};
    struct manifest_service service = {.name = "web", .image = "nginx", .digest = "unpinned"};
    struct manifest_hash file = {.name = "site/index.html"};
    struct manifest_hash secret_file = {.name = "key.pem"};
    char salted[256];
    struct manifest manifest = {
        .image_version = app->image_version,
        .public_service = "web",
        .public_port = 80,
        .acme_directory = "https://acme.test/dir",
        .acme_ca = "",
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .env = (const char **)app->env,
        .registries = (const char **)&app->registry,
        .n_registries = app->registry != NULL,
        .services = &service,
        .n_services = 1,
        .files = &file,
        .n_files = 1,
        .secret_files = &secret_file,
        .n_secret_files = app->secret_file != NULL,
    };

    while (manifest.n_env < 4 && app->env[manifest.n_env])
        manifest.n_env++;
    snprintf(salted, sizeof(salted), "%s%s", salt, app->secret_file ?: "");
    sha256(salted, strlen(salted), secret_file.sha256);
    sha256("hello", 5, file.sha256);
    sha256(app->compose, strlen(app->compose), manifest.compose_sha256);
    memcpy(manifest.authority_sign, kit->scheduler->authority.sign.public, SIGN_KEY_SIZE);
    kit_ok(manifest_write(&manifest, &json));
    return arena_bytes(kit->arena, json.data, json.size);
}

ProtobufCBinaryData kit_app_secrets(struct kit *kit, const struct kit_app *app)
{
    struct arena *arena = kit->arena;
    Coffer__V1__Secrets secrets = COFFER__V1__SECRETS__INIT;
    Coffer__V1__Registry registry = COFFER__V1__REGISTRY__INIT;
    Coffer__V1__Registry *registries[] = {&registry};
    Coffer__V1__SecretFile file = COFFER__V1__SECRET_FILE__INIT;
    Coffer__V1__SecretFile *files[] = {&file};
    ProtobufCBinaryData sealed;

    secrets.environment = arena_alloc(arena, 4 * sizeof(*secrets.environment));
    for (size_t i = 0; i < 4; i++) {
        if (!app->values[i])
            continue;
        Coffer__V1__EnvironmentVariable *variable = arena_alloc(arena, sizeof(*variable));
        coffer__v1__environment_variable__init(variable);
        variable->name = (char *)app->env[i];
        variable->value = (char *)app->values[i];
        secrets.environment[secrets.n_environment++] = variable;
    }
    registry.server = (char *)"ghcr.io";
    registry.username = (char *)"me";
    registry.password = (char *)"canary-password";
    secrets.registries = registries;
    secrets.n_registries = app->give_registry;
    file.path = (char *)"key.pem";
    file.content = arena_bytes(arena, app->secret_file, strlen(app->secret_file ?: ""));
    file.salt = arena_bytes(arena, salt, 32);
    secrets.files = files;
    secrets.n_files = app->give_file;
    kit_ok(secrets_seal(kit->scheduler, "w1", &secrets, arena, &sealed));
    return sealed;
}

Coffer__V1__UpdateWorkloadRequest *kit_update_request(struct kit *kit, const struct kit_app *app)
{
    struct arena *arena = kit->arena;
    const Coffer__V1__CreateWorkloadRequest *create = kit_create_request(kit, "w1");
    Coffer__V1__UpdateWorkloadRequest *request = arena_alloc(arena, sizeof(*request));

    coffer__v1__update_workload_request__init(request);
    request->workload_id = create->workload_id;
    request->account_id = create->account_id;
    request->reason = (char *)"new release";
    request->name = (char *)app->name;
    request->manifest = manifest_of(kit, app);
    request->compose = arena_bytes(arena, app->compose, strlen(app->compose));
    request->files = create->files;
    request->n_files = create->n_files;
    request->image_version = (char *)app->image_version;
    request->domain = (char *)app->domain;
    if (app->values[0] || app->values[1] || app->give_registry || app->give_file)
        request->sealed_secrets = kit_app_secrets(kit, app);
    return request;
}

struct error *kit_update_with(struct kit *kit, const Coffer__V1__UpdateWorkloadRequest *request)
{
    return kit_call(kit, "svc.scheduler.workload.update", &request->base, NULL);
}

struct error *kit_update(struct kit *kit, const struct kit_app *app)
{
    return kit_update_with(kit, kit_update_request(kit, app));
}

Coffer__V1__WorkloadInput *kit_input(struct kit *kit, const char *id)
{
    Coffer__V1__WorkloadInput *input;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_WORKLOAD_INPUT, id,
                       &coffer__v1__workload_input__descriptor, kit->arena, &input, &version));
    return input;
}

Coffer__V1__Expectation kit_expected(struct kit *kit)
{
    Coffer__V1__Expectation expectation = COFFER__V1__EXPECTATION__INIT;
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");

    expectation.generation = workload->generation;
    expectation.event_sequence = workload->event_sequence;
    return expectation;
}

struct error *kit_wish_if(struct kit *kit, const char *verb, Coffer__V1__Expectation *if_match,
                          Coffer__V1__Allowance *allowance)
{
    Coffer__V1__WorkloadRequest request = COFFER__V1__WORKLOAD_REQUEST__INIT;
    Coffer__V1__RestartWorkloadRequest restart = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    const char *subject = arena_printf(kit->arena, "svc.scheduler.workload.%s", verb);

    request.workload_id = restart.workload_id = (char *)"w1";
    request.if_match = restart.if_match = if_match;
    request.allowance = restart.allowance = allowance;
    return kit_call(kit, subject, strcmp(verb, "restart") == 0 ? &restart.base : &request.base,
                    NULL);
}

void kit_add_tier(struct kit *kit, uint64_t cost)
{
    Coffer__V1__WorkloadTier tier = COFFER__V1__WORKLOAD_TIER__INIT;

    tier.name = (char *)"small";
    tier.resources = kit_create_request(kit, "w1")->resources;
    tier.usd_micros_per_minute = cost;
    kit_ok(kit_call(kit, "svc.scheduler.tier.create", &tier.base, NULL));
}

Coffer__V1__PlanWorkloadRequest kit_plan_request(struct kit *kit)
{
    Coffer__V1__PlanWorkloadRequest request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;

    request.account_id = (char *)"acme";
    request.resources = kit_create_request(kit, "w1")->resources;
    request.image_version = (char *)KIT_IMAGE;
    return request;
}
