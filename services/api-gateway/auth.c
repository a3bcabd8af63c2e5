#include "services/api-gateway/auth.h"

#include "services/api-gateway/accounts.h"
#include "services/api-gateway/api_keys.h"
#include "services/api-gateway/auth_cache.h"
#include "services/api-gateway/gateway.h"
#include "services/api-gateway/members.h"
#include "services/api-gateway/rate_limit.h"
#include "shared/base/file.h"

#define WHO(kind) (1U << (kind))
#define ANY_KEY   (WHO(PRINCIPAL_USER) | WHO(PRINCIPAL_ACCOUNT_ADMIN))
#define IDENTITY  WHO(PRINCIPAL_ACCOUNT_ADMIN)
#define GLOBAL    WHO(PRINCIPAL_GLOBAL_ADMIN)

static const struct {
    unsigned who;
    enum key_level least;
} scope_rows[SCOPES_] = {
    [SCOPE_NONE] = {~0U, LEVEL_NONE},
    [SCOPE_READ] = {ANY_KEY, LEVEL_READ},
    [SCOPE_DEPLOY] = {ANY_KEY, LEVEL_DEPLOY},
    [SCOPE_IDENTITY] = {IDENTITY, LEVEL_READ},
    [SCOPE_ACCOUNT_READ] = {IDENTITY | GLOBAL, LEVEL_READ},
    [SCOPE_ACCOUNT_ADMIN] = {IDENTITY | GLOBAL, LEVEL_ADMIN},
    [SCOPE_ADMIN] = {GLOBAL, LEVEL_ADMIN},
    [SCOPE_ADMIN_OR_ACCOUNT] = {ANY_KEY | GLOBAL, LEVEL_READ},
};

static struct error *refused(void)
{
    return error_new(ERROR_UNAUTHENTICATED, "a valid API key is needed: Authorization: Bearer ...");
}

static bool size_is_possible(const char *key)
{
    size_t size = key ? strlen(key) : 0;

    return size >= API_KEY_MIN && size <= API_KEY_MAX;
}

struct given {
    unsigned bearers;
    unsigned admin_keys;
};

static enum MHD_Result count_key(void *state, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct given *given = state;

    (void)kind;
    (void)value;
    given->bearers += strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0;
    given->admin_keys += strcasecmp(name, "x-api-key") == 0;
    return MHD_YES;
}

/* Who stands before us may have looked at another one of them than we would. */
static struct error *check_given_once(const struct request *request)
{
    struct given given = {0};

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, count_key, &given);
    if (given.bearers <= 1 && given.admin_keys <= 1)
        return NULL;
    return error_new(ERROR_UNAUTHENTICATED, "more than one API key is given: send one");
}

static const char *bearer_of(const struct request *request)
{
    const char *header = http_header(request, MHD_HTTP_HEADER_AUTHORIZATION);

    if (!header || strncasecmp(header, "Bearer ", 7) != 0)
        return NULL;
    return header + 7 + strspn(header + 7, " ");
}

static bool is_admin_key(const struct gateway *gateway, const char *key)
{
    uint8_t digest[SHA256_SIZE];

    if (!gateway->has_admin_key || !size_is_possible(key))
        return false;
    sha256(key, strlen(key), digest);
    return CRYPTO_memcmp(digest, gateway->admin_key_sha256, sizeof(digest)) == 0;
}

/* now: from memory alone, as on the event loop; what it does not know is refused. */
static struct error *check_account(struct request *request, const struct auth_key *key, bool now)
{
    struct error *err = NULL;
    struct auth_account account = {0};

    memcpy(request->account, key->account, sizeof(request->account));
    if (!now)
        err = auth_account_find(request, &account);
    else if (!auth_account_now(request->gateway, key->account, &account))
        account.active = false;
    if (!err && account.active)
        return NULL;
    *request->account = '\0';
    return err ?: refused();
}

static bool is_usable(const struct gateway *gateway, const struct auth_key *key)
{
    return key->active &&
           (!key->expires_at_ms || key->expires_at_ms > clock_wall_ms(gateway->clock));
}

static struct error *find_key(struct request *request, const char *hash, bool now,
                              struct auth_key *ret_key)
{
    if (!now)
        return auth_key_find(request, hash, ret_key);
    return auth_key_now(request->gateway, hash, ret_key) ? NULL : refused();
}

static struct error *limit_by_member(struct request *request, bool now, struct auth_key *key)
{
    struct auth_member member = {0};
    struct error *err = NULL;

    if (!*key->member)
        return NULL;
    if (!now)
        err = auth_member_find(request, key, &member);
    else if (!auth_member_now(request->gateway, key->member, &member))
        err = refused();
    key->active = key->active && member.active;
    key->level = key->level < member.level ? key->level : member.level;
    return err;
}

/* What the key may do now; its account is then the request's. */
static struct error *judge_key(struct request *request, const char *hash, bool now,
                               struct auth_key *ret_key)
{
    struct error *err = find_key(request, hash, now, ret_key);

    err = err ?: limit_by_member(request, now, ret_key);
    if (!err && !is_usable(request->gateway, ret_key))
        err = refused();
    return err ?: check_account(request, ret_key, now);
}

static struct error *check_key(struct request *request, const char *secret, bool now)
{
    struct gateway *gateway = request->gateway;
    struct auth_key key;
    char hash[65];

    if (!size_is_possible(secret))
        return refused();
    if (!now)
        error_free(gateway_ensure_bootstrap(gateway));
    api_key_hash(secret, hash);
    struct error *err = judge_key(request, hash, now, &key);
    if (err)
        return err;
    request->principal = (struct principal){
        .kind = key.type == API_KEY_USER ? PRINCIPAL_USER : PRINCIPAL_ACCOUNT_ADMIN,
        .level = key.level,
    };
    memcpy(request->principal.key_id, key.id, sizeof(request->principal.key_id));
    key_usage_note(&gateway->key_usage, hash);
    return NULL;
}

/* The admin key first, as there; who sends another x-api-key may still have a good bearer. */
static struct error *authenticate(struct request *request, bool now)
{
    const char *bearer = bearer_of(request);
    struct error *err = check_given_once(request);

    if (err)
        return err;
    if (!is_admin_key(request->gateway, http_header(request, "x-api-key")) &&
        !is_admin_key(request->gateway, bearer))
        return check_key(request, bearer, now);
    request->principal = (struct principal){.kind = PRINCIPAL_GLOBAL_ADMIN, .level = LEVEL_ADMIN};
    return NULL;
}

const char *auth_secret(const struct request *request)
{
    const char *admin = http_header(request, "x-api-key");

    return is_admin_key(request->gateway, admin) ? admin : bearer_of(request);
}

static struct error *authenticate_by_store(struct request *request)
{
    return authenticate(request, false);
}

/* Whether the route is for a caller who is known. */
static struct error *check_scope(const struct request *request)
{
    enum scope scope = request->route->scope;

    if (!(scope_rows[scope].who & WHO(request->principal.kind)) ||
        request->principal.level < scope_rows[scope].least)
        return error_new(ERROR_PERMISSION_DENIED, "this API key may not do that");
    return NULL;
}

struct error *auth_check(struct request *request)
{
    struct error *err = rate_limit_guess(request, authenticate_by_store);

    return err ?: check_scope(request);
}

bool auth_check_now(struct request *request, struct error **ret_err)
{
    struct error *err = authenticate(request, true);

    if (err) { /* told by the other, which counts it */
        error_free(err);
        return false;
    }
    *ret_err = check_scope(request);
    return true;
}

struct error *auth_check_again(struct gateway *gateway, const char sha256[65], struct arena *arena)
{
    struct request request = {.gateway = gateway, .arena = arena};
    struct auth_key key;
    struct error *err = judge_key(&request, sha256, false, &key);

    return err || key.level >= LEVEL_READ ? err : refused();
}

struct error *auth_load_admin_key(struct gateway *gateway)
{
    char *key = NULL;

    if (!*gateway->config->admin_key_file)
        return NULL;
    struct error *err = file_read_text(gateway->config->admin_key_file, 1024, &key);
    if (!err && !size_is_possible(key))
        err = error_new(ERROR_INVALID_ARGUMENT, "the key has not %d to %d characters", API_KEY_MIN,
                        API_KEY_MAX);
    if (!err)
        sha256(key, strlen(key), gateway->admin_key_sha256);
    gateway->has_admin_key = !err;
    if (key)
        OPENSSL_cleanse(key, strlen(key));
    free(key);
    return error_wrap(err, "GATEWAY_ADMIN_KEY_FILE");
}

struct error *auth_ensure_key(struct gateway *gateway, const char *account, const char *key)
{
    struct error *err = account_ensure(gateway, account);

    return err ?: api_key_ensure(gateway, account, key);
}
