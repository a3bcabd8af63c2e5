#include "services/guest-agent/test_support.h"

#include "shared/attestation/certificates.h"
#include "shared/base/test_findings.h"

const char support_file[] = "listen = 8080\n";
const char support_secret_file[] = "a private key\n";
const uint8_t support_salt[32] = {1, 2, 3, 4, 5, 6, 7, 8};

void support_fail(const struct error *err)
{
    fail_msg("%s: %s", error_origin(err), error_text(err));
    abort(); /* not reached: cmocka does not declare that a failure never returns */
}

void support_refused(struct error *err, enum error_code code)
{
    if (error_get_code(err) != code)
        fail_msg("expected %s, got %s: %s", error_code_name(code),
                 error_code_name(error_get_code(err)), error_text(err));
    error_free(err);
}

void support_fleet_init(struct support_fleet *fleet)
{
    support_check(sign_key_generate(&fleet->authority));
    support_check(sign_key_generate(&fleet->gateway));
    support_check(sign_key_generate(&fleet->stranger));
}

static void commit(const char *content, uint8_t ret_digest[32])
{
    _cleanup_buffer_ struct buffer salted = {0};

    buffer_add(&salted, support_salt, sizeof(support_salt));
    buffer_add_text(&salted, content);
    sha256(salted.data, salted.size, ret_digest);
}

void support_workload_init(struct support_workload *workload, const struct support_fleet *fleet)
{
    *workload = (struct support_workload){
        .services = {{"web", "hello:1", "unpinned"}},
        .files = {{.name = "app.conf"}},
        .secret_files = {{.name = "keys/private"}},
        .env = {"TOKEN"},
        .registries = {"registry.coffer.test:5000"},
    };
    sha256(support_file, strlen(support_file), workload->files[0].sha256);
    commit(support_secret_file, workload->secret_files[0].sha256);
    workload->manifest = (struct manifest){
        .image_version = "1.0",
        .public_service = "web",
        .public_port = 8080,
        .acme_directory = "https://pebble.coffer.test:14000/dir",
        .acme_ca = "",
        .policy_egress = "any",
        .policy_logs = "platform",
        .policy_storage = "ephemeral",
        .env = workload->env,
        .n_env = 1,
        .registries = workload->registries,
        .n_registries = 1,
        .services = workload->services,
        .n_services = 1,
        .files = workload->files,
        .n_files = 1,
        .secret_files = workload->secret_files,
        .n_secret_files = 1,
    };
    memcpy(workload->manifest.authority_sign, fleet->authority.public, 32);
    sha256(SUPPORT_COMPOSE, strlen(SUPPORT_COMPOSE), workload->manifest.compose_sha256);
    support_workload_write(workload);
}

void support_workload_write(struct support_workload *workload)
{
    buffer_done(&workload->manifest_json);
    support_check(manifest_write(&workload->manifest, &workload->manifest_json));
    manifest_hash(workload->manifest_json.data, workload->manifest_json.size,
                  workload->manifest_sha256);
}

void support_workload_done(struct support_workload *workload)
{
    buffer_done(&workload->manifest_json);
}

static ProtobufCBinaryData bytes_of(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)data};
}

void support_collateral(struct buffer *ret_table)
{
    const struct certificate_table table = {
        .ask = {(const uint8_t *)SUPPORT_ASK, strlen(SUPPORT_ASK)}};

    certificate_table_write(&table, ret_table);
}

void support_disk(const struct support_workload *workload,
                  void (*change)(Coffer__V1__ConfigDisk *disk), struct buffer *ret_disk)
{
    Coffer__V1__ConfigDisk disk = COFFER__V1__CONFIG_DISK__INIT;
    Coffer__V1__ConfigHints hints = COFFER__V1__CONFIG_HINTS__INIT;
    Coffer__V1__File file = COFFER__V1__FILE__INIT;
    Coffer__V1__File *files[1] = {&file};
    _cleanup_buffer_ struct buffer collateral = {0};

    support_collateral(&collateral);
    disk.manifest = bytes_of(workload->manifest_json.data, workload->manifest_json.size);
    disk.compose = bytes_of(SUPPORT_COMPOSE, strlen(SUPPORT_COMPOSE));
    disk.files = files;
    disk.n_files = 1;
    disk.hints = &hints;
    file.path = "app.conf";
    file.content = bytes_of(support_file, strlen(support_file));
    hints.workload_id = SUPPORT_WORKLOAD;
    hints.host_id = SUPPORT_HOST;
    hints.leaf_url = "memory:";
    hints.leaf_credentials = "";
    hints.generation = 3;
    hints.collateral = bytes_of(collateral.data, collateral.size);
    hints.collateral_at_ms = SUPPORT_COLLATERAL_AT_MS;
    if (change)
        change(&disk);
    size_t size = coffer__v1__config_disk__get_packed_size(&disk);
    _cleanup_free_ uint8_t *packed = xcalloc(1, size + 1);
    coffer__v1__config_disk__pack(&disk, packed);
    buffer_add(ret_disk, "COFFERCD", 8);
    buffer_add_u32be(ret_disk, 1);
    buffer_add_u32be(ret_disk, (uint32_t)size);
    buffer_add(ret_disk, packed, size);
}

static struct error *tee_report(struct tee *base, const uint8_t report_data[TEE_REPORT_DATA_SIZE],
                                struct tee_evidence *ret_evidence)
{
    struct support_tee *tee = (struct support_tee *)base;

    if (tee->fails)
        return error_new(tee->fails, "the processor does not answer");
    memcpy(tee->last_report_data, report_data, 64);
    ret_evidence->tee = "sev-snp";
    ret_evidence->provider = "software";
    memcpy(ret_evidence->report + 0x50, report_data, 64);
    if (tee->stale)
        ret_evidence->report[0x50] ^= 1;
    memcpy(ret_evidence->report + 0xc0, tee->host_data, 32);
    return NULL;
}

static void tee_done(struct tee *tee)
{
    (void)tee;
}

void support_tee_init(struct support_tee *tee, const uint8_t host_data[32])
{
    static const struct tee_ops ops = {"software", tee_report, tee_done};

    *tee = (struct support_tee){.base = {&ops}};
    memcpy(tee->host_data, host_data, 32);
}

static void seal_bundle(const struct release_expectation *expectation,
                        const Coffer__V1__Bundle *bundle, struct buffer *ret_sealed)
{
    size_t size = coffer__v1__bundle__get_packed_size(bundle);
    _cleanup_free_ uint8_t *packed = xcalloc(1, size + 1);
    _cleanup_free_ char *context = xasprintf("coffer/bundle/v1 %s", expectation->workload_id);

    coffer__v1__bundle__pack(bundle, packed);
    expect_no_error(seal_to(expectation->identity->box.public, context, packed, size, ret_sealed));
}

void support_bundle(const struct release_expectation *expectation, const struct sign_key *authority,
                    void (*change)(Coffer__V1__Bundle *bundle), struct buffer *ret_sealed,
                    uint8_t ret_signature[64])
{
    static uint8_t gateway[32] = {7};
    Coffer__V1__Bundle bundle = COFFER__V1__BUNDLE__INIT;
    Coffer__V1__Secrets secrets = COFFER__V1__SECRETS__INIT;
    Coffer__V1__EnvironmentVariable variable = COFFER__V1__ENVIRONMENT_VARIABLE__INIT;
    Coffer__V1__EnvironmentVariable *variables[1] = {&variable};
    Coffer__V1__Registry registry = COFFER__V1__REGISTRY__INIT;
    Coffer__V1__Registry *registries[1] = {&registry};
    Coffer__V1__SecretFile file = COFFER__V1__SECRET_FILE__INIT;
    Coffer__V1__SecretFile *files[1] = {&file};
    _cleanup_buffer_ struct buffer bytes = {0};

    variable.name = "TOKEN";
    variable.value = "canary-value";
    registry.server = "registry.coffer.test:5000";
    registry.username = "coffer";
    registry.password = "hunter2hunter2";
    file.path = "keys/private";
    file.content = bytes_of(support_secret_file, strlen(support_secret_file));
    file.salt = bytes_of(support_salt, sizeof(support_salt));
    secrets.environment = variables;
    secrets.n_environment = 1;
    secrets.registries = registries;
    secrets.n_registries = 1;
    secrets.files = files;
    secrets.n_files = 1;
    bundle.secrets = &secrets;
    bundle.domain = SUPPORT_DOMAIN;
    bundle.acme_directory = "https://pebble.coffer.test:14000/dir";
    bundle.acme_eab_key_id = "kid";
    bundle.acme_eab_mac_key = "mac-key-of-the-platform";
    bundle.gateway_sign_public = bytes_of(gateway, sizeof(gateway));
    bundle.boot_number = expectation->boot_number;
    if (change)
        change(&bundle);
    seal_bundle(expectation, &bundle, ret_sealed);
    const struct release_answer answer = {
        .sealed = ret_sealed->data, .sealed_size = ret_sealed->size, .domain = SUPPORT_DOMAIN};
    release_signed_bytes(expectation, &answer, &bytes);
    expect_no_error(sign_bytes(authority, bytes.data, bytes.size, ret_signature));
}
