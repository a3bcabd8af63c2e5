/* The bounds of every field of a manifest. */
#include <string.h>

#include "shared/manifest/check.h"

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define WORD   LOWER UPPER DIGITS

static struct error *bad(const char *what, const char *text)
{
    return error_new(ERROR_INVALID_ARGUMENT, "%s '%.64s' is not allowed", what, text ? text : "");
}

static bool is_made_of(const char *text, const char *alphabet, size_t min, size_t max)
{
    size_t size = text ? strlen(text) : 0;

    return text && size >= min && size <= max && strspn(text, alphabet) == size;
}

static bool is_printable(const char *text, size_t min, size_t max)
{
    size_t size = text ? strlen(text) : 0;

    if (!text || size < min || size > max)
        return false;
    for (const char *p = text; *p; p++)
        if (*p <= ' ' || *p > '~')
            return false;
    return true;
}

bool manifest_path_is_valid(const char *path)
{
    if (!is_made_of(path, WORD "._-/", 1, 255) || path[0] == '/')
        return false;
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && part[0] == '.' && part[1] == '.'))
            return false;
    }
    return true;
}

bool manifest_env_is_valid(const char *name)
{
    return is_made_of(name, WORD "_", 1, 128) && !strchr(DIGITS, name[0]);
}

bool manifest_env_is_reserved(const char *name)
{
    /* An entry that ends in '_' is a prefix. */
    static const char *const reserved[] = {
        "PATH",    "HOME",   "TMPDIR", "FILES",   "GODEBUG",  "GCONV_PATH", "GLIBC_TUNABLES",
        "COFFER_", "NILCC_", "CADDY_", "DOCKER_", "COMPOSE_", "LD_",        "MALLOC_",
    };

    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        size_t n = strlen(reserved[i]);
        if (strncmp(name, reserved[i], n) == 0 && (reserved[i][n - 1] == '_' || name[n] == '\0'))
            return true;
    }
    return false;
}

/* RFC 1035 section 2.3.1 in lower case, at least two labels, as a certificate can name it. */
bool manifest_domain_is_valid(const char *domain)
{
    if (!is_made_of(domain, LOWER DIGITS "-.", 3, 253) || !strchr(domain, '.'))
        return false;
    for (const char *label = domain; label; label = strchr(label, '.')) {
        label += *label == '.';
        size_t size = strcspn(label, ".");
        if (size == 0 || size > 63 || label[0] == '-' || label[size - 1] == '-')
            return false;
    }
    return strspn(strrchr(domain, '.') + 1, DIGITS) != strlen(strrchr(domain, '.') + 1);
}

bool manifest_service_is_valid(const char *name)
{
    return is_made_of(name, WORD "._-", 1, 63) && !strchr("._-", name[0]);
}

bool manifest_server_is_valid(const char *server)
{
    return is_made_of(server, WORD ".-:/_", 1, 255) && !strchr(".-:/", server[0]);
}

bool manifest_version_is_valid(const char *version)
{
    return is_made_of(version, WORD ".+-_", 1, 64) && strchr(WORD, version[0]);
}

static bool digest_is_valid(const char *digest)
{
    if (!digest)
        return false;
    return strcmp(digest, "unpinned") == 0 ||
           (strncmp(digest, "sha256:", 7) == 0 && is_made_of(digest + 7, DIGITS "abcdef", 64, 64));
}

static bool pem_is_valid(const char *pem)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----\n";

    if (!pem || strlen(pem) > MANIFEST_PEM_MAX || strncmp(pem, begin, strlen(begin)) != 0)
        return false;
    return strspn(pem, WORD "+/=-\n ") == strlen(pem);
}

static struct error *check_count(const char *what, size_t n, size_t max)
{
    if (n > max)
        return error_new(ERROR_INVALID_ARGUMENT, "%zu %s, at most %zu allowed", n, what, max);
    return NULL;
}

static struct error *check_texts(const char *what, const char *const *texts, size_t n, size_t max,
                                 bool (*is_valid)(const char *text))
{
    struct error *err = check_count(what, n, max);

    for (size_t i = 0; !err && i < n; i++)
        if (!is_valid(texts[i]))
            err = bad(what, texts[i]);
    return err;
}

static struct error *check_files(const char *what, const struct manifest_hash *files, size_t n,
                                 size_t max)
{
    struct error *err = check_count(what, n, max);

    for (size_t i = 0; !err && i < n; i++)
        if (!manifest_path_is_valid(files[i].name))
            err = bad(what, files[i].name);
    return err;
}

static struct error *check_services(const struct manifest *manifest)
{
    struct error *err = check_count("services", manifest->n_services, MANIFEST_SERVICES_MAX);
    bool found = false;

    if (err)
        return err;
    for (size_t i = 0; i < manifest->n_services; i++) {
        const struct manifest_service *service = &manifest->services[i];
        if (!manifest_service_is_valid(service->name))
            return bad("services", service->name);
        if (!is_printable(service->image, 1, 512))
            return bad("image", service->image);
        if (!digest_is_valid(service->digest))
            return bad("digest", service->digest);
        found = found ||
                (manifest->public_service && strcmp(service->name, manifest->public_service) == 0);
    }
    if (!found)
        return bad("public.service", manifest->public_service);
    if (manifest->public_port == 0 || manifest->public_port > 65535)
        return error_new(ERROR_INVALID_ARGUMENT, "public.port %u is not in 1..65535",
                         manifest->public_port);
    return NULL;
}

static struct error *check_anchors(const struct manifest *manifest)
{
    const char *directory = manifest->acme_directory;
    struct error *err =
        check_count("registry_cas", manifest->n_registry_cas, MANIFEST_REGISTRIES_MAX);

    if (err)
        return err;
    if (!is_printable(directory, 0, 512) || (*directory && strncmp(directory, "https://", 8) != 0))
        return bad("acme.directory", directory);
    if (!manifest->acme_ca || (*manifest->acme_ca && !pem_is_valid(manifest->acme_ca)))
        return error_new(ERROR_INVALID_ARGUMENT, "acme.ca is not a PEM certificate");
    for (size_t i = 0; i < manifest->n_registry_cas; i++) {
        if (!manifest_server_is_valid(manifest->registry_cas[i].name))
            return bad("registry_cas", manifest->registry_cas[i].name);
        if (!pem_is_valid(manifest->registry_cas[i].text))
            return error_new(ERROR_INVALID_ARGUMENT, "registry_cas '%s' is not a PEM certificate",
                             manifest->registry_cas[i].name);
    }
    return NULL;
}

/* A guest that does not know a policy must not run under it: only what this schema means. */
static struct error *check_policy(const struct manifest *manifest)
{
    if (!manifest->policy_egress || strcmp(manifest->policy_egress, "any") != 0)
        return bad("policy.egress", manifest->policy_egress);
    if (!manifest->policy_logs || strcmp(manifest->policy_logs, "platform") != 0)
        return bad("policy.logs", manifest->policy_logs);
    if (!manifest->policy_storage || strcmp(manifest->policy_storage, "ephemeral") != 0)
        return bad("policy.storage", manifest->policy_storage);
    return NULL;
}

struct error *manifest_check(const struct manifest *manifest)
{
    struct error *err = NULL;

    if (!manifest_version_is_valid(manifest->image_version))
        return bad("image_version", manifest->image_version);
    err = check_policy(manifest);
    if (!err)
        err = check_services(manifest);
    if (!err)
        err = check_anchors(manifest);
    if (!err)
        err = check_texts("env", manifest->env, manifest->n_env, MANIFEST_ENV_MAX,
                          manifest_env_is_valid);
    if (!err)
        err = check_texts("domains", manifest->domains, manifest->n_domains, MANIFEST_DOMAINS_MAX,
                          manifest_domain_is_valid);
    if (!err)
        err = check_texts("registries", manifest->registries, manifest->n_registries,
                          MANIFEST_REGISTRIES_MAX, manifest_server_is_valid);
    if (!err)
        err = check_files("files", manifest->files, manifest->n_files, MANIFEST_FILES_MAX);
    if (!err)
        err = check_files("secret_files", manifest->secret_files, manifest->n_secret_files,
                          MANIFEST_SECRET_FILES_MAX);
    return err;
}
