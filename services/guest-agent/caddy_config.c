#include "services/guest-agent/caddy_config.h"

#include <jansson.h>

#include "services/guest-agent/compose_overlay.h"
#include "services/guest-agent/names.h"
#include "shared/base/alloc.h"

enum { URL_MAX = 1024 };

#define ATTESTER_PATHS          "/nilcc/*"
#define ATTESTER_ANSWERS_WITHIN "30s" /* by itself it gives up after nine */

/* Caddy replaces {placeholders} in some values: no value of ours may hold one. */
static bool is_plain(const char *text)
{
    for (const char *at = text; *at; at++) {
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || strchr("{}\"\\", *at))
            return false;
    }
    return strlen(text) <= URL_MAX;
}

static struct error *check(const struct caddy_config *config)
{
    if (!domain_is_valid(config->domain))
        return error_new(ERROR_INVALID_ARGUMENT, "'%.100s' is not a host name", config->domain);
    for (size_t i = 0; i < config->n_more_domains; i++) {
        if (!domain_is_valid(config->more_domains[i]))
            return error_new(ERROR_INVALID_ARGUMENT, "'%.100s' is not a host name",
                             config->more_domains[i]);
    }
    if (!service_name_is_valid(config->public_service) || config->public_port < 1 ||
        config->public_port > 65535)
        return error_new(ERROR_INVALID_ARGUMENT, "the public service or port is not valid");
    if (strncmp(config->acme_directory, "https://", 8) != 0 || !is_plain(config->acme_directory))
        return error_new(ERROR_INVALID_ARGUMENT, "the ACME directory is not an https URL");
    if (!is_plain(config->acme_eab_key_id) || !is_plain(config->acme_eab_mac_key))
        return error_new(ERROR_INVALID_ARGUMENT, "the ACME account binding is not plain text");
    return NULL;
}

static json_t *domains_of(const struct caddy_config *config)
{
    json_t *domains = json_pack("[s]", config->domain);

    for (size_t i = 0; i < config->n_more_domains; i++)
        json_array_append_new(domains, json_string(config->more_domains[i]));
    return domains;
}

static json_t *issuer_of(const struct caddy_config *config)
{
    json_t *issuer = json_pack("{s:s, s:s, s:{s:{s:b}}}", "module", "acme", "ca",
                               config->acme_directory, "challenges", "tls-alpn", "disabled", 1);

    if (config->acme_eab_key_id[0])
        json_object_set_new(issuer, "external_account",
                            json_pack("{s:s, s:s}", "key_id", config->acme_eab_key_id, "mac_key",
                                      config->acme_eab_mac_key));
    if (config->has_acme_ca)
        json_object_set_new(issuer, "trusted_roots_pem_files",
                            json_pack("[s]", "/etc/coffer/acme-ca.pem"));
    return issuer;
}

static json_t *proxy_to(const char *service, unsigned port)
{
    _cleanup_free_ char *address = xasprintf("%s:%u", service, port);

    return json_pack("{s:s, s:[{s:s}]}", "handler", "reverse_proxy", "upstreams", "dial", address);
}

/* What evidence is not asked for with ends here, and its connection too: its body is not waited
 * for. */
static json_t *other_methods(void)
{
    json_t *match = json_pack("[{s:[s], s:[{s:[s, s, s]}]}]", "path", ATTESTER_PATHS, "not",
                              "method", "GET", "HEAD", "OPTIONS");
    json_t *refuse =
        json_pack("[{s:s, s:i, s:b, s:{s:[s]}}]", "handler", "static_response", "status_code", 405,
                  "close", 1, "headers", "Allow", "GET, HEAD, OPTIONS");

    return json_pack("{s:o, s:b, s:o}", "match", match, "terminal", 1, "handle", refuse);
}

/* A read_timeout of the server would end the uploads of the user's service, so what is the
 * attester's is bounded here: no body to speak of (0 would mean any), no answer that never begins.
 */
static json_t *to_attester(void)
{
    json_t *proxy = proxy_to(OVERLAY_ATTESTER, OVERLAY_ATTESTER_PORT);

    json_object_set_new(proxy, "transport",
                        json_pack("{s:s, s:s}", "protocol", "http", "response_header_timeout",
                                  ATTESTER_ANSWERS_WITHIN));
    return json_pack("{s:[{s:[s]}], s:b, s:[{s:s, s:i}, {s:s, s:s}, o]}", "match", "path",
                     ATTESTER_PATHS, "terminal", 1, "handle", "handler", "request_body", "max_size",
                     1, "handler", "rewrite", "strip_path_prefix", "/nilcc", proxy);
}

static json_t *routes_of(const struct caddy_config *config)
{
    json_t *rest =
        json_pack("{s:[o]}", "handle", proxy_to(config->public_service, config->public_port));

    return json_pack("[{s:[{s:o}], s:b, s:[{s:s, s:[o, o, o]}]}]", "match", "host",
                     domains_of(config), "terminal", 1, "handle", "handler", "subroute", "routes",
                     other_methods(), to_attester(), rest);
}

/* Both timeouts leave requests that are under way alone, and so the user's uploads, streams and
 * WebSockets: one ends with the last header (and bounds the handshake), the other is between
 * requests. */
static json_t *server_of(const struct caddy_config *config)
{
    return json_pack("{s:[s], s:s, s:s, s:o, s:[{s:s}], s:[s, s]}", "listen", ":443",
                     "read_header_timeout", "10s", "idle_timeout", "2m", "routes",
                     routes_of(config), "tls_connection_policies", "protocol_min", "tls1.2",
                     "protocols", "h1", "h2");
}

struct error *caddy_config_write(const struct caddy_config *config, struct buffer *ret_json)
{
    struct error *err = check(config);

    if (err)
        return err;
    json_t *tls = json_pack("{s:{s:[{s:o, s:[o]}]}}", "automation", "policies", "subjects",
                            domains_of(config), "issuers", issuer_of(config));
    json_t *root =
        json_pack("{s:{s:b, s:{s:b}}, s:{s:{s:{s:s}}}, s:{s:{s:{s:o}}, s:o}}", "admin", "disabled",
                  1, "config", "persist", 0, "logging", "logs", "default", "level", "INFO", "apps",
                  "http", "servers", "https", server_of(config), "tls", tls);
    char *json = json_dumps(root, JSON_INDENT(2));
    if (!json)
        abort();
    buffer_add_text(ret_json, json);
    OPENSSL_cleanse(json, strlen(json));
    free(json);
    json_decref(root);
    return NULL;
}
