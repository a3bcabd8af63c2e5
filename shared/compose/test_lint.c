/* The rules on the text: what is fine gives no finding, each bad thing gives its own, by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shared/base/alloc.h"
#include "shared/compose/lint.h"

static const char *const files[] = {"config/app.yaml", "seed.sql"};
static const char *const env[] = {"DB_PASSWORD", "TOKEN"};
static const struct compose_options options = {
    .public_service = "web",
    .public_port = 8080,
    .files = files,
    .n_files = ELEMENTSOF(files),
    .env = env,
    .n_env = ELEMENTSOF(env),
};

struct outcome {
    struct arena *arena;
    struct findings *findings;
    struct compose_summary summary;
};

static struct outcome lint(const char *text)
{
    struct outcome outcome = {.arena = arena_new()};

    outcome.findings = arena_alloc(outcome.arena, sizeof(struct findings));
    compose_lint(text, strlen(text), &options, outcome.arena, outcome.findings, &outcome.summary);
    return outcome;
}

static void outcome_done(struct outcome *outcome)
{
    arena_free(outcome->arena);
}

static const char good[] =
    "name: demo\n"
    "version: '3.8'\n"
    "x-common: &common\n"
    "  restart: unless-stopped\n"
    "  environment: &environment\n"
    "    TOKEN: ${TOKEN}\n"
    "services:\n"
    "  web:\n"
    "    <<: *common\n"
    "    image: registry.coffer.test:5000/hello:1\n"
    "    command: [\"sh\", \"-c\", \"echo $$HOME\"]\n"
    "    ports: [\"8080\", \"8081:81\", \"9000-9010:9000-9010/udp\"]\n"
    "    volumes:\n"
    "      - data:/data\n"
    "      - /scratch\n"
    "      - ${FILES}/config/app.yaml:/etc/app.yaml:ro\n"
    "      - $FILES/config/:/etc/config:ro\n"
    "      - type: volume\n"
    "        source: data\n"
    "        target: /more\n"
    "        read_only: true\n"
    "      - {type: bind, source: \"${FILES}\", target: /files, read_only: true}\n"
    "    env_file: [\"${FILES}/seed.sql\"]\n"
    "    depends_on: {db: {condition: service_healthy}}\n"
    "    networks: [back, default]\n"
    "    healthcheck: {test: [CMD, \"true\"], interval: 5s}\n"
    "    security_opt: [\"no-new-privileges:true\"]\n"
    "    privileged: false\n"
    "    deploy:\n"
    "      replicas: 1\n"
    "      resources: {reservations: {devices: [{driver: nvidia, count: 1, "
    "capabilities: [gpu]}]}}\n"
    "    x-mine: anything ${HERE}\n"
    "  db:\n"
    "    image: db@sha256:"
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "    container_name: the-db\n"
    "    environment:\n"
    "      - PASSWORD=${DB_PASSWORD}\n"
    "      - OTHER=${MISSING:-${TOKEN}}$$5\n"
    "      - TOKEN\n"
    "    cap_drop: [ALL]\n"
    "volumes:\n"
    "  data:\n"
    "  more: {driver: local}\n"
    "networks:\n"
    "  back: {internal: true, driver: bridge}\n";

static void test_good_file_has_no_findings(void **state)
{
    _cleanup_(outcome_done) struct outcome outcome = lint(good);
    _cleanup_free_ char *text = findings_to_text(outcome.findings);

    (void)state;
    assert_string_equal(text, "");
    assert_int_equal(outcome.summary.n_services, 2);
    assert_string_equal(outcome.summary.services[0].name, "web");
    assert_string_equal(outcome.summary.services[0].image, "registry.coffer.test:5000/hello:1");
    assert_string_equal(outcome.summary.services[1].container_name, "the-db");
}

/* A line put into the service web (line 4 of the file), and the finding that it must give. */
static const struct {
    const char *line;
    const char *rule;
    const char *where;
} bad_lines[] = {
    {"privileged: true", "privileged", "services.web.privileged"},
    {"privileged: yes", "privileged", "services.web.privileged"},
    {"privileged: 'false'", "privileged", "services.web.privileged"},
    {"privileged: ${P}", "privileged", "services.web.privileged"},
    {"cap_add: [NET_ADMIN]", "cap_add", "services.web.cap_add"},
    {"security_opt: [\"seccomp:unconfined\"]", "security_opt", "services.web.security_opt[0]"},
    {"security_opt: apparmor", "type", "services.web.security_opt"},
    {"devices: [/dev/sev-guest]", "devices", "services.web.devices"},
    {"device_cgroup_rules: ['a *:* rwm']", "device_cgroup_rules",
     "services.web.device_cgroup_rules"},
    {"pid: host", "pid", "services.web.pid"},
    {"ipc: host", "ipc", "services.web.ipc"},
    {"uts: host", "uts", "services.web.uts"},
    {"userns_mode: host", "userns_mode", "services.web.userns_mode"},
    {"network_mode: host", "network_mode", "services.web.network_mode"},
    {"network_mode: service:coffer-proxy", "network_mode", "services.web.network_mode"},
    {"net: host", "net", "services.web.net"},
    {"cgroup: host", "cgroup", "services.web.cgroup"},
    {"cgroup_parent: /", "cgroup_parent", "services.web.cgroup_parent"},
    {"sysctls: {net.ipv4.ip_forward: 1}", "sysctls", "services.web.sysctls"},
    {"runtime: other", "runtime", "services.web.runtime"},
    {"volumes_from: [coffer-attester]", "volumes_from", "services.web.volumes_from"},
    {"use_api_socket: true", "use_api_socket", "services.web.use_api_socket"},
    {"external_links: [a]", "external_links", "services.web.external_links"},
    {"build: .", "build", "services.web.build"},
    {"pull_policy: build", "build", "services.web.pull_policy"},
    {"extends: {file: other.yaml, service: x}", "extends", "services.web.extends"},
    {"extends: web", "extends", "services.web.extends"},
    {"secrets: [a]", "secrets", "services.web.secrets"},
    {"configs: [a]", "configs", "services.web.configs"},
    {"blkio_config: {weight: 1}", "blkio_config", "services.web.blkio_config"},
    {"frobnicate: 1", "unknown-key", "services.web.frobnicate"},
    {"Privileged: true", "unknown-key", "services.web.Privileged"},
    {"ports: [\"80:8080\"]", "port-reserved", "services.web.ports[0]"},
    {"ports: [\"443:8080\"]", "port-reserved", "services.web.ports[0]"},
    {"ports: [\"443:8080/udp\"]", "port-reserved", "services.web.ports[0]"},
    {"ports: [\"00080:8080\"]", "port-reserved", "services.web.ports[0]"},
    {"ports: [\"70-90:70-90\"]", "port-reserved", "services.web.ports[0]"},
    {"ports: [{target: 8080, published: 80}]", "port-reserved", "services.web.ports[0]"},
    {"ports: [{target: 8080, published: \"400-500\"}]", "port-reserved", "services.web.ports[0]"},
    {"ports: [\"127.0.0.1:8080:8080\"]", "port-host-ip", "services.web.ports[0]"},
    {"ports: [\"[::1]:8080:8080\"]", "port-host-ip", "services.web.ports[0]"},
    {"ports: [\"::8080\"]", "port-host-ip", "services.web.ports[0]"},
    {"ports: [{target: 80, host_ip: 10.0.0.1}]", "port-host-ip", "services.web.ports[0]"},
    {"ports: [{target: 8080, published: 0120}]", "port-syntax", "services.web.ports[0]"},
    {"ports: [{target: 8080, published: 0673}]", "port-syntax", "services.web.ports[0]"},
    {"ports: [\"x\"]", "port-syntax", "services.web.ports[0]"},
    {"ports: [\"70000:80\"]", "port-syntax", "services.web.ports[0]"},
    {"ports: [\"8080:8080/sctp\"]", "port-syntax", "services.web.ports[0]"},
    {"ports: [\"90-80:80\"]", "port-syntax", "services.web.ports[0]"},
    {"ports: [{published: 8080}]", "port-syntax", "services.web.ports[0]"},
    {"ports: [{target: 1, foo: 2}]", "unknown-key", "services.web.ports[0].foo"},
    {"ports: [[80]]", "type", "services.web.ports[0]"},
    {"ports: 80", "type", "services.web.ports"},
    {"ports: [\"${PORT}:80\"]", "interpolation", "services.web.ports[0]"},
    {"ports: [\"10000-20000:10000-20000/udp\"]", "too-many-ports", "services.web.ports[0]"},
    {"ports: [\"1000-1999\", 80]", "too-many-ports", "services.web.ports[1]"},
    {"user: 1000", "type", "services.web.user"},
    {"user: ", "type", "services.web.user"},
    {"hostname: 1.5", "type", "services.web.hostname"},
    {"restart: true", "type", "services.web.restart"},
    {"working_dir: [/x]", "type", "services.web.working_dir"},
    {"command: [serve, --port, 8080]", "type", "services.web.command"},
    {"command: 8080", "type", "services.web.command"},
    {"entrypoint: {a: b}", "type", "services.web.entrypoint"},
    {"cap_drop: ALL", "type", "services.web.cap_drop"},
    {"expose: 80", "type", "services.web.expose"},
    {"labels: [1]", "type", "services.web.labels"},
    {"ulimits: [nofile]", "type", "services.web.ulimits"},
    {"tty: 1", "type", "services.web.tty"},
    {"mem_limit: true", "type", "services.web.mem_limit"},
    {"environment:", "type", "services.web.environment"},
    {"init: maybe", "value", "services.web.init"},
    {"tty: 'truth'", "value", "services.web.tty"},
    {"cpu_percent: 50.5", "value", "services.web.cpu_percent"},
    {"cpu_percent: 101", "value", "services.web.cpu_percent"},
    {"cpus: two", "value", "services.web.cpus"},
    {"cpu_shares: .inf", "value", "services.web.cpu_shares"},
    {"mem_limit: 2 gigs", "value", "services.web.mem_limit"},
    {"mem_swappiness: '1'", "value", "services.web.mem_swappiness"},
    {"memswap_limit: '-1'", "value", "services.web.memswap_limit"},
    {"oom_score_adj: 1001", "value", "services.web.oom_score_adj"},
    {"pids_limit: 1.5", "value", "services.web.pids_limit"},
    {"scale: many", "value", "services.web.scale"},
    {"stop_grace_period: 10 s", "value", "services.web.stop_grace_period"},
    {"pull_policy: daily", "value", "services.web.pull_policy"},
    {"pull_policy: Always", "value", "services.web.pull_policy"},
    {"hostname: 2026-11-28", "type", "services.web.hostname"},
    {"user: 1_000", "type", "services.web.user"},
    {"dns: [[1.1.1.1]]", "type", "services.web.dns"},
    {"expose: [web]", "value", "services.web.expose[0]"},
    {"expose: [\"90-80\"]", "value", "services.web.expose[0]"},
    {"expose: [80, 70000]", "value", "services.web.expose[1]"},
    {"group_add: [44, true]", "value", "services.web.group_add[1]"},
    {"group_add: [44, audio, audio]", "duplicate-entry", "services.web.group_add[2]"},
    {"networks: [default, default]", "duplicate-entry", "services.web.networks[1]"},
    {"labels: {a: [b]}", "value", "services.web.labels.a"},
    {"ulimits: {nofile: many}", "value", "services.web.ulimits.nofile"},
    {"ulimits: {nofile: {soft: 1}}", "value", "services.web.ulimits.nofile"},
    {"ports: [\"8081-8082:81-83\"]", "port-syntax", "services.web.ports[0]"},
    {"ports: [{target: 81-83}]", "port-syntax", "services.web.ports[0]"},
    {"ports: [{target: 81, name: 5}]", "value", "services.web.ports[0].name"},
    {"volumes: [{type: tmpfs, target: /t, tmpfs: {size: big}}]", "value",
     "services.web.volumes[0].tmpfs.size"},
    {"volumes: [{type: volume, source: data, target: /t, read_only: maybe}]", "value",
     "services.web.volumes[0].read_only"},
    {"extra_hosts: {a: [10.0.0.1, 10.0.0.2]}", "extra-host", "services.web.extra_hosts.a"},
    {"extra_hosts: {a: }", "extra-host", "services.web.extra_hosts.a"},
    {"extra_hosts: [a]", "extra-host", "services.web.extra_hosts[0]"},
    {"extra_hosts: [\":10.0.0.1\"]", "extra-host", "services.web.extra_hosts[0]"},
    {"healthcheck: {test: [curl, x]}", "value", "services.web.healthcheck.test"},
    {"healthcheck: {test: a, interval: 30}", "value", "services.web.healthcheck.interval"},
    {"healthcheck: {test: a, timeout: 1d}", "value", "services.web.healthcheck.timeout"},
    {"healthcheck: {test: a, retries: few}", "value", "services.web.healthcheck.retries"},
    {"healthcheck: {disable: 1}", "value", "services.web.healthcheck.disable"},
    {"logging: {options: {a: true}}", "value", "services.web.logging.options.a"},
    {"deploy: {replicas: '2.0'}", "value", "services.web.deploy.replicas"},
    {"deploy: {resources: }", "value", "services.web.deploy.resources"},
    {"deploy: {resources: {limits: {cpus: two}}}", "value",
     "services.web.deploy.resources.limits.cpus"},
    {"deploy: {resources: {limits: {memory: 512}}}", "value",
     "services.web.deploy.resources.limits.memory"},
    {"deploy: {resources: {reservations: {pids: 5}}}", "unknown-key",
     "services.web.deploy.resources.reservations.pids"},
    {"deploy: {resources: {reservations: {devices: [{capabilities: gpu}]}}}", "value",
     "services.web.deploy.resources.reservations.devices[0].capabilities"},
    {"deploy: {resources: {reservations: {devices: [{count: some}]}}}", "value",
     "services.web.deploy.resources.reservations.devices[0].count"},
    {"deploy: {restart_policy: {frob: 1}}", "unknown-key",
     "services.web.deploy.restart_policy.frob"},
    {"userns_mode: false", "userns_mode", "services.web.userns_mode"},
    {"cap_add: false", "cap_add", "services.web.cap_add"},
    {"networks: ~", "type", "services.web.networks"},
    {"volumes: [\"/:/host\"]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [\"/var/run/docker.sock:/s\"]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [\"./data:/data\"]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [\"~/data:/data\"]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [\"${HOME}/x:/data\"]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}x/a:/data\"]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/../x:/data\"]", "unknown-file", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/config/../seed.sql:/data\"]", "unknown-file", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/seed:/data\"]", "unknown-file", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/$X:/data\"]", "unknown-file", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/seed.sql/:/data\"]", "unknown-file", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}//:/data:ro\"]", "unknown-file", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}:/data\"]", "writable-files", "services.web.volumes[0]"},
    {"volumes: [\"$FILES/config:/data:z\"]", "writable-files", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/:/data:ro,rw\"]", "writable-files", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}/config/:/data:nocopy,rox\"]", "volume-syntax",
     "services.web.volumes[0]"},
    {"volumes: [{type: bind, source: \"${FILES}/config\", target: /e}]", "writable-files",
     "services.web.volumes[0]"},
    {"volumes: [{type: bind, source: \"${FILES}\", target: /e, read_only: 'no'}]", "writable-files",
     "services.web.volumes[0]"},
    {"volumes: [\"nowhere:/data\"]", "unknown-volume", "services.web.volumes[0]"},
    {"volumes: [\"data\"]", "volume-syntax", "services.web.volumes[0]"},
    {"volumes: [\"data:relative\"]", "volume-syntax", "services.web.volumes[0]"},
    {"volumes: [\"${FILES}:/f:rshared\"]", "volume-syntax", "services.web.volumes[0]"},
    {"volumes: [{type: bind, source: /etc, target: /e}]", "bind-mount", "services.web.volumes[0]"},
    {"volumes: [{type: volume, source: /etc, target: /e}]", "bind-mount",
     "services.web.volumes[0]"},
    {"volumes: [{type: npipe, source: a, target: /e}]", "volume-syntax", "services.web.volumes[0]"},
    {"volumes: [{type: bind, source: \"${FILES}\", target: /e, bind: {propagation: shared}}]",
     "unknown-key", "services.web.volumes[0].bind.propagation"},
    {"env_file: .env", "bind-mount", "services.web.env_file"},
    {"env_file: [/etc/passwd]", "bind-mount", "services.web.env_file[0]"},
    {"env_file: [{path: ../x}]", "bind-mount", "services.web.env_file[0]"},
    {"environment: {A: \"${NOPE}\"}", "unset-variable", "services.web.environment.A"},
    {"environment: [\"A=$NOPE\"]", "unset-variable", "services.web.environment[0]"},
    {"environment: [NOPE]", "unset-variable", "services.web.environment[0]"},
    {"environment: [\"$TOKEN=1\"]", "interpolation", "services.web.environment[0]"},
    {"environment: {A: \"$ 5\"}", "interpolation", "services.web.environment.A"},
    {"environment: {A: \"${COFFER_ACME_EAB_MAC_KEY}\"}", "reserved-variable",
     "services.web.environment.A"},
    {"environment: {CADDY_ACME_EAB_KEY_ID: }", "reserved-variable",
     "services.web.environment.CADDY_ACME_EAB_KEY_ID"},
    {"environment: {A: {B: C}}", "type", "services.web.environment.A"},
    {"command: echo ${TOKEN}", "interpolation", "services.web.command"},
    {"command: [\"a\", \"$TOKEN\"]", "interpolation", "services.web.command[1]"},
    {"labels: {a: \"$TOKEN\"}", "interpolation", "services.web.labels.a"},
    {"labels: [\"com.docker.compose.service=coffer-proxy\"]", "reserved-label",
     "services.web.labels[0]"},
    {"container_name: nilcc-proxy", "reserved-name", "services.web.container_name"},
    {"container_name: cvm-coffer-attester-1", "reserved-name", "services.web.container_name"},
    {"hostname: Coffer-Proxy", "reserved-name", "services.web.hostname"},
    {"networks: {default: {aliases: [ok, coffer-attester]}}", "reserved-name",
     "services.web.networks.default.aliases[1]"},
    {"networks: {default: {driver_opts: {a: b}}}", "unknown-key",
     "services.web.networks.default.driver_opts"},
    {"networks: [elsewhere]", "unknown-network", "services.web.networks[0]"},
    {"links: [\"web:coffer-proxy\"]", "reserved-name", "services.web.links[0]"},
    {"links: [nowhere]", "unknown-service", "services.web.links[0]"},
    {"depends_on: [nowhere]", "unknown-service", "services.web.depends_on[0]"},
    {"depends_on: {coffer-proxy: {condition: service_started}}", "unknown-service",
     "services.web.depends_on.coffer-proxy"},
    {"logging: {driver: syslog}", "logging", "services.web.logging"},
    {"deploy: {resources: {reservations: {generic_resources: []}}}", "unknown-key",
     "services.web.deploy.resources.reservations.generic_resources"},
    {"deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all}]}}}", "value",
     "services.web.deploy.resources.reservations.devices[0]"},
    {"deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: 1, device_ids: "
     "['0']}]}}}",
     "conflict", "services.web.deploy.resources.reservations.devices[0]"},
    {"extra_hosts: {a: true}", "extra-host", "services.web.extra_hosts.a"},
    {"extra_hosts: ['a:1.1.1.1', 'a:1.1.1.1']", "duplicate-entry", "services.web.extra_hosts[1]"},
    {"deploy: {resources: {reservations: {devices: [{driver: sev, capabilities: [gpu]}]}}}",
     "devices", "services.web.deploy.resources.reservations.devices[0]"},
    {"healthcheck: {frob: 1}", "unknown-key", "services.web.healthcheck.frob"},
    {"profiles: [debug]", "public-service", "services.web.profiles"},
    {"tty: !!bool true", "yaml-tag", ""},
    {"tty: !reset null", "yaml-tag", ""},
    {"image: again", "duplicate-key", ""},
    {"tty: *nowhere", "yaml", ""},
    {"tty: &a [*a]", "yaml", ""},
    {"? [a, b] : c", "yaml", ""},
    {"tty: [", "yaml", ""},
};

static const struct finding *find(const struct findings *findings, const char *rule)
{
    for (size_t i = 0; i < findings->n; i++)
        if (strcmp(findings->items[i].rule, rule) == 0)
            return &findings->items[i];
    return NULL;
}

static _Noreturn void fail_without(const struct findings *findings, const char *text,
                                   const char *rule, const char *where)
{
    _cleanup_free_ char *found = findings_to_text(findings);

    fail_msg("%s: expected %s at %s, found: %s", text, rule, where, found);
    abort(); /* not reached: cmocka does not declare that a failure never returns */
}

static void check_texts(const struct finding *finding)
{
    assert_int_not_equal(*finding->what, 0);
    assert_int_not_equal(*finding->why, 0);
    assert_int_not_equal(*finding->fix, 0);
}

static void test_each_bad_line_is_found_with_place_and_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad_lines); i++) {
        _cleanup_free_ char *text = xasprintf("services:\n  web:\n    image: a\n    %s\n"
                                              "volumes: {data: {}}\n",
                                              bad_lines[i].line);
        _cleanup_(outcome_done) struct outcome outcome = lint(text);
        const struct finding *finding = find(outcome.findings, bad_lines[i].rule);
        if (!finding || strcmp(finding->where, bad_lines[i].where) != 0)
            fail_without(outcome.findings, bad_lines[i].line, bad_lines[i].rule,
                         bad_lines[i].where);
        if (finding->line != 4 && strcmp(finding->rule, "public-service") != 0 &&
            strcmp(finding->rule, "yaml") != 0)
            fail_msg("%s: line %u", bad_lines[i].line, finding->line);
        check_texts(finding);
    }
}

/* Whole files. */
static const struct {
    const char *text;
    const char *rule;
} bad_files[] = {
    {"", "size"},
    {"# nothing\n", "size"},
    {"[]", "type"},
    {"just words", "type"},
    {"services: {}", "no-services"},
    {"services: {web: }", "type"},
    {"services: {web: {}}", "image"},
    {"services: {web: {image: 'a b'}}", "image"},
    {"services: {web: {image: 'a@sha256:12'}}", "image"},
    {"services: {web: {image: '${X}'}}", "interpolation"},
    {"services: {web: {image: 'a:$TAG'}}", "interpolation"},
    {"services: {other: {image: a}}", "public-service"},
    {"services: {web: {image: a}, coffer-proxy: {image: b}}", "reserved-name"},
    {"services: {web: {image: a}, coffer-x: {image: b}}", "reserved-name"},
    {"services: {web: {image: a}, my-nilcc-attester: {image: b}}", "reserved-name"},
    {"services: {web: {image: a}, 'x y': {image: b}}", "service-name"},
    {"services: {web: {image: a}}\ninclude: [b.yaml]", "include"},
    {"services: {web: {image: a}}\nsecrets: {s: {file: /etc/shadow}}", "secrets"},
    {"services: {web: {image: a}}\nconfigs: {s: {file: /etc/shadow}}", "configs"},
    {"services: {web: {image: a}}\nfoo: 1", "unknown-key"},
    {"services: {web: {image: a}}\nname: My App", "value"},
    {"services: {web: {image: a}}\nversion: 3.8", "value"},
    {"services: {web: {image: a}}\nvolumes:\n", "value"},
    {"services: {web: {image: a}}\nnetworks: {n: {internal: maybe}}", "value"},
    {"services: {web: {image: a, container_name: c, scale: 2}}", "conflict"},
    {"services: {web: {image: a, container_name: c, deploy: {replicas: 2}}}", "conflict"},
    {"services: {web: {image: a, scale: 2, deploy: {replicas: 3}}}", "conflict"},
    {"services: {web: {image: a, cpus: 1, deploy: {resources: {limits: {memory: 1g}}}}}",
     "conflict"},
    {"services: {web: {image: a, mem_limit: 1g, deploy: {resources: {limits: {memory: 2g}}}}}",
     "conflict"},
    {"services: {web: {image: a}}\nname: '$X'", "interpolation"},
    {"services: {web: {image: a}}\nvolumes: {v: {external: true}}", "unknown-key"},
    {"services: {web: {image: a}}\nvolumes: {a b: {}}", "volume-name"},
    {"services: {web: {image: a}}\nvolumes: {v: {driver: nfs}}", "volume-driver"},
    {"services: {web: {image: a}}\nvolumes: {v: {driver_opts: {device: /}}}", "unknown-key"},
    {"services: {web: {image: a}}\nvolumes: {v: {name: other}}", "volume-name"},
    {"services: {web: {image: a}}\nvolumes: {coffer-caddy: }", "reserved-name"},
    {"services: {web: {image: a}}\nnetworks: {n: {external: true}}", "unknown-key"},
    {"services: {web: {image: a}}\nnetworks: {n: {driver: host}}", "network-driver"},
    {"services: {web: {image: a}}\nnetworks: {n: {name: bridge}}", "network-name"},
    {"services: {web: {image: a}}\nnetworks: {n: {ipam: {config: []}}}", "network-ipam"},
    {"services: {web: {image: a}}\nnetworks: {coffer-front: }", "reserved-name"},
    {"services: {web: {image: a}}\n---\nservices: {web: {image: b}}", "yaml"},
    {"services: {web: {image: a, <<: [1]}}", "yaml"},
    {"x: &x {privileged: true}\nservices: {web: {image: a, <<: *x}}", "privileged"},
    {"x-x: &x {privileged: true}\nservices: {web: {image: a, <<: [*x, {pid: host}]}}", "pid"},
    {"x-x: &x [\"80:80\"]\nservices: {web: {image: a, ports: *x}}", "port-reserved"},
    {"services: {web: {image: a\n", "yaml"},
    {"services:\n\t- a", "yaml"},
    {"services: \"\x01\"", "yaml"},
    {"services: {web: {image: \"\\0\"}}", "yaml"},
    {"services: \xff", "yaml"},
    {"%YAML 9.9\n---\na: b", "yaml"},
};

static void test_each_bad_file_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(bad_files); i++) {
        _cleanup_(outcome_done) struct outcome outcome = lint(bad_files[i].text);
        const struct finding *finding = find(outcome.findings, bad_files[i].rule);
        if (!finding)
            fail_without(outcome.findings, bad_files[i].text, bad_files[i].rule, "any place");
        check_texts(finding);
    }
}

static void test_every_problem_is_named(void **state)
{
    _cleanup_(outcome_done) struct outcome outcome =
        lint("services:\n  other:\n    image: ${X}\n    privileged: true\n    pid: host\n"
             "    ports:\n      - 80:80\n      - 443:443\n");
    static const char *const rules[] = {"public-service", "interpolation", "privileged", "pid"};

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rules); i++)
        assert_non_null(find(outcome.findings, rules[i]));
    assert_int_equal(outcome.findings->n, 6);
    assert_int_equal(find(outcome.findings, "interpolation")->line, 3);
    assert_int_equal(find(outcome.findings, "port-reserved")->line, 7);
}

static void test_container_name_may_be_the_public_one(void **state)
{
    _cleanup_(outcome_done) struct outcome outcome =
        lint("services: {app: {image: a, container_name: web}}");

    (void)state;
    assert_int_equal(outcome.findings->n, 0);
}

static void test_values_of_the_environment_are_never_shown(void **state)
{
    _cleanup_(outcome_done) struct outcome outcome =
        lint("services: {web: {image: a, environment: {A: 'canary-77 $X'}}}");
    _cleanup_free_ char *text = findings_to_text(outcome.findings);

    (void)state;
    assert_int_equal(outcome.findings->n, 1);
    assert_null(strstr(text, "canary-77"));
    assert_null(strstr(outcome.findings->items[0].what, "canary-77"));
}

/* The manifest and compose's model name the same services. */
static void test_services_in_a_profile_are_no_part_of_the_summary(void **state)
{
    struct outcome outcome = lint("services:\n"
                                  "  debug: {image: busybox, profiles: [debug]}\n"
                                  "  web: {image: hello, profiles: []}\n");

    (void)state;
    assert_int_equal(outcome.findings->n, 0);
    assert_int_equal(outcome.summary.n_services, 1);
    assert_string_equal(outcome.summary.services[0].name, "web");
    outcome_done(&outcome);
}

/* What compose refuses about services among themselves. */
static void test_services_among_themselves(void **state)
{
    static const struct {
        const char *web;
        const char *other;
        const char *finding;
    } rows[] = {
        {"depends_on: [other]", "profiles: [p]", "in a profile (unknown-service)"},
        {"depends_on: {other: {condition: service_started}}", "profiles: [p]",
         "in a profile (unknown-service)"},
        {"depends_on: {other: {condition: service_started, required: false}}", "profiles: [p]", ""},
        {"links: [other]", "profiles: [p]", "in a profile (unknown-service)"},
        {"init: true", "profiles: [p], depends_on: [web]", ""},
        {"depends_on: {other: {condition: healthy}}", "init: true", "(dependency)"},
        {"depends_on: {other: }", "init: true", "(dependency)"},
        {"depends_on: {gone: {condition: service_started, required: false}}", "init: true",
         "(unknown-service)"},
        {"depends_on: [web]", "init: true", "(dependency-cycle)"},
        {"links: [\"web:me\"]", "init: true", "(dependency-cycle)"},
        {"depends_on: [other]", "depends_on: {web: {condition: service_started}}",
         "(dependency-cycle)"},
        {"depends_on: [other]", "links: [web]", "(dependency-cycle)"},
        {"depends_on: [other]", "depends_on: [gone]", "(unknown-service)"},
        {"container_name: one", "container_name: one", "(duplicate-name)"},
        {"container_name: one", "container_name: two", ""},
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_free_ char *text =
            xasprintf("services:\n  web: {image: a, %s}\n  other: {image: b, %s}\n", rows[i].web,
                      rows[i].other);
        struct outcome outcome = lint(text);
        _cleanup_free_ char *found = findings_to_text(outcome.findings);
        if (*rows[i].finding ? !strstr(found, rows[i].finding) : *found)
            fail_msg("%s: %s", text, found);
        outcome_done(&outcome);
    }
}

/* As people write them, and compose takes them. */
static void test_good_values_have_no_findings(void **state)
{
    static const char *const lines[] = {
        "init: yes",
        "tty: 'Off'",
        "cpu_percent: 50.0",
        "cpus: '.5'",
        "mem_limit: 1.5 GiB",
        "mem_limit: 512MB",
        "memswap_limit: -1",
        "oom_score_adj: '-500'",
        "pids_limit: 1_000",
        "stop_grace_period: 1m30.5s",
        "pull_policy: if_not_present",
        "expose: [80, \"81\", \"82-83\", \"53/udp\"]",
        "container_name: c\n    scale: 1",
        "scale: 2\n    deploy: {replicas: '2'}",
        "mem_limit: 1024m\n    deploy: {resources: {limits: {memory: 1g}}}",
        "extra_hosts: {a: \"::1\", b: host-gateway}",
        "extra_hosts: [\"a=::1\", \"b:10.0.0.1\"]",
        "healthcheck: {test: [], interval: '0', disable: y}",
        "healthcheck: {test: [\"NONE\"], retries: '3', start_period: 500ms}",
        "deploy: {resources: {limits: {cpus: 0.5, memory: 1g, pids: 9}}}",
        "deploy: {resources: {limits: {cpus: 2}, reservations: {cpus: '1'}}}",
        "attach: yes\n    init: 'on'",
        "deploy: {resources: {reservations: {devices: [{count: all, capabilities: [gpu]}]}}}",
        "ulimits: {nproc: 65535, nofile: {soft: 20000, hard: '40000'}}",
        "logging: {options: {max-file: 3, max-size: 10m, x: }}",
        "labels: {on: true, day: 2026-11-28, none: }",
        "environment: {DAY: 2026-11-28}",
        "volumes: [{type: tmpfs, target: /t, tmpfs: {size: 64m, mode: 0o1777}}]",
        "ports: [\"8000-8003:80\", \"8081-8082:81-82\"]",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        _cleanup_free_ char *text =
            xasprintf("services:\n  web:\n    image: a\n    %s\n", lines[i]);
        _cleanup_(outcome_done) struct outcome outcome = lint(text);
        if (outcome.findings->n)
            fail_without(outcome.findings, lines[i], "nothing", "any place");
    }
}

/* Both lines, and a name that is free: the first one inside the other, or above it. */
static void test_an_anchor_given_twice_is_told_with_both_lines_and_the_way_out(void **state)
{
    static const char *const texts[] = {
        "x-a: &s\n  image: a\n  x-b: &s\n    image: b\nservices: {web: *s}\n",
        "x-a: &s\n  image: a\nx-b: &s\n  image: b\nservices: {web: *s}\n",
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(outcome_done) struct outcome outcome = lint(texts[i]);
        const struct finding *finding = find(outcome.findings, "duplicate-anchor");
        assert_non_null(finding);
        assert_int_equal(finding->line, 3);
        assert_string_equal(finding->what,
                            "the anchor '&s' is given twice, on line 1 and on line 3");
        assert_non_null(strstr(finding->why, "'*s'"));
        assert_non_null(strstr(finding->fix, "'&s2'"));
        assert_non_null(strstr(finding->fix, "line 3"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_values_have_no_findings),
        cmocka_unit_test(test_an_anchor_given_twice_is_told_with_both_lines_and_the_way_out),
        cmocka_unit_test(test_services_among_themselves),
        cmocka_unit_test(test_services_in_a_profile_are_no_part_of_the_summary),
        cmocka_unit_test(test_good_file_has_no_findings),
        cmocka_unit_test(test_each_bad_line_is_found_with_place_and_line),
        cmocka_unit_test(test_each_bad_file_is_found),
        cmocka_unit_test(test_every_problem_is_named),
        cmocka_unit_test(test_container_name_may_be_the_public_one),
        cmocka_unit_test(test_values_of_the_environment_are_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
