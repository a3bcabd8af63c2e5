/* Updates, what they are conditional on, plans, and what an account may have. */
#include "services/scheduler/test_kit.h"

#include "schemas/catalog.pb-c.h"
#include "services/scheduler/bundle.h"
#include "services/scheduler/reconcile.h"
#include "services/scheduler/secrets.h"
#include "services/scheduler/test_store.h"

static const char salt[] = "0123456789abcdef0123456789abcdef";

/* What an update of "w1" is made of. */
struct app {
    const char *compose;
    const char *image_version;
    const char *env[4];
    const char *registry;    /* NULL: none */
    const char *secret_file; /* content of "key.pem"; NULL: none */
    const char *values[4];   /* of env, where they are given */
    const char *domain;
    const char *name;
    bool give_registry;
    bool give_file;
};

static const struct app same = {
    .compose = "services:\n  web:\n    image: nginx\n",
    .image_version = KIT_IMAGE,
    .env = {"SECRET"},
    .domain = "w1." KIT_DOMAIN,
    .name = "a name",
};

static ProtobufCBinaryData manifest_of(struct kit *kit, const struct app *app)
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

static ProtobufCBinaryData secrets_of(struct kit *kit, const struct app *app)
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

static Coffer__V1__UpdateWorkloadRequest *request_of(struct kit *kit, const struct app *app)
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
        request->sealed_secrets = secrets_of(kit, app);
    return request;
}

static struct error *update_with(struct kit *kit, const Coffer__V1__UpdateWorkloadRequest *request)
{
    return kit_call(kit, "svc.scheduler.workload.update", &request->base, NULL);
}

static struct error *update(struct kit *kit, const struct app *app)
{
    return update_with(kit, request_of(kit, app));
}

static Coffer__V1__WorkloadInput *input_of(struct kit *kit, const char *id)
{
    Coffer__V1__WorkloadInput *input;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_WORKLOAD_INPUT, id,
                       &coffer__v1__workload_input__descriptor, kit->arena, &input, &version));
    return input;
}

static Coffer__V1__Secrets *stored_secrets(struct kit *kit)
{
    Coffer__V1__Secrets *secrets;

    kit_ok(secrets_open(kit->scheduler, "w1", input_of(kit, "w1")->sealed_secrets, kit->arena,
                        &secrets));
    return secrets;
}

static const char *owner_of(struct kit *kit, const char *domain)
{
    struct store_record record;

    kit_ok(store_get(kit->store, arena_printf(kit->arena, KEY_DOMAIN "%s", domain), kit->arena,
                     &record));
    return arena_printf(kit->arena, "%.*s", (int)record.value.len, (const char *)record.value.data);
}

static void test_update_starts_a_new_boot_with_the_new_configuration(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct app app = same;
    Coffer__V1__AttestReply *reply;
    kit_run_workload(kit, "w1", &guest);
    const Coffer__V1__AttestRequest *old_boot = kit_attest_request(kit, &guest);
    kit_ok(kit_attest(kit, &guest, old_boot, &reply));

    app.compose = "services:\n  web:\n    image: nginx:2\n";
    app.env[1] = "TOKEN";
    app.values[1] = "canary-token";
    app.name = "another name";
    Coffer__V1__UpdateWorkloadRequest *request = request_of(kit, &app);
    kit_ok(update_with(kit, request));
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");
    assert_int_equal(workload->status, STATUS_SCHEDULED);
    assert_int_equal(workload->generation, 2);
    assert_string_equal(workload->name, "another name");
    assert_string_equal(workload->host_id, "h1");
    assert_int_equal(workload->measurement.len, 0);
    uint8_t digest[SHA256_SIZE];
    manifest_hash(request->manifest.data, request->manifest.len, digest);
    assert_memory_equal(workload->manifest_sha256.data, digest, sizeof(digest));
    assert_true(bytes_equal(input_of(kit, "w1")->compose, request->compose));
    const Coffer__V1__Secrets *secrets = stored_secrets(kit);
    assert_int_equal(secrets->n_environment, 2);
    assert_string_equal(secrets->environment[0]->value, "canary");
    assert_string_equal(secrets->environment[1]->value, "canary-token");

    /* The old boot gets nothing more and speaks for nothing. */
    kit_code(kit_attest(kit, &guest, old_boot, &reply), ERROR_ABORTED);
    assert_int_equal(kit_health(kit, &guest, true, true), BUS_TERM);
    kit_code(kit_challenge(kit, &guest), ERROR_FAILED_PRECONDITION);

    kit_tick(kit);
    assert_int_equal(kit->hosts[0].vms[0].generation, 2);
    assert_int_equal(kit->hosts[0].n_vms, 1);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    assert_int_equal(kit_workload(kit, "w1")->measurement.len, 48);
    const Coffer__V1__WorkloadEvent *event = kit_last_event(kit, "w1", "updated");
    assert_string_equal(event->message, "new release: name; compose; env TOKEN (added)");
    assert_int_equal(event->generation, 2);
    assert_non_null(strstr(kit_events(kit, "w1"), "running updated scheduled warning starting"));
}

/* Between the evidence and the bundle an update may come: the bundle is for what was verified. */
static void test_no_bundle_for_what_was_verified_before_an_update(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct app app = same;
    Coffer__V1__AttestReply reply = COFFER__V1__ATTEST_REPLY__INIT;
    kit_run_workload(kit, "w1", &guest);
    const Coffer__V1__Workload *verified = kit_workload(kit, "w1");
    const Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_ok(bundle_make(kit->scheduler, verified, request, kit->arena, &reply));
    app.values[0] = "new value";
    kit_ok(update(kit, &app));
    kit_code(bundle_make(kit->scheduler, verified, request, kit->arena, &reply), ERROR_ABORTED);
}

static void test_nothing_changed_is_nothing_done(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(update(kit, &same));
    kit_ok(update(kit, &same));
    assert_int_equal(kit_status(kit, "w1"), STATUS_RUNNING);
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
    assert_null(kit_last_event(kit, "w1", "updated"));
}

static void test_secrets_are_kept_replaced_and_forgotten(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    kit_tick(kit);
    kit_create(kit, "w1");
    app.env[1] = "TOKEN";
    app.values[1] = "canary-token";
    app.registry = "ghcr.io";
    app.give_registry = true;
    app.secret_file = "canary-key";
    app.give_file = true;
    kit_ok(update(kit, &app));
    /* All is kept by a later one that brings nothing. */
    memset(app.values, 0, sizeof(app.values));
    app.give_registry = app.give_file = false;
    app.compose = "services: {}\n";
    kit_ok(update(kit, &app));
    const Coffer__V1__Secrets *secrets = stored_secrets(kit);
    assert_int_equal(secrets->n_environment, 2);
    assert_string_equal(secrets->registries[0]->password, "canary-password");
    assert_memory_equal(secrets->files[0]->content.data, "canary-key", 10);
    /* One value is new, the rest is not named any more. */
    app.env[0] = "TOKEN";
    app.env[1] = NULL;
    app.values[0] = "canary-2";
    app.registry = NULL;
    app.secret_file = NULL;
    kit_ok(update(kit, &app));
    secrets = stored_secrets(kit);
    assert_int_equal(secrets->n_environment, 1);
    assert_string_equal(secrets->environment[0]->value, "canary-2");
    assert_int_equal(secrets->n_registries + secrets->n_files, 0);
    kit_tick(kit);
    const char *message = kit_last_event(kit, "w1", "updated")->message;
    assert_string_equal(message, "new release: env TOKEN (changed), SECRET (removed); secret file "
                                 "key.pem (removed); registry ghcr.io (removed)");
    assert_null(strstr(message, "canary"));
    app.env[0] = NULL;
    app.values[0] = NULL;
    kit_ok(update(kit, &app));
    assert_int_equal(input_of(kit, "w1")->sealed_secrets.len, 0);
}

struct bad_update {
    const char *name;
    void (*spoil)(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request);
    struct app app; /* what differs from an update that would do */
    enum error_code code;
    const char *words; /* in the text */
};

static void other_account(_unused_ struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->account_id = (char *)"mallory";
}

static void other_workload(_unused_ struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->workload_id = (char *)"w9";
}

static void other_compose(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->compose = arena_bytes(kit->arena, "x", 1);
}

static void no_files(_unused_ struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->n_files = 0;
}

static void broken_manifest(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->manifest = arena_bytes(kit->arena, "{}", 2);
}

static void long_name(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->name = arena_printf(kit->arena, "%0129d", 1);
}

static void no_box(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->sealed_secrets = arena_bytes(kit->arena, "canary", 6);
}

static void box_of_another(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->sealed_secrets = kit_create_request(kit, "w2")->sealed_secrets;
}

static void old_version(struct kit *kit, Coffer__V1__UpdateWorkloadRequest *request)
{
    request->if_match = arena_alloc(kit->arena, sizeof(*request->if_match));
    coffer__v1__expectation__init(request->if_match);
    request->if_match->generation = 1;
    request->if_match->event_sequence = 1;
}

static struct app app_of(const struct bad_update *row)
{
    struct app app = row->app;

    app.compose = "services: {}\n";
    app.name = "n";
    app.image_version = app.image_version ?: KIT_IMAGE;
    app.domain = app.domain ?: "w1." KIT_DOMAIN;
    return app;
}

static void test_bad_updates(void **state)
{
    struct kit *kit = *state;
    static const struct bad_update rows[] = {
        {"account", other_account, {0}, ERROR_NOT_FOUND, "w1"},
        {"workload", other_workload, {0}, ERROR_NOT_FOUND, "w9"},
        {"compose", other_compose, {0}, ERROR_INVALID_ARGUMENT, "compose"},
        {"files", no_files, {0}, ERROR_INVALID_ARGUMENT, "0 files"},
        {"manifest", broken_manifest, {0}, ERROR_INVALID_ARGUMENT, ""},
        {"name", long_name, {0}, ERROR_INVALID_ARGUMENT, "name"},
        {"no box", no_box, {0}, ERROR_INVALID_ARGUMENT, "not sealed"},
        {"box", box_of_another, {0}, ERROR_INVALID_ARGUMENT, "not sealed"},
        {"if_match", old_version, {0}, ERROR_ABORTED, "changed meanwhile"},
        {"domain", NULL, {.domain = "no host"}, ERROR_INVALID_ARGUMENT, "no host"},
        {"taken", NULL, {.domain = "w2." KIT_DOMAIN}, ERROR_ALREADY_EXISTS, "another"},
        {"image", NULL, {.image_version = "9.9"}, ERROR_NOT_FOUND, "9.9"},
        {"env", NULL, {.env = {"SECRET", "NEW"}}, ERROR_INVALID_ARGUMENT, "'NEW'"},
        {"registry", NULL, {.registry = "ghcr.io"}, ERROR_INVALID_ARGUMENT, "'ghcr.io'"},
        {"file", NULL, {.secret_file = "x"}, ERROR_INVALID_ARGUMENT, "'key.pem'"},
    };
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    const Coffer__V1__Workload *before = kit_workload(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct app app = app_of(&rows[i]);
        Coffer__V1__UpdateWorkloadRequest *request = request_of(kit, &app);
        if (rows[i].spoil)
            rows[i].spoil(kit, request);
        struct error *err = update_with(kit, request);
        if (error_get_code(err) != rows[i].code || !strstr(error_text(err), rows[i].words) ||
            strstr(error_text(err), "canary"))
            fail_msg("%s: %s", rows[i].name, error_text(err));
        error_free(err);
    }
    assert_int_equal(kit_workload(kit, "w1")->event_sequence, before->event_sequence);
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
    assert_true(
        bytes_equal(input_of(kit, "w1")->manifest, kit_create_request(kit, "w1")->manifest));
}

/* The salt or the content of a secret file is not what the manifest commits to. */
static void test_secret_file_must_be_the_manifests(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    kit_tick(kit);
    kit_create(kit, "w1");
    app.secret_file = "canary-1";
    app.give_file = true;
    kit_ok(update(kit, &app));
    Coffer__V1__UpdateWorkloadRequest *request = request_of(kit, &app);
    app.secret_file = "canary-2";
    request->sealed_secrets = secrets_of(kit, &app);
    kit_code(update_with(kit, request), ERROR_INVALID_ARGUMENT);
    /* The stored one is not it either. */
    app.give_file = false;
    kit_code(update(kit, &app), ERROR_INVALID_ARGUMENT);
    app.give_file = true;
    kit_ok(update(kit, &app));
    assert_memory_equal(stored_secrets(kit)->files[0]->content.data, "canary-2", 8);
}

static void test_domain_moves_and_dns_follows(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct app app = same;
    kit_run_workload(kit, "w1", &guest);
    app.domain = "new." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    assert_string_equal(owner_of(kit, "new." KIT_DOMAIN), "w1");
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "-");
    dns_memory_fail(kit->dns, true);
    kit_tick(kit);
    dns_memory_fail(kit->dns, false);
    assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.1");
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_string_equal(dns_memory_find(kit->dns, "new." KIT_DOMAIN), "192.0.2.1");
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "");
    /* The old name is the account's; another workload that takes it keeps its record. */
    app.domain = "third." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    Coffer__V1__CreateWorkloadRequest *other = kit_create_request(kit, "w2");
    other->domain = (char *)"new." KIT_DOMAIN;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &other->base, NULL));
    kit_tick(kit);
    assert_string_equal(dns_memory_find(kit->dns, "new." KIT_DOMAIN), "192.0.2.1");
    /* There and back before a pass, then the end: no name is left. */
    app.domain = "fourth." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    app.domain = "third." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    kit_tick(kit);
    assert_string_equal(dns_memory_find(kit->dns, "third." KIT_DOMAIN), "192.0.2.1");
    app.domain = "fifth." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    kit_ok(kit_wish(kit, "delete", "w1"));
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&kit->clock, 5000);
        kit_tick(kit);
    }
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    assert_null(dns_memory_find(kit->dns, "third." KIT_DOMAIN));
    assert_null(dns_memory_find(kit->dns, "fifth." KIT_DOMAIN));
}

/* A name server that refuses one name and takes all others. */
struct picky_dns {
    struct dns base;
    struct dns *inner;
    const char *refused;
    unsigned removals; /* that were asked for */
};

static struct error *refusal_of(struct dns *dns, const char *name)
{
    if (strcmp(name, ((struct picky_dns *)dns)->refused) != 0)
        return NULL;
    return error_new(ERROR_PERMISSION_DENIED, "name server refused the update");
}

static struct error *picky_set(struct dns *dns, const char *name, const char *address)
{
    return refusal_of(dns, name) ?: dns_set(((struct picky_dns *)dns)->inner, name, address);
}

static struct error *picky_remove(struct dns *dns, const char *name)
{
    ((struct picky_dns *)dns)->removals++;
    return refusal_of(dns, name) ?: dns_remove(((struct picky_dns *)dns)->inner, name);
}

static const struct dns_ops picky_ops = {.set = picky_set, .remove = picky_remove};

static void test_a_name_that_is_refused_holds_up_no_other(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns = {{&picky_ops}, kit->dns, "ns." KIT_DOMAIN, 0};
    struct app app = same;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit->scheduler->dns = &dns.base;
    app.domain = "ns." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    kit_tick(kit);
    kit_create(kit, "w2");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w2." KIT_DOMAIN));
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    /* The same of one that is to go: w1's other names go and come. */
    app.domain = "good." KIT_DOMAIN;
    kit_ok(update(kit, &app));
    kit_tick(kit);
    kit_create(kit, "w3");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w3." KIT_DOMAIN));
    assert_non_null(dns_memory_find(kit->dns, "good." KIT_DOMAIN));
    assert_string_equal(owner_of(kit, "ns." KIT_DOMAIN), "-");
    dns.refused = "";
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_string_equal(owner_of(kit, "ns." KIT_DOMAIN), "");
    kit->scheduler->dns = kit->dns;
}

/* Each attempt at a server that is away takes seconds: one is enough for all that end meanwhile. */
static void test_deletes_wait_for_the_name_server_together(void **state)
{
    static const char *const ids[] = {"w1", "w2", "w3"};
    struct kit *kit = *state;
    struct picky_dns dns = {{&picky_ops}, kit->dns, "", 0};
    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        kit_create(kit, ids[i]);
    kit_tick(kit);
    kit_tick(kit);
    kit->scheduler->dns = &dns.base;
    dns_memory_fail(kit->dns, true);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        kit_ok(kit_wish(kit, "delete", ids[i]));
    kit_tick(kit);
    assert_int_equal(dns.removals, 1);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++)
        assert_int_equal(kit_status(kit, ids[i]), STATUS_DELETED);
    dns_memory_fail(kit->dns, false);
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
        const char *name = arena_printf(kit->arena, "%s.%s", ids[i], KIT_DOMAIN);
        assert_null(dns_memory_find(kit->dns, name));
        assert_string_equal(owner_of(kit, name), "");
    }
    kit->scheduler->dns = kit->dns;
}

static struct error *create_for(struct kit *kit, const char *id, const char *account,
                                const char *domain)
{
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, id);

    request->account_id = (char *)account;
    request->domain = (char *)domain;
    return kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
}

static Coffer__V1__PlanWorkloadRequest plan_request(struct kit *kit);
static Coffer__V1__PlanWorkloadReply *plan(struct kit *kit,
                                           const Coffer__V1__PlanWorkloadRequest *request);

/* "w1", deleted, with a name that the server does not let go. */
static void delete_refused(struct kit *kit, struct picky_dns *ret_dns)
{
    *ret_dns = (struct picky_dns){{&picky_ops}, kit->dns, "w1." KIT_DOMAIN, 0};
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit->scheduler->dns = &ret_dns->base;
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_tick(kit);
}

static Coffer__V1__LeavingName *leaving_of(struct kit *kit, const char *name)
{
    Coffer__V1__LeavingName *leaving;
    uint64_t version;

    kit_ok(record_load(kit->scheduler, KEY_LEAVING_NAME, name,
                       &coffer__v1__leaving_name__descriptor, kit->arena, &leaving, &version));
    return leaving;
}

static void test_a_name_that_stays_holds_up_no_deletion(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns;
    delete_refused(kit, &dns);
    assert_int_equal(kit_status(kit, "w1"), STATUS_DELETED);
    assert_int_equal(dns.removals, 1);
    /* Who looks sees why. */
    const Coffer__V1__LeavingName *leaving = leaving_of(kit, "w1." KIT_DOMAIN);
    assert_string_equal(leaving->account_id, "acme");
    assert_non_null(strstr(leaving->reason, "name server refused the update"));
    const Coffer__V1__WorkloadEvent *event = kit_last_event(kit, "w1", "warning");
    assert_string_equal(event->code, "name_not_removed");
    assert_non_null(strstr(event->message, "w1." KIT_DOMAIN));
    /* Nobody else gets it, also by a plan, also after a restart. */
    struct error *err = create_for(kit, "w2", "other", "w1." KIT_DOMAIN);
    assert_string_equal(error_reason(err), "domain_taken");
    kit_code(err, ERROR_ALREADY_EXISTS);
    kit_restart_scheduler(kit);
    kit->scheduler->dns = &dns.base;
    kit_tick(kit);
    kit_code(create_for(kit, "w2", "other", "w1." KIT_DOMAIN), ERROR_ALREADY_EXISTS);
    Coffer__V1__PlanWorkloadRequest request = plan_request(kit);
    request.domain = (char *)"w1." KIT_DOMAIN;
    request.account_id = (char *)"other";
    assert_string_equal(plan(kit, &request)->refusal_code, "domain_taken");
    /* Gone at last: it is anybody's. */
    dns.refused = "";
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_null(leaving_of(kit, "w1." KIT_DOMAIN));
    kit_ok(create_for(kit, "w2", "other", "w1." KIT_DOMAIN));
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

static void test_a_name_that_stays_is_asked_for_less_and_less(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns;
    unsigned events = 0;
    delete_refused(kit, &dns);
    for (int hour = 0; hour < 12; hour++)
        for (int i = 0; i < 60; i++) {
            clock_fake_advance(&kit->clock, 60000);
            kit_tick(kit);
        }
    assert_in_range(dns.removals, 12 + 4, 12 + 10);
    for (const char *at = kit_events(kit, "w1"); (at = strstr(at, "warning")); at++)
        events++;
    assert_int_equal(events, 1);
    kit->scheduler->dns = kit->dns;
}

/* Also where a pass is at it with what it read before. */
static void test_a_name_that_is_taken_again_keeps_its_record(void **state)
{
    struct kit *kit = *state;
    struct picky_dns dns;
    delete_refused(kit, &dns);
    kit_ok(create_for(kit, "w2", "acme", "w1." KIT_DOMAIN));
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "w2");
    assert_null(leaving_of(kit, "w1." KIT_DOMAIN));
    dns.refused = "";
    snprintf(kit->hosts[0].public_address, sizeof(kit->hosts[0].public_address), "192.0.2.77");
    snprintf(kit->hosts[1].public_address, sizeof(kit->hosts[1].public_address), "192.0.2.77");
    for (int i = 0; i < 3; i++) {
        clock_fake_advance(&kit->clock, 10000);
        kit_tick(kit);
        assert_string_equal(dns_memory_find(kit->dns, "w1." KIT_DOMAIN), "192.0.2.77");
    }
    assert_int_equal(dns.removals, 1);
    kit->scheduler->dns = kit->dns;
}

/* The answer of the name server takes its time, and meanwhile somebody takes the name. */
struct slow_dns {
    struct dns base;
    struct kit *kit;
    struct error *(*meanwhile)(struct kit *kit); /* once, as the server is asked; NULL: nothing */
};

static struct error *slow_set(struct dns *dns, const char *name, const char *address)
{
    struct slow_dns *slow = (struct slow_dns *)dns;
    struct error *(*meanwhile)(struct kit * kit) = slow->meanwhile;
    struct error *err = dns_set(slow->kit->dns, name, address);

    slow->meanwhile = NULL;
    return err || !meanwhile ? err : meanwhile(slow->kit);
}

static struct error *slow_remove(struct dns *dns, const char *name)
{
    struct slow_dns *slow = (struct slow_dns *)dns;
    struct error *(*meanwhile)(struct kit * kit) = slow->meanwhile;

    slow->meanwhile = NULL;
    struct error *err = meanwhile ? meanwhile(slow->kit) : NULL;
    return err ?: dns_remove(slow->kit->dns, name);
}

static const struct dns_ops slow_ops = {.set = slow_set, .remove = slow_remove};

static struct error *take_again(struct kit *kit)
{
    return create_for(kit, "w2", "acme", "w1." KIT_DOMAIN);
}

static void test_a_name_that_is_taken_again_while_it_goes(void **state)
{
    struct kit *kit = *state;
    struct slow_dns dns = {{&slow_ops}, kit, take_again};
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit->scheduler->dns = &dns.base;
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_tick(kit); /* the server is asked, and then w2 is there */
    assert_string_equal(owner_of(kit, "w1." KIT_DOMAIN), "w2");
    kit_tick(kit);
    assert_non_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

static struct error *give_up(struct kit *kit)
{
    struct app app = same;

    app.domain = "new." KIT_DOMAIN;
    return update(kit, &app);
}

static void test_a_name_that_is_given_up_while_it_comes(void **state)
{
    struct kit *kit = *state;
    struct slow_dns dns = {{&slow_ops}, kit, give_up};
    kit->scheduler->dns = &dns.base;
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit_tick(kit);
    assert_null(dns_memory_find(kit->dns, "w1." KIT_DOMAIN));
    assert_non_null(dns_memory_find(kit->dns, "new." KIT_DOMAIN));
    kit->scheduler->dns = kit->dns;
}

static void test_stopped_stays_stopped(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct app app = same;
    kit_run_workload(kit, "w1", &guest);
    kit_ok(kit_wish(kit, "stop", "w1"));
    app.compose = "services: {}\n";
    kit_ok(update(kit, &app));
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPING);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    app.compose = "services: {a: {}}\n";
    kit_ok(update(kit, &app));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    assert_int_equal(kit_workload(kit, "w1")->desired, COFFER__V1__DESIRED_STATE__DESIRED_STOPPED);
    kit_ok(kit_wish(kit, "start", "w1"));
    kit_tick(kit);
    kit_guest_init(kit, &guest, "w1");
    kit_release(kit, &guest);
    assert_non_null(strstr(kit_events(kit, "w1"), "stopping updated stopped updated scheduled"));
}

static void test_update_in_every_status(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    kit_tick(kit);
    kit->hosts[0].refuse = ERROR_INVALID_ARGUMENT;
    kit_create(kit, "w1");
    app.compose = "1\n"; /* scheduled */
    kit_ok(update(kit, &app));
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_ERROR);
    kit->hosts[0].refuse = ERROR_OK;
    app.compose = "2\n";
    kit_ok(update(kit, &app));
    assert_int_equal(kit_workload(kit, "w1")->restarts, 0);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    app.compose = "3\n";
    kit_ok(update(kit, &app));
    assert_int_equal(kit_status(kit, "w1"), STATUS_SCHEDULED);
    kit_tick(kit);
    /* Lost host: the new boot goes elsewhere. */
    clock_fake_advance(&kit->clock, 60000);
    kit_heartbeat(kit, 1);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    app.compose = "4\n";
    kit_ok(update(kit, &app));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 0);
    kit_ok(kit_wish(kit, "delete", "w1"));
    app.compose = "5\n";
    kit_code(update(kit, &app), ERROR_FAILED_PRECONDITION);
}

/* A host that is back before a pass has noticed: the place there is given up and taken again in one
 * change, and counts once. */
static void test_a_place_on_a_host_that_is_back_counts_once(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    kit_tick(kit);
    const uint64_t size = kit_create(kit, "w1")->resources->memory_mib;
    kit_tick(kit);
    for (int i = 0; i < 2; i++) {
        clock_fake_advance(&kit->clock, 60000);
        kit_heartbeat(kit, 1);
        kit_ok(reconcile_pass(kit->scheduler));
        assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
        kit_heartbeat(kit, 0);
        app.compose = "services: {}\n";
        kit_ok(i == 0 ? update(kit, &app) : kit_wish(kit, "restart", "w1"));
        assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
        assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, size);
        kit_tick(kit);
        assert_int_equal(kit_status(kit, "w1"), STATUS_STARTING);
    }
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_tick(kit);
    kit_tick(kit);
    assert_int_equal(kit_host_record(kit, "h1")->used->memory_mib, 0);
}

/* The only host that could take it has no room besides its own place there. */
static void test_a_place_that_is_given_up_can_be_taken_again(void **state)
{
    struct kit *kit = *state;
    kit->hosts[0].total.memory_mib = 4096;
    kit->hosts[1].total.memory_mib = 128;
    kit_tick(kit);
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    request->resources->memory_mib = 4096;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL));
    kit_tick(kit);
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(reconcile_pass(kit->scheduler));
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    kit_heartbeat(kit, 0);
    kit_ok(kit_wish(kit, "restart", "w1"));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h1");
}

static void enable(struct kit *kit, const char *version, bool enabled)
{
    Coffer__V1__ArtifactRequest request = COFFER__V1__ARTIFACT_REQUEST__INIT;

    request.version = (char *)version;
    kit_ok(kit_call(kit,
                    enabled ? "svc.scheduler.artifact.enable" : "svc.scheduler.artifact.disable",
                    &request.base, NULL));
}

static void test_new_image_may_need_another_host(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    struct app app = same;
    kit_add_image(kit, "2.0");
    kit_run_workload(kit, "w1", &guest);
    app.image_version = "2.0";
    kit_code(update(kit, &app), ERROR_NOT_FOUND); /* not enabled */
    enable(kit, "2.0", true);
    struct error *err = update(kit, &app);
    assert_string_equal(error_reason(err), "no_host");
    kit_code(err, ERROR_RESOURCE_EXHAUSTED);
    kit->hosts[1].extra_image = "2.0";
    kit_tick(kit);
    kit_ok(update(kit, &app));
    assert_string_equal(kit_workload(kit, "w1")->host_id, "h2");
    kit_tick(kit);
    assert_int_equal(kit->hosts[1].n_vms, 1);
    kit_tick(kit);
    assert_int_equal(kit->hosts[0].n_vms, 0);
    assert_string_equal(kit_workload(kit, "w1")->image_version, "2.0");
    enable(kit, "2.0", false);
    app.compose = "x\n";
    kit_code(update(kit, &app), ERROR_NOT_FOUND);
}

static void heartbeats(void *data)
{
    kit_heartbeat(data, 0);
    kit_heartbeat(data, 1);
}

static void raise_events(void *data)
{
    struct kit *kit = data;

    assert_int_equal(kit_vm_changed(kit, "h1", "w1", 1, COFFER__V1__VM_STATE__VM_FAILED), BUS_ACK);
}

static Coffer__V1__Expectation expected(struct kit *kit)
{
    Coffer__V1__Expectation expectation = COFFER__V1__EXPECTATION__INIT;
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");

    expectation.generation = workload->generation;
    expectation.event_sequence = workload->event_sequence;
    return expectation;
}

static void test_conflicts_are_tried_again_and_expectations_are_not(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    struct test_store store;
    test_store_init(&store, kit->store);
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    kit->scheduler->store = &store.base;
    app.compose = "1\n";
    store.aborts = 3;
    kit_ok(update(kit, &app));
    assert_int_equal(store.commits, 4);
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    store.aborts = 100;
    app.compose = "2\n";
    kit_code(update(kit, &app), ERROR_UNAVAILABLE);
    store.aborts = 0;
    /* A real conflict in between: the update is decided anew on what is then. */
    kit_tick(kit);
    store.before_commit = heartbeats;
    store.data = kit;
    kit_ok(update(kit, &app));
    /* The answer was lost: the same again is a no-op. */
    app.compose = "3\n";
    store.lose_answer = true;
    kit_code(update(kit, &app), ERROR_UNAVAILABLE);
    kit_ok(update(kit, &app));
    assert_int_equal(kit_workload(kit, "w1")->generation, 4);
    kit->scheduler->store = kit->store;
}

/* Somebody changes the record between the caller's look at it and the commit. */
static void test_expectation_is_judged_on_the_record_that_is_changed(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    struct test_store store;
    test_store_init(&store, kit->store);
    kit_tick(kit);
    kit_create(kit, "w1");
    kit_tick(kit);
    Coffer__V1__Expectation expectation = expected(kit);
    app.compose = "1\n";
    Coffer__V1__UpdateWorkloadRequest *request = request_of(kit, &app);
    request->if_match = &expectation;
    kit->scheduler->store = &store.base;
    store.before_commit = raise_events;
    store.data = kit;
    struct error *err = update_with(kit, request);
    assert_string_equal(error_reason(err), "if_match");
    kit_code(err, ERROR_ABORTED);
    assert_int_equal(kit_workload(kit, "w1")->generation, 1);
    expectation = expected(kit);
    kit_ok(update_with(kit, request));
    kit->scheduler->store = kit->store;
}

static struct error *wish_if(struct kit *kit, const char *verb, Coffer__V1__Expectation *if_match,
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

/* A repeat of one whose answer was lost names the same request: a second new VM would lose the
 * data of the first. Another request with the same content is another one. */
static void test_the_same_request_is_done_once(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    kit_tick(kit);
    kit_create(kit, "w1");
    app.values[0] = "new value";
    Coffer__V1__UpdateWorkloadRequest *request = request_of(kit, &app);
    Coffer__V1__Expectation before = expected(kit);
    request->request_id = (char *)"first";
    request->if_match = &before;
    kit_ok(update_with(kit, request));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    kit_ok(update_with(kit, request)); /* also with what is no longer so */
    request->if_match = NULL;
    kit_ok(update_with(kit, request));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    request->account_id = (char *)"another";
    kit_code(update_with(kit, request), ERROR_NOT_FOUND);
    request->account_id = (char *)"";
    request->request_id = (char *)"second";
    kit_ok(update_with(kit, request));
    request->request_id = (char *)""; /* without one it is never a repeat */
    kit_ok(update_with(kit, request));
    kit_ok(update_with(kit, request));
    assert_int_equal(kit_workload(kit, "w1")->generation, 5);
}

static void test_the_same_restart_is_done_once(void **state)
{
    Coffer__V1__RestartWorkloadRequest restart = COFFER__V1__RESTART_WORKLOAD_REQUEST__INIT;
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    Coffer__V1__Expectation before = expected(kit);
    restart.workload_id = (char *)"w1";
    restart.request_id = (char *)"first";
    restart.if_match = &before;
    for (int i = 0; i < 3; i++)
        kit_ok(kit_call(kit, "svc.scheduler.workload.restart", &restart.base, NULL));
    assert_int_equal(kit_workload(kit, "w1")->generation, 2);
    restart.request_id = (char *)"second";
    kit_code(kit_call(kit, "svc.scheduler.workload.restart", &restart.base, NULL), ERROR_ABORTED);
    restart.if_match = NULL;
    kit_ok(kit_call(kit, "svc.scheduler.workload.restart", &restart.base, NULL));
    assert_int_equal(kit_workload(kit, "w1")->generation, 3);
}

static void test_expectations_of_every_verb(void **state)
{
    static const char *const verbs[] = {"restart", "stop", "start", "delete"};
    struct kit *kit = *state;
    kit_tick(kit);
    kit_create(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
        Coffer__V1__Expectation expectation = expected(kit);
        expectation.event_sequence--;
        struct error *err = wish_if(kit, verbs[i], &expectation, NULL);
        assert_string_equal(error_reason(err), "if_match");
        kit_code(err, ERROR_ABORTED);
        expectation = expected(kit);
        kit_ok(wish_if(kit, verbs[i], &expectation, NULL));
        /* Also where there would be nothing to do. */
        if (strcmp(verbs[i], "restart") != 0)
            kit_code(wish_if(kit, verbs[i], &expectation, NULL), ERROR_ABORTED);
    }
}

static void add_tier(struct kit *kit, uint64_t cost)
{
    Coffer__V1__WorkloadTier tier = COFFER__V1__WORKLOAD_TIER__INIT;

    tier.name = (char *)"small";
    tier.resources = kit_create_request(kit, "w1")->resources;
    tier.usd_micros_per_minute = cost;
    kit_ok(kit_call(kit, "svc.scheduler.tier.create", &tier.base, NULL));
}

static struct error *create_within(struct kit *kit, const char *id,
                                   Coffer__V1__Allowance *allowance)
{
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, id);

    request->allowance = allowance;
    return kit_call(kit, "svc.scheduler.workload.create", &request->base, NULL);
}

static void refused(struct error *err, const char *reason)
{
    assert_string_equal(error_reason(err), reason);
    kit_code(err, ERROR_FAILED_PRECONDITION);
}

static void test_allowance_table(void **state)
{
    static const struct {
        const char *name;
        Coffer__V1__Allowance allowance; /* what is 0 does not limit */
        const char *reason;              /* of the second workload; "": it may be */
    } rows[] = {
        {"nothing", {.usd_micros_per_minute = 1}, ""},
        {"cost", {.usd_micros_per_minute = 199, .limits_cost = 1}, "no_balance"},
        {"cost, exactly", {.usd_micros_per_minute = 200, .limits_cost = 1}, ""},
        {"no money", {.limits_cost = 1}, "no_balance"},
        {"workloads", {.workloads = 1}, "over_quota"},
        {"workloads, exactly", {.workloads = 2}, ""},
        {"cpus", {.cpus = 3}, "over_quota"},
        {"cpus, exactly", {.cpus = 4}, ""},
        {"memory", {.memory_mib = 2047}, "over_quota"},
        {"memory, exactly", {.memory_mib = 2048}, ""},
        {"disk", {.disk_gib = 19}, "over_quota"},
        {"disk, exactly", {.disk_gib = 20}, ""},
        {"gpus", {.gpus = 1}, ""},
        {"quota before money", {.workloads = 1, .limits_cost = 1}, "over_quota"},
    };
    struct kit *kit = *state;
    kit_tick(kit);
    add_tier(kit, 100);
    kit_create(kit, "w1");
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
        const ProtobufCMessage base = allowance.base;
        const char *id = arena_printf(kit->arena, "x%zu", i);
        allowance = rows[i].allowance;
        allowance.base = base;
        struct error *err = create_within(kit, id, &allowance);
        if (strcmp(error_reason(err), rows[i].reason) != 0 || (err && !rows[i].reason[0]))
            fail_msg("%s: %s", rows[i].name, error_text(err));
        error_free(err);
        if (rows[i].reason[0])
            continue;
        kit_ok(kit_wish(kit, "delete", id));
        kit_tick(kit);
        assert_int_equal(kit_status(kit, id), STATUS_DELETED);
    }
}

static void test_allowance_of_what_runs_again(void **state)
{
    struct kit *kit = *state;
    struct app app = same;
    Coffer__V1__Allowance one = COFFER__V1__ALLOWANCE__INIT;
    one.workloads = 1;
    kit_tick(kit);
    kit_create(kit, "w1");
    /* It is not counted twice. */
    kit_ok(wish_if(kit, "restart", NULL, &one));
    kit_ok(create_within(kit, "w1", &one));
    app.compose = "1\n";
    Coffer__V1__UpdateWorkloadRequest *request = request_of(kit, &app);
    request->allowance = &one;
    kit_ok(update_with(kit, request));
    kit_ok(wish_if(kit, "stop", NULL, NULL));
    clock_fake_advance(&kit->clock, 5000);
    kit_tick(kit);
    assert_int_equal(kit_status(kit, "w1"), STATUS_STOPPED);
    kit_ok(create_within(kit, "w2", &one));
    /* Now the other one is all it may have. */
    refused(wish_if(kit, "start", NULL, &one), "over_quota");
    refused(wish_if(kit, "restart", NULL, &one), "over_quota");
    /* What stays stopped, and what ends, is free. */
    app.compose = "2\n";
    request = request_of(kit, &app);
    request->allowance = &one;
    kit_ok(update_with(kit, request));
    kit_ok(wish_if(kit, "stop", NULL, &one));
    kit_ok(wish_if(kit, "delete", NULL, &one));
}

static Coffer__V1__PlanWorkloadRequest plan_request(struct kit *kit)
{
    Coffer__V1__PlanWorkloadRequest request = COFFER__V1__PLAN_WORKLOAD_REQUEST__INIT;

    request.account_id = (char *)"acme";
    request.resources = kit_create_request(kit, "w1")->resources;
    request.image_version = (char *)KIT_IMAGE;
    return request;
}

/* Every plan is made on a store that counts: nothing may be written. */
static Coffer__V1__PlanWorkloadReply *plan(struct kit *kit,
                                           const Coffer__V1__PlanWorkloadRequest *request)
{
    struct test_store store;
    Coffer__V1__PlanWorkloadReply *reply;

    test_store_init(&store, kit->store);
    kit->scheduler->store = &store.base;
    struct error *err = kit_call(kit, "svc.scheduler.workload.plan", &request->base, &reply);
    kit->scheduler->store = kit->store;
    kit_ok(err);
    assert_int_equal(store.commits, 0);
    assert_int_equal(reply->admitted, reply->refusal_code[0] == '\0');
    assert_int_equal(reply->refusal[0] == '\0', reply->refusal_code[0] == '\0');
    return reply;
}

static void test_plan_of_a_create(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = plan_request(kit);
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_string_equal(reply->refusal_code, "no_host");
    kit_tick(kit);
    add_tier(kit, 100);
    kit_create(kit, "w1");
    reply = plan(kit, &request);
    assert_true(reply->admitted);
    assert_string_equal(reply->host_id, "h1");
    assert_int_equal(reply->candidates, 2);
    assert_int_equal(reply->n_notes, 0);
    assert_string_equal(reply->tier, "small");
    assert_int_equal(reply->usd_micros_per_minute, 100);
    assert_int_equal(reply->account_usd_micros_per_minute, 200);
    /* The create then does as it was said. */
    assert_string_equal(kit_create(kit, "w2")->host_id, reply->host_id);
}

static void test_plan_counts_what_is_in_the_way(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = plan_request(kit);
    kit_tick(kit);
    request.resources->memory_mib = 4097;
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_string_equal(reply->refusal_code, "no_host");
    assert_int_equal(reply->candidates, 0);
    assert_int_equal(reply->n_notes, 1);
    assert_int_equal(reply->notes[0]->hosts, 2);
    assert_string_equal(reply->notes[0]->reason,
                        "memory exhausted (needs 4097 MiB, most free 4096 MiB)");
    assert_non_null(strstr(reply->refusal, reply->notes[0]->reason));
    /* One of them fits; why the other does not is said as well. */
    request.resources->memory_mib = 2048;
    kit->hosts[0].total.memory_mib = 1024;
    kit_tick(kit);
    reply = plan(kit, &request);
    assert_true(reply->admitted);
    assert_string_equal(reply->host_id, "h2");
    assert_int_equal(reply->candidates, 1);
    assert_int_equal(reply->notes[0]->hosts, 1);
    request.resources->gpus = 1;
    reply = plan(kit, &request);
    assert_int_equal(reply->n_notes, 2);
    assert_non_null(strstr(reply->notes[1]->reason, "gpus exhausted"));
}

static void test_plan_refusals(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    Coffer__V1__PlanWorkloadRequest request;
    kit_tick(kit);
    add_tier(kit, 100);
    kit_create(kit, "w1");
    request = plan_request(kit);
    request.image_version = (char *)"9.9";
    assert_string_equal(plan(kit, &request)->refusal_code, "no_image");
    request = plan_request(kit);
    request.resources->cpus = 1;
    assert_string_equal(plan(kit, &request)->refusal_code, "no_tier");
    request = plan_request(kit);
    request.domain = (char *)"w1." KIT_DOMAIN;
    assert_string_equal(plan(kit, &request)->refusal_code, "domain_taken");
    request = plan_request(kit);
    request.allowance = &allowance;
    allowance.limits_cost = true;
    allowance.usd_micros_per_minute = 199;
    assert_string_equal(plan(kit, &request)->refusal_code, "no_balance");
    allowance.workloads = 1;
    assert_string_equal(plan(kit, &request)->refusal_code, "over_quota");
    allowance.workloads = 2;
    allowance.usd_micros_per_minute = 200;
    assert_true(plan(kit, &request)->admitted);
    /* What is no request at all is an error. */
    request.resources = NULL;
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
    request = plan_request(kit);
    request.domain = (char *)"no host";
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
    request = plan_request(kit);
    request.image_version = (char *)"../x";
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_INVALID_ARGUMENT);
}

static struct error *no_domains(struct store *store, const char *key, struct arena *arena,
                                struct store_record *ret_record)
{
    if (strncmp(key, KEY_DOMAIN, strlen(KEY_DOMAIN)) == 0)
        return error_new(ERROR_UNAVAILABLE, "the store is away");
    return ((struct test_store *)store)
        ->inner->ops->get(((struct test_store *)store)->inner, key, arena, ret_record);
}

/* What nobody could find out is no reason to refuse a create. */
static void test_no_plan_while_the_store_is_away(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = plan_request(kit);
    struct test_store store;
    kit_tick(kit);
    test_store_init(&store, kit->store);
    struct store_ops ops = *store.base.ops;
    ops.get = no_domains;
    store.base.ops = &ops;
    kit->scheduler->store = &store.base;
    request.domain = (char *)"w1." KIT_DOMAIN;
    struct error *err = kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL);
    kit->scheduler->store = kit->store;
    assert_string_equal(error_reason(err), STORE_AWAY);
    kit_code(err, ERROR_UNAVAILABLE);
}

static void test_plan_of_an_update(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__Allowance allowance = COFFER__V1__ALLOWANCE__INIT;
    Coffer__V1__PlanWorkloadRequest request = plan_request(kit);
    kit_tick(kit);
    add_tier(kit, 100);
    kit_create(kit, "w1");
    kit_create(kit, "w2");
    request.workload_id = (char *)"w1";
    request.resources = NULL;
    request.domain = (char *)"w1." KIT_DOMAIN;
    request.allowance = &allowance;
    allowance.workloads = 2;
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_true(reply->admitted);
    assert_string_equal(reply->host_id, "h1");
    assert_string_equal(reply->tier, "small");
    assert_int_equal(reply->usd_micros_per_minute, 100);
    assert_int_equal(reply->account_usd_micros_per_minute, 200);
    request.domain = (char *)"w2." KIT_DOMAIN;
    assert_string_equal(plan(kit, &request)->refusal_code, "domain_taken");
    request.account_id = (char *)"mallory";
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL), ERROR_NOT_FOUND);
    request.account_id = (char *)"acme";
    kit_ok(kit_wish(kit, "delete", "w1"));
    kit_code(kit_call(kit, "svc.scheduler.workload.plan", &request.base, NULL),
             ERROR_FAILED_PRECONDITION);
}

/* As the update itself: what it gives up is free for it. */
static void test_plan_counts_its_own_place_as_free(void **state)
{
    struct kit *kit = *state;
    Coffer__V1__PlanWorkloadRequest request = plan_request(kit);
    struct app app = same;
    kit->hosts[1].total.memory_mib = 128;
    kit_tick(kit);
    Coffer__V1__CreateWorkloadRequest *create = kit_create_request(kit, "w1");
    create->resources->memory_mib = 4096;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &create->base, NULL));
    kit_tick(kit);
    clock_fake_advance(&kit->clock, 60000);
    kit_ok(reconcile_pass(kit->scheduler));
    kit_heartbeat(kit, 0);
    assert_int_equal(kit_status(kit, "w1"), STATUS_WAITING);
    request.workload_id = (char *)"w1";
    request.resources = NULL;
    request.domain = (char *)"w1." KIT_DOMAIN;
    const Coffer__V1__PlanWorkloadReply *reply = plan(kit, &request);
    assert_string_equal(reply->refusal_code, "");
    assert_string_equal(reply->host_id, "h1");
    app.compose = "services: {}\n";
    kit_ok(update(kit, &app));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_update_starts_a_new_boot_with_the_new_configuration),
        KIT_TEST(test_no_bundle_for_what_was_verified_before_an_update),
        KIT_TEST(test_nothing_changed_is_nothing_done),
        KIT_TEST(test_the_same_request_is_done_once),
        KIT_TEST(test_the_same_restart_is_done_once),
        KIT_TEST(test_secrets_are_kept_replaced_and_forgotten),
        KIT_TEST(test_bad_updates),
        KIT_TEST(test_secret_file_must_be_the_manifests),
        KIT_TEST(test_domain_moves_and_dns_follows),
        KIT_TEST(test_a_name_that_stays_holds_up_no_deletion),
        KIT_TEST(test_a_name_that_stays_is_asked_for_less_and_less),
        KIT_TEST(test_a_name_that_is_taken_again_keeps_its_record),
        KIT_TEST(test_a_name_that_is_taken_again_while_it_goes),
        KIT_TEST(test_a_name_that_is_given_up_while_it_comes),
        KIT_TEST(test_stopped_stays_stopped),
        KIT_TEST(test_a_name_that_is_refused_holds_up_no_other),
        KIT_TEST(test_deletes_wait_for_the_name_server_together),
        KIT_TEST(test_update_in_every_status),
        KIT_TEST(test_a_place_on_a_host_that_is_back_counts_once),
        KIT_TEST(test_a_place_that_is_given_up_can_be_taken_again),
        KIT_TEST(test_new_image_may_need_another_host),
        KIT_TEST(test_conflicts_are_tried_again_and_expectations_are_not),
        KIT_TEST(test_expectation_is_judged_on_the_record_that_is_changed),
        KIT_TEST(test_expectations_of_every_verb),
        KIT_TEST(test_allowance_table),
        KIT_TEST(test_allowance_of_what_runs_again),
        KIT_TEST(test_plan_of_a_create),
        KIT_TEST(test_plan_counts_what_is_in_the_way),
        KIT_TEST(test_plan_refusals),
        KIT_TEST(test_no_plan_while_the_store_is_away),
        KIT_TEST(test_plan_of_an_update),
        KIT_TEST(test_plan_counts_its_own_place_as_free),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
