/* The NATS keys, JWTs and configurations of a fleet. */
#include <openssl/crypto.h>
#include <time.h>

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"
#include "shared/fleet/fleet_internal.h"

enum {
    SMALL_FILE_MAX = 64 * 1024,
    LEAF_PAYLOAD_MAX = 1024 * 1024 + 64 * 1024,
    HUB_PAYLOAD_MAX = LEAF_PAYLOAD_MAX + 64 * 1024,
};

static int64_t now_s(void)
{
    return (int64_t)time(NULL);
}

static void free_secret(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}
DEFINE_CLEANUP(char *, free_secret)

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static struct error *write_text(const char *path, const char *text, mode_t mode)
{
    return file_write_atomic(path, text, strlen(text), mode);
}

static struct error *load_or_make_seed(const char *dir, const char *name, enum nkey_type type,
                                       struct nkey *ret_key)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    _cleanup_(free_secretp) char *text = NULL;
    char seed[NKEY_SEED_TEXT_SIZE + 1];
    struct error *err;

    if (exists(path)) {
        err = file_read_text(path, SMALL_FILE_MAX, &text);
        if (!err)
            err = nkey_from_seed(type, text, ret_key);
        return error_wrap(err, "'%s'", path);
    }
    err = nkey_generate(type, ret_key);
    if (err)
        return err;
    nkey_seed_text(ret_key, seed);
    memcpy(seed + strlen(seed), "\n", 2);
    err = write_text(path, seed, 0600);
    OPENSSL_cleanse(seed, sizeof(seed));
    return err;
}

/* Kept once made, so that what is deployed does not change under its servers. */
static struct error *load_jwt(const char *dir, const char *name, char **ret_jwt)
{
    _cleanup_free_ char *path = xasprintf("%s/nats/%s", dir, name);

    return exists(path) ? file_read_text(path, SMALL_FILE_MAX, ret_jwt) : NULL;
}

static struct error *save_jwt(const char *dir, const char *name, const char *jwt)
{
    _cleanup_free_ char *path = xasprintf("%s/nats/%s", dir, name);
    _cleanup_free_ char *line = xasprintf("%s\n", jwt);

    return write_text(path, line, 0644);
}

static struct error *load_keys(const char *dir, struct fleet_nats *nats)
{
    struct error *err =
        load_or_make_seed(dir, "operator/operator.seed", NKEY_OPERATOR, &nats->operator_key);

    err = err ?: load_or_make_seed(dir, "operator/account.seed", NKEY_ACCOUNT, &nats->account_key);
    err = err ?: load_or_make_seed(dir, "operator/system.seed", NKEY_ACCOUNT, &nats->system_key);
    err = err
              ?: load_or_make_seed(dir, "nats/account-signing.seed", NKEY_ACCOUNT,
                                   &nats->signing_key);
    if (err)
        return err;
    nkey_public_text(&nats->account_key, nats->account);
    nkey_public_text(&nats->system_key, nats->system);
    return NULL;
}

/*
 * A link refuses what is sent to "$JS.API.>" (JetStream is each side's own). So the hub answers
 * "get.obj.>" as it does the direct get of an object's parts; the leafs know nothing of that, or
 * they would do the replacement too early.
 */
static struct error *make_account_jwts(struct fleet_nats *nats)
{
    char signing[NKEY_PUBLIC_TEXT_SIZE];
    struct jwt_account facts = {
        .account = nats->account, .name = "coffer", .signing_key = signing, .jetstream = true};
    const struct jwt_account system = {.account = nats->system, .name = "system"};
    struct error *err = NULL;

    nkey_public_text(&nats->signing_key, signing);
    if (!nats->account_leaf_jwt)
        err = jwt_account(&nats->operator_key, &facts, now_s(), &nats->account_leaf_jwt);
    facts.map_from = "get.obj.>";
    facts.map_to = "$JS.API.DIRECT.GET.FILES.obj.>";
    if (!err && !nats->account_jwt)
        err = jwt_account(&nats->operator_key, &facts, now_s(), &nats->account_jwt);
    if (!err && !nats->system_jwt)
        err = jwt_account(&nats->operator_key, &system, now_s(), &nats->system_jwt);
    return err;
}

static struct error *make_jwts(const char *dir, struct fleet_nats *nats)
{
    struct error *err = load_jwt(dir, "operator.jwt", &nats->operator_jwt);

    err = err ?: load_jwt(dir, "account.jwt", &nats->account_jwt);
    err = err ?: load_jwt(dir, "account-leaf.jwt", &nats->account_leaf_jwt);
    err = err ?: load_jwt(dir, "system.jwt", &nats->system_jwt);
    if (!err && !nats->operator_jwt)
        err =
            jwt_operator(&nats->operator_key, "coffer", nats->system, now_s(), &nats->operator_jwt);
    err = err ?: make_account_jwts(nats);
    err = err ?: save_jwt(dir, "operator.jwt", nats->operator_jwt);
    err = err ?: save_jwt(dir, "account.jwt", nats->account_jwt);
    err = err ?: save_jwt(dir, "account-leaf.jwt", nats->account_leaf_jwt);
    return err ?: save_jwt(dir, "system.jwt", nats->system_jwt);
}

struct error *fleet_nats_init(const char *dir, struct fleet_nats *ret_nats)
{
    struct error *err = load_keys(dir, ret_nats);

    err = err ?: make_jwts(dir, ret_nats);
    if (err)
        fleet_nats_done(ret_nats);
    return err;
}

void fleet_nats_done(struct fleet_nats *nats)
{
    nkey_done(&nats->operator_key);
    nkey_done(&nats->account_key);
    nkey_done(&nats->system_key);
    nkey_done(&nats->signing_key);
    free(nats->operator_jwt);
    free(nats->account_jwt);
    free(nats->account_leaf_jwt);
    free(nats->system_jwt);
    *nats = (struct fleet_nats){0};
}

/* A new user key and its JWT as a creds text. */
static struct error *mint(const struct nkey *signing_key, const char *account, const char *name,
                          const struct permissions *permissions, int64_t issued_at,
                          int64_t expires_at, char **ret_creds)
{
    _cleanup_free_ char *jwt = NULL;
    char user_text[NKEY_PUBLIC_TEXT_SIZE];
    struct nkey user;
    struct error *err = nkey_generate(NKEY_USER, &user);

    if (err)
        return err;
    nkey_public_text(&user, user_text);
    err = jwt_user(signing_key, account, user_text, name, permissions, issued_at, expires_at, &jwt);
    if (!err)
        *ret_creds = creds_text(jwt, &user);
    nkey_done(&user);
    return err;
}

static struct error *write_creds(const char *path, const struct fleet_nats *nats,
                                 enum identity identity, const char *host)
{
    _cleanup_(free_secretp) char *creds = NULL;
    _cleanup_free_ char *name =
        xasprintf("%s%s%s", identity_name(identity), host ? "-" : "", host ?: "");
    struct permissions permissions;

    if (exists(path))
        return NULL;
    struct error *err = permissions_of(identity, host, NULL, &permissions);
    err = err ?: mint(&nats->signing_key, nats->account, name, &permissions, now_s(), 0, &creds);
    return err ?: write_text(path, creds, 0600);
}

/* The same keys on the hub and on every leaf: both check every user by them. */
static char *auth_text(const struct fleet_nats *nats, const char *account_jwt)
{
    return xasprintf("# Written by 'coffer fleet init'. Public: JWTs, no keys.\n"
                     "operator: \"%s\"\n"
                     "system_account: \"%s\"\n"
                     "resolver: MEMORY\n"
                     "resolver_preload: {\n"
                     "    \"%s\": \"%s\"\n"
                     "    \"%s\": \"%s\"\n"
                     "}\n",
                     nats->operator_jwt, nats->system, nats->account, account_jwt, nats->system,
                     nats->system_jwt);
}

struct error *fleet_nats_write(const char *dir, const struct fleet_nats *nats)
{
    static const enum identity identities[] = {IDENTITY_SCHEDULER, IDENTITY_API_GATEWAY,
                                               IDENTITY_MONITOR, IDENTITY_OPS};
    _cleanup_free_ char *hub = xasprintf("%s/nats/hub.conf", dir);
    _cleanup_free_ char *auth = auth_text(nats, nats->account_jwt);
    _cleanup_free_ char *text =
        xasprintf("%s# More than the leafs', or what a guest sends could close its host's link.\n"
                  "max_payload: %d\n",
                  auth, HUB_PAYLOAD_MAX);
    struct error *err = write_text(hub, text, 0644);

    for (size_t i = 0; !err && i < ELEMENTSOF(identities); i++) {
        _cleanup_free_ char *path =
            xasprintf("%s/nats/%s.creds", dir, identity_name(identities[i]));
        err = write_creds(path, nats, identities[i], NULL);
    }
    return err;
}

/* Addresses differ from site to site: they come from the server's environment. */
static char *leaf_text(const struct fleet_nats *nats, const char *host)
{
    return xasprintf(
        "# The NATS leaf of host '%s', written by 'coffer fleet init'.\n"
        "# Environment: COFFER_LEAF_HOST and COFFER_LEAF_PORT (where the agent and the guests\n"
        "# connect), COFFER_HUB_LEAF_URL (nats-leaf://hub:7422), COFFER_LEAF_CREDS (leaf.creds).\n"
        "server_name: \"leaf-%s\"\n"
        "host: $COFFER_LEAF_HOST\n"
        "port: $COFFER_LEAF_PORT\n"
        "max_payload: %d  # 1 MiB and headers\n"
        "leafnodes {\n"
        "    reconnect: \"2s\"\n"
        "    remotes: [\n"
        "        { url: $COFFER_HUB_LEAF_URL, account: \"%s\", credentials: $COFFER_LEAF_CREDS }\n"
        "    ]\n"
        "}\n"
        "include ./leaf-auth.conf\n",
        host, host, LEAF_PAYLOAD_MAX, nats->account);
}

struct error *fleet_nats_write_host(const char *dir, const struct fleet_nats *nats,
                                    const char *host)
{
    _cleanup_free_ char *folder = xasprintf("%s/hosts/%s", dir, host);
    _cleanup_free_ char *leaf_creds = xasprintf("%s/leaf.creds", folder);
    _cleanup_free_ char *agent_creds = xasprintf("%s/host-agent.creds", folder);
    _cleanup_free_ char *auth_path = xasprintf("%s/leaf-auth.conf", folder);
    _cleanup_free_ char *leaf_path = xasprintf("%s/leaf.conf", folder);
    _cleanup_free_ char *auth = auth_text(nats, nats->account_leaf_jwt);
    _cleanup_free_ char *leaf = leaf_text(nats, host);
    struct error *err = dir_make(folder, 0700);

    err = err ?: write_creds(leaf_creds, nats, IDENTITY_LEAF, host);
    err = err ?: write_creds(agent_creds, nats, IDENTITY_HOST_AGENT, host);
    err = err ?: write_text(auth_path, auth, 0644);
    return err ?: write_text(leaf_path, leaf, 0644);
}

struct error *fleet_mint_guest_credentials(const char *signing_seed, const char *account,
                                           const char *host, const char *workload,
                                           uint64_t generation, int64_t issued_s, int64_t ttl_s,
                                           char **ret_credentials)
{
    uint8_t account_public[SIGN_KEY_SIZE];
    struct permissions permissions;
    struct nkey signing_key;
    struct error *err = nkey_public_decode(NKEY_ACCOUNT, account, account_public);

    err = err ?: permissions_of(IDENTITY_GUEST, host, workload, &permissions);
    err = err ?: nkey_from_seed(NKEY_ACCOUNT, signing_seed, &signing_key);
    if (err)
        return error_wrap(err, "credentials of a guest");
    _cleanup_free_ char *name =
        xasprintf("guest-%s-%s-%llu", host, workload, (unsigned long long)generation);
    err = mint(&signing_key, account, name, &permissions, issued_s, ttl_s ? issued_s + ttl_s : 0,
               ret_credentials);
    nkey_done(&signing_key);
    return err;
}
