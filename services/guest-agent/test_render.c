/* What we write for other programs: hostile names stay values, and cannot become keys. */
#include <jansson.h>

#include "services/guest-agent/app.h"
#include "services/guest-agent/caddy_config.h"
#include "services/guest-agent/compose_overlay.h"
#include "services/guest-agent/names.h"
#include "services/guest-agent/test_support.h"

static const struct caddy_config good_caddy = {
    .domain = "w1.coffer.test",
    .public_service = "web",
    .public_port = 8080,
    .acme_directory = "https://pebble.coffer.test:14000/dir",
    .acme_eab_key_id = "kid",
    .acme_eab_mac_key = "mac",
    .has_acme_ca = true,
};

static json_t *parse(const struct buffer *text)
{
    json_error_t where;
    json_t *json = json_loadb(buffer_text(text), text->size, JSON_REJECT_DUPLICATES, &where);

    if (!json)
        fail_msg("line %d: %s in\n%s", where.line, where.text, buffer_text(text));
    return json;
}

/* "a.b.0.c": keys and indices. NULL: not there. */
static const json_t *at(const json_t *json, const char *path)
{
    char part[64];

    while (json && *path) {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(part))
                                   : json_object_get(json, part);
        path += n + (path[n] == '.');
    }
    return json;
}

static const char *text_at(const json_t *json, const char *path)
{
    const char *text = json_string_value(at(json, path));

    return text ? text : "(none)";
}

static void test_caddy_gets_its_routes_and_issuer(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct caddy_config config = good_caddy;
    const char *const more[] = {"www.example.org"};

    (void)state;
    config.more_domains = more;
    config.n_more_domains = 1;
    support_check(caddy_config_write(&config, &text));
    json_t *json = parse(&text);
    assert_true(json_is_true(at(json, "admin.disabled")));
#define SUBROUTE "apps.http.servers.https.routes.0.handle.0.routes."
    assert_string_equal(text_at(json, SUBROUTE "1.match.0.path.0"), "/nilcc/*");
    assert_string_equal(text_at(json, SUBROUTE "1.handle.1.strip_path_prefix"), "/nilcc");
    assert_string_equal(text_at(json, SUBROUTE "1.handle.2.upstreams.0.dial"),
                        "coffer-attester:8080");
    assert_string_equal(text_at(json, SUBROUTE "2.handle.0.upstreams.0.dial"), "web:8080");
    assert_string_equal(text_at(json, "apps.http.servers.https.routes.0.match.0.host.1"),
                        "www.example.org");
#define ISSUER "apps.tls.automation.policies.0.issuers.0."
    assert_int_equal(json_array_size(at(json, "apps.tls.automation.policies.0.issuers")), 1);
    assert_string_equal(text_at(json, ISSUER "module"), "acme");
    assert_string_equal(text_at(json, ISSUER "external_account.mac_key"), "mac");
    assert_string_equal(text_at(json, ISSUER "trusted_roots_pem_files.0"),
                        "/etc/coffer/acme-ca.pem");
    assert_true(json_is_true(at(json, ISSUER "challenges.tls-alpn.disabled")));
    assert_string_equal(
        text_at(json, "apps.http.servers.https.tls_connection_policies.0.protocol_min"), "tls1.2");
    json_decref(json);
}

/* What nobody needs for evidence does not reach the attester. */
static void test_caddy_lets_only_small_reads_to_the_attester(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS"};

    (void)state;
    support_check(caddy_config_write(&good_caddy, &text));
    json_t *json = parse(&text);
    assert_int_equal(json_array_size(at(json, "apps.http.servers.https.routes.0.handle.0.routes")),
                     3);
    assert_string_equal(text_at(json, SUBROUTE "0.match.0.path.0"), "/nilcc/*");
    const json_t *read = at(json, SUBROUTE "0.match.0.not.0.method");
    assert_int_equal(json_array_size(read), ELEMENTSOF(methods));
    for (size_t i = 0; i < ELEMENTSOF(methods); i++)
        assert_string_equal(json_string_value(json_array_get(read, i)), methods[i]);
    assert_true(json_is_true(at(json, SUBROUTE "0.terminal")));
    assert_int_equal(json_array_size(at(json, SUBROUTE "0.handle")), 1);
    assert_string_equal(text_at(json, SUBROUTE "0.handle.0.handler"), "static_response");
    assert_int_equal(json_integer_value(at(json, SUBROUTE "0.handle.0.status_code")), 405);
    assert_true(json_is_true(at(json, SUBROUTE "0.handle.0.close")));
    assert_string_equal(text_at(json, SUBROUTE "1.handle.0.handler"), "request_body");
    assert_int_equal(json_integer_value(at(json, SUBROUTE "1.handle.0.max_size")), 1);
    assert_string_equal(text_at(json, SUBROUTE "1.handle.2.transport.response_header_timeout"),
                        "30s");
    json_decref(json);
}

/* Uploads, streams and WebSockets of the user's service take as long as they take. */
static void test_caddy_bounds_headers_and_not_the_users_bodies(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};
    static const char *const absent[] = {
        "apps.http.servers.https.read_timeout",
        "apps.http.servers.https.write_timeout",
        SUBROUTE "2.match",
        SUBROUTE "2.handle.0.transport",
    };

    (void)state;
    support_check(caddy_config_write(&good_caddy, &text));
    json_t *json = parse(&text);
    assert_string_equal(text_at(json, "apps.http.servers.https.read_header_timeout"), "10s");
    assert_string_equal(text_at(json, "apps.http.servers.https.idle_timeout"), "2m");
    for (size_t i = 0; i < ELEMENTSOF(absent); i++)
        assert_null(at(json, absent[i]));
    assert_int_equal(json_array_size(at(json, SUBROUTE "2.handle")), 1);
    json_decref(json);
}

static void test_caddy_without_binding_or_ca_has_neither(void **state)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct caddy_config config = good_caddy;

    (void)state;
    config.acme_eab_key_id = config.acme_eab_mac_key = "";
    config.has_acme_ca = false;
    support_check(caddy_config_write(&config, &text));
    json_t *json = parse(&text);
    assert_null(at(json, ISSUER "external_account"));
    assert_null(at(json, ISSUER "trusted_roots_pem_files"));
    json_decref(json);
}

static void test_caddy_refuses_what_cannot_stand_there(void **state)
{
    static const struct {
        size_t member;
        const char *value;
    } rows[] = {
        {offsetof(struct caddy_config, domain), ""},
        {offsetof(struct caddy_config, domain), "nodots"},
        {offsetof(struct caddy_config, domain), "a.test\n{\nadmin :2019"},
        {offsetof(struct caddy_config, domain), "*.coffer.test"},
        {offsetof(struct caddy_config, domain), "{env.HOME}.test"},
        {offsetof(struct caddy_config, domain), "a..test"},
        {offsetof(struct caddy_config, domain), "A.test"},
        {offsetof(struct caddy_config, public_service), ""},
        {offsetof(struct caddy_config, public_service), "{http.request.host}"},
        {offsetof(struct caddy_config, public_service), "web:80 evil"},
        {offsetof(struct caddy_config, public_service), "-web"},
        {offsetof(struct caddy_config, acme_directory), ""},
        {offsetof(struct caddy_config, acme_directory), "http://plain.test/dir"},
        {offsetof(struct caddy_config, acme_directory), "https://a.test/{env.X}"},
        {offsetof(struct caddy_config, acme_directory), "https://a.test/\" x"},
        {offsetof(struct caddy_config, acme_eab_key_id), "{file./etc/shadow}"},
        {offsetof(struct caddy_config, acme_eab_mac_key), "a\\b"},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_buffer_ struct buffer text = {0};
        struct caddy_config config = good_caddy;
        *(const char **)((char *)&config + rows[i].member) = rows[i].value;
        support_refused(caddy_config_write(&config, &text), ERROR_INVALID_ARGUMENT);
        assert_int_equal(text.size, 0);
    }
    static const uint32_t ports[] = {0, 65536};
    for (size_t i = 0; i < ELEMENTSOF(ports); i++) {
        _cleanup_buffer_ struct buffer text = {0};
        struct caddy_config config = good_caddy;
        config.public_port = ports[i];
        support_refused(caddy_config_write(&config, &text), ERROR_INVALID_ARGUMENT);
    }
}

static const char *const networks[] = {"back", "default"};
static const struct overlay good_overlay = {
    .image_version = "1.0",
    .domain = "w1.coffer.test",
    .caddy_config = "/run/coffer/app/caddy.json",
    .acme_ca = "/run/coffer/app/acme-ca.pem",
    .manifest = "/run/coffer/app/manifest.json",
    .tee = "software",
    .tee_device = "/dev/vport1p1",
    .vcpus = 2,
    .cpu_model = "",
    .networks = networks,
    .n_networks = 2,
};

static json_t *render(const struct overlay *overlay)
{
    _cleanup_buffer_ struct buffer text = {0};

    overlay_write(overlay, &text);
    return parse(&text);
}

static void test_only_the_attester_has_the_device(void **state)
{
    json_t *json = render(&good_overlay);

    (void)state;
    assert_string_equal(text_at(json, "services.coffer-attester.devices.0"),
                        "/dev/vport1p1:/dev/coffer-tee:rw");
    assert_null(at(json, "services.coffer-proxy.devices"));
    assert_int_equal(json_object_size(at(json, "services")), 2);
    assert_string_equal(text_at(json, "services.coffer-attester.environment.ATTESTER_TEE_PATH"),
                        "/dev/coffer-tee");
    json_decref(json);

    struct overlay tsm = good_overlay;
    tsm.tee = "configfs-tsm";
    tsm.tee_device = "/sys/kernel/config/tsm/report";
    json = render(&tsm);
    assert_null(at(json, "services.coffer-attester.devices"));
    assert_string_equal(text_at(json, "services.coffer-attester.volumes.3.source"),
                        "/sys/kernel/config/tsm/report");
    json_decref(json);
}

static void test_the_attester_gets_the_gpus(void **state)
{
    static const char *const nodes[] = {"/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"};
    static const char *const tees[] = {"software", "configfs-tsm"}; /* a device, or none */
    json_t *json = render(&good_overlay);

    (void)state;
    assert_null(at(json, "services.coffer-attester.environment.ATTESTER_GPUS"));
    json_decref(json);
    for (size_t i = 0; i < ELEMENTSOF(tees); i++) {
        struct overlay overlay = good_overlay;
        size_t first = i == 0;

        overlay.tee = tees[i];
        overlay.gpu_nodes = nodes;
        overlay.n_gpu_nodes = ELEMENTSOF(nodes);
        json = render(&overlay);
        const json_t *devices = at(json, "services.coffer-attester.devices");
        assert_int_equal(json_array_size(devices), first + ELEMENTSOF(nodes));
        assert_string_equal(json_string_value(json_array_get(devices, first)),
                            "/dev/nvidia-uvm:/dev/nvidia-uvm:rw");
        assert_string_equal(json_string_value(json_array_get(devices, first + 1)),
                            "/dev/nvidia0:/dev/nvidia0:rw");
        assert_string_equal(text_at(json, "services.coffer-attester.environment.ATTESTER_GPUS"),
                            "nvml");
        assert_null(at(json, "services.coffer-proxy.devices"));
        json_decref(json);
    }
}

static void test_the_attester_gets_the_hosts_collateral(void **state)
{
    struct overlay overlay = good_overlay;
    json_t *json = render(&overlay);

    (void)state;
    assert_null(at(json, "services.coffer-attester.environment.ATTESTER_COLLATERAL"));
    assert_int_equal(json_array_size(at(json, "services.coffer-attester.volumes")), 3);
    json_decref(json);
    overlay.collateral = "/run/coffer/app/collateral";
    overlay.collateral_at_ms = 1795412423000;
    json = render(&overlay);
    assert_string_equal(text_at(json, "services.coffer-attester.volumes.3.source"),
                        "/run/coffer/app/collateral");
    assert_true(json_is_true(at(json, "services.coffer-attester.volumes.3.read_only")));
    assert_string_equal(text_at(json, "services.coffer-attester.environment.ATTESTER_COLLATERAL"),
                        text_at(json, "services.coffer-attester.volumes.3.target"));
    assert_string_equal(
        text_at(json, "services.coffer-attester.environment.ATTESTER_COLLATERAL_AT_MS"),
        "1795412423000");
    json_decref(json);
}

static void test_ours_are_confined(void **state)
{
    static const char *const ours[] = {"coffer-proxy", "coffer-attester"};
    static const char *const programs[] = {"/usr/bin/caddy", "/usr/bin/coffer-attester"};
    json_t *json = render(&good_overlay);

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(ours); i++) {
        const json_t *service = json_object_get(json_object_get(json, "services"), ours[i]);
        assert_true(json_is_true(at(service, "read_only")));
        assert_string_equal(text_at(service, "cap_drop.0"), "ALL");
        assert_string_equal(text_at(service, "security_opt.0"), "no-new-privileges:true");
        assert_string_equal(text_at(service, "pull_policy"), "never");
        assert_non_null(at(service, "mem_limit"));
        assert_null(at(service, "privileged"));
        assert_string_equal(text_at(service, "image"), "coffer/platform:1.0");
        assert_string_equal(text_at(service, "entrypoint.0"), programs[i]);
        assert_string_equal(text_at(service, "volumes.0.source"), "/usr");
        assert_true(json_is_true(at(service, "volumes.0.read_only")));
        assert_string_equal(text_at(service, "volumes.1.target"), "/etc/ssl/certs");
        assert_true(json_is_true(at(service, "volumes.1.read_only")));
    }
    /* The attester is on no network of the user's; the proxy on those of the public service. */
    assert_int_equal(json_object_size(at(json, "services.coffer-attester.networks")), 1);
    assert_non_null(at(json, "services.coffer-attester.networks.coffer-internal"));
    assert_int_equal(json_object_size(at(json, "services.coffer-proxy.networks")), 3);
    assert_non_null(at(json, "services.coffer-proxy.networks.back"));
    assert_true(json_is_true(at(json, "networks.coffer-internal.internal")));
    json_decref(json);
}

static void test_hostile_values_stay_values(void **state)
{
    struct overlay hostile = good_overlay;
    const char *const evil[] = {"x\": {\"external\": true}, \"y"};

    (void)state;
    hostile.domain = "a\n    privileged: true\n\"";
    hostile.cpu_model = "${TOKEN} $HOME";
    hostile.networks = evil;
    hostile.n_networks = 1;
    json_t *json = render(&hostile);
    assert_string_equal(text_at(json, "services.coffer-attester.environment.ATTESTER_DOMAIN"),
                        hostile.domain);
    /* Compose would interpolate a lone dollar sign. */
    assert_string_equal(text_at(json, "services.coffer-attester.environment.ATTESTER_CPU_MODEL"),
                        "$${TOKEN} $$HOME");
    assert_non_null(json_object_get(at(json, "services.coffer-proxy.networks"), evil[0]));
    assert_int_equal(json_object_size(json), 3);
    json_decref(json);
}

static void test_names_from_outside(void **state)
{
    static const struct {
        const char *text;
        bool server, variable, service;
    } rows[] = {
        {"", true, false, false}, /* Docker Hub */
        {"docker.io", true, false, true},
        {"https://index.docker.io/v1/", true, false, false},
        {"registry.coffer.test:5000", true, false, false},
        {"ghcr.io/owner", true, false, false},
        {"--config", false, false, false},
        {"-x", false, false, false},
        {"a b", false, false, false},
        {"a:port", false, false, false},
        {"a:123456", false, false, false},
        {"../../etc", false, false, false},
        {"TOKEN", true, true, true},
        {"_x9", false, true, false},
        {"9x", true, false, true},
        {"LD_PRELOAD", false, false, true},
        {"COMPOSE_FILE", false, false, true},
        {"DOCKER_HOST", false, false, true},
        {"DOCKER_USER", false, false, true},
        {"PATH", true, false, true},
        {"PATHS", true, true, true},
        {"A=B", false, false, false},
        {"web\n", false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        if (registry_server_is_valid(rows[i].text) != rows[i].server ||
            variable_name_is_valid(rows[i].text) != rows[i].variable ||
            service_name_is_valid(rows[i].text) != rows[i].service)
            fail_msg("'%s': server %d, variable %d, service %d", rows[i].text,
                     registry_server_is_valid(rows[i].text), variable_name_is_valid(rows[i].text),
                     service_name_is_valid(rows[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_caddy_gets_its_routes_and_issuer),
        cmocka_unit_test(test_caddy_lets_only_small_reads_to_the_attester),
        cmocka_unit_test(test_caddy_bounds_headers_and_not_the_users_bodies),
        cmocka_unit_test(test_caddy_without_binding_or_ca_has_neither),
        cmocka_unit_test(test_caddy_refuses_what_cannot_stand_there),
        cmocka_unit_test(test_only_the_attester_has_the_device),
        cmocka_unit_test(test_the_attester_gets_the_gpus),
        cmocka_unit_test(test_the_attester_gets_the_hosts_collateral),
        cmocka_unit_test(test_ours_are_confined),
        cmocka_unit_test(test_hostile_values_stay_values),
        cmocka_unit_test(test_names_from_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
