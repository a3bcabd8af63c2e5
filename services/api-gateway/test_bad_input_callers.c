/* Bad callers: no key, a wrong one, one that is over, one that may not; and others' things. */
#include "services/api-gateway/test_bad_input.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most rows have no headers */

#define W           "/api/v1/workloads/"
#define C           "/api/v1/workload-containers/"
#define E_LIST      "/api/v1/workload-events/list"
#define H           "/api/v1/webhooks/"
#define M           "/api/v1/members/"
#define K           "/api/v1/api-keys/"
#define T           "/api/v1/workload-tiers/"
#define A           "/api/v1/artifacts/"
#define HOST        "/api/v1/metal-instances/"
#define ACCOUNTS    "/api/v1/accounts/"
#define OUR         "{\"workloadId\":\"$WORKLOAD\"}"
#define ALIEN       "{\"workloadId\":\"$ALIENWORKLOAD\"}"
#define MISSING     "{\"workloadId\":\"w-none\"}"
#define HOOK        "{\"webhookId\":\"$WEBHOOK\"}"
#define ALIENHOOK   "{\"webhookId\":\"$ALIENWEBHOOK\"}"
#define NEW_KEY     "{\"accountId\":\"$OURS\",\"type\":\"user\"}"
#define UNKNOWN_ID  "00000000-0000-4000-8000-000000000000"
#define NO_KEY      401, "UNAUTHORIZED", "a valid API key is needed"
#define DENIED      401, "ACCESS_DENIED", "this API key may not do that"
#define NO_WORKLOAD 404, "NOT_FOUND", "no such workload"
#define NO_WEBHOOK  404, "NOT_FOUND", "no such webhook"
#define NO_MEMBER   404, "NOT_FOUND", "no such member"

const struct bad_row bad_callers[] = {
    /* no key, and what is none */
    {NOBODY, "GET", W "list", NULL, NO_KEY},
    {NOBODY, "POST", W "create", "{}", NO_KEY},
    {NOBODY, "POST", W "create", "{\"envVars\":{\"A\":\"" MARK "\"}", NO_KEY},
    {NOBODY, "GET", "/api/v1/events", NULL, NO_KEY},
    {NOBODY, "GET", W "$WORKLOAD/logs", NULL, NO_KEY},
    {NOBODY, "GET", H "list", NULL, NO_KEY},
    {NOBODY, "GET", HOST "list", NULL, NO_KEY},
    {NOBODY, "GET", T "list", NULL, NO_KEY},
    {NOBODY, "POST", A "enable", "{\"version\":\"1.2.3\"}", NO_KEY},
    {UNKNOWN, "GET", W "list", NULL, NO_KEY},
    {UNKNOWN, "POST", W "stop", OUR, NO_KEY},
    {UNKNOWN, "POST", H "create", "{\"url\":\"https://hooks.example/\"}", NO_KEY},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer \n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer x\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: $SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Basic $SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Token $SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer\t$SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer $SECRET extra\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer \"$SECRET\"\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer $SECRET,$SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer $DEPLOYER\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Authorization: Bearer $X2000\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "x-api-key: $SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Proxy-Authorization: Bearer $SECRET\n"},
    {NOBODY, "GET", W "list", NULL, NO_KEY, "Cookie: Authorization=Bearer $SECRET\n"},
    {NOBODY, "GET", ACCOUNTS "list", NULL, NO_KEY, "x-api-key: " TEST_ADMIN "x\n"},
    {NOBODY, "GET", ACCOUNTS "list?x-api-key=" TEST_ADMIN, NULL, NO_KEY},
    {NOBODY, "GET", W "list?access_token=$SECRET", NULL, NO_KEY},
    /* two keys: which one is meant is for nobody to guess */
    {DEPLOYER, "GET", W "list", NULL, 401, "UNAUTHORIZED", "more than one",
     "Authorization: Bearer $FOREIGNSECRET\n"},
    {DEPLOYER, "GET", W "list", NULL, 401, "UNAUTHORIZED", "more than one",
     "Authorization: Bearer $SECRET\n"},
    {FOREIGN, "POST", W "stop", OUR, 401, "UNAUTHORIZED", "more than one",
     "Authorization: Bearer $SECRET\n"},
    {GLOBAL_ADMIN, "GET", ACCOUNTS "list", NULL, 401, "UNAUTHORIZED", "more than one",
     "x-api-key: $X20\n"},

    /* a key that was good */
    {EXPIRED, "GET", W "list", NULL, NO_KEY},
    {EXPIRED, "GET", W "$WORKLOAD", NULL, NO_KEY},
    {EXPIRED, "POST", W "create", "{}", NO_KEY},
    {EXPIRED, "POST", W "delete", OUR, NO_KEY},
    {EXPIRED, "GET", "/api/v1/events", NULL, NO_KEY},
    {EXPIRED, "POST", H "test", HOOK, NO_KEY},
    {INACTIVE, "GET", W "list", NULL, NO_KEY},
    {INACTIVE, "POST", W "update", OUR, NO_KEY},
    {INACTIVE, "GET", H "$WEBHOOK", NULL, NO_KEY},
    {REVOKED, "GET", W "list", NULL, NO_KEY},
    {REVOKED, "POST", W "start", OUR, NO_KEY},
    {REVOKED, "POST", K "create", NEW_KEY, NO_KEY},
    {REVOKED, "GET", "/api/v1/audit", NULL, NO_KEY},
    {REVOKED, "PUT", H "update", "{\"webhookId\":\"$WEBHOOK\",\"active\":true}", NO_KEY},
    {DISABLED, "GET", W "list", NULL, NO_KEY},
    {DISABLED, "GET", ACCOUNTS "me", NULL, NO_KEY},
    {DISABLED, "POST", W "stop", OUR, NO_KEY},
    {DISABLED, "POST", M "create", "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"owner\"}",
     NO_KEY},

    /* a good one, but not for this */
    {READER, "POST", W "create", "{", DENIED},
    {READER, "POST", W "start", OUR, DENIED},
    {READER, "POST", W "stop", OUR, DENIED},
    {READER, "POST", W "restart", OUR, DENIED},
    {READER, "POST", W "update", OUR, DENIED},
    {READER, "POST", H "create", "{\"url\":\"https://hooks.example/\"}", DENIED},
    {READER, "GET", H "list", NULL, DENIED},
    {READER, "GET", H "$WEBHOOK/deliveries", NULL, DENIED},
    {READER, "POST", H "delete", HOOK, DENIED},
    {AUDITOR, "POST", W "stop", OUR, DENIED},
    {AUDITOR, "POST", H "test", HOOK, DENIED},
    {VIEWER, "POST", W "stop", OUR, DENIED},
    {VIEWER, "POST", W "delete", OUR, DENIED},
    {VIEWER, "POST", K "create", NEW_KEY, DENIED},
    {VIEWER, "PUT", M "update", "{\"memberId\":\"$MEMBER\",\"role\":\"viewer\"}", DENIED},
    {VIEWER, "PUT", ACCOUNTS "update", "{\"accountId\":\"$OURS\",\"name\":\"n\"}", DENIED},
    {DEPLOYER, "POST", T "create", "{}", DENIED},
    {DEPLOYER, "POST", M "delete", "{\"memberId\":\"$MEMBER\"}", DENIED},
    {DEPLOYER, "GET", M "account/$OURS", NULL, DENIED},
    {DEPLOYER, "GET", HOST "list", NULL, DENIED},
    {ACCOUNT_ADMIN, "POST", A "enable", "{\"version\":\"1.2.3\"}", DENIED},
    {ACCOUNT_ADMIN, "POST", A "disable", "{\"version\":\"" TEST_IMAGE "\"}", DENIED},
    {ACCOUNT_ADMIN, "PUT", T "update", "{}", DENIED},
    {ACCOUNT_ADMIN, "POST", T "delete", "{\"tierId\":\"t-1\"}", DENIED},
    {ACCOUNT_ADMIN, "POST", HOST "delete", "{\"metalInstanceId\":\"" TEST_HOST "\"}", DENIED},
    {ACCOUNT_ADMIN, "GET", HOST TEST_HOST, NULL, DENIED},
    {ACCOUNT_ADMIN, "PUT", ACCOUNTS "update", "{\"accountId\":\"$OURS\",\"quota\":{\"maxCpus\":9}}",
     401, "ACCESS_DENIED", "only the global admin sets quotas"},
    {GLOBAL_ADMIN, "GET", W "list", NULL, DENIED},
    {GLOBAL_ADMIN, "GET", W "$WORKLOAD", NULL, DENIED},
    {GLOBAL_ADMIN, "POST", W "stop", OUR, DENIED},
    {GLOBAL_ADMIN, "GET", H "list", NULL, DENIED},
    {ADMIN_BEARER, "GET", "/api/v1/events", NULL, DENIED},

    /* another account's workloads, and none */
    {FOREIGN, "GET", W "$WORKLOAD", NULL, NO_WORKLOAD},
    {FOREIGN, "GET", W "$WORKLOAD/manifest", NULL, NO_WORKLOAD},
    {FOREIGN, "GET", W "$WORKLOAD/env", NULL, NO_WORKLOAD},
    {FOREIGN, "GET", W "$WORKLOAD/events", NULL, NO_WORKLOAD},
    {FOREIGN, "GET", W "$WORKLOAD/logs", NULL, NO_WORKLOAD},
    {FOREIGN, "GET", W "$WORKLOAD?wait=1", NULL, NO_WORKLOAD, "If-None-Match: \"x\"\n"},
    {FOREIGN, "POST", W "plan", OUR, NO_WORKLOAD},
    {DEPLOYER, "POST", W "start", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", W "stop", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", W "delete", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", W "restart", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", W "restart",
     "{\"workloadId\":\"$ALIENWORKLOAD\",\"envVars\":{\"A\":\"" MARK "\"}}", NO_WORKLOAD},
    {DEPLOYER, "POST", W "update", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", W "logs", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", W "stats", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", C "list", ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", C "logs", "{\"workloadId\":\"$ALIENWORKLOAD\",\"container\":\"web\"}",
     NO_WORKLOAD},
    {DEPLOYER, "POST", E_LIST, ALIEN, NO_WORKLOAD},
    {DEPLOYER, "POST", E_LIST, "{\"workloadId\":\"$ALIENWORKLOAD\",\"wait\":60}", NO_WORKLOAD},
    {DEPLOYER, "GET", W "w-none", NULL, NO_WORKLOAD},
    {DEPLOYER, "GET", W UNKNOWN_ID "/manifest", NULL, NO_WORKLOAD},
    {DEPLOYER, "POST", W "stop", MISSING, NO_WORKLOAD},
    {DEPLOYER, "POST", W "update", MISSING, NO_WORKLOAD},
    {DEPLOYER, "POST", W "stop", MISSING, NO_WORKLOAD, "If-Match: \"1-2-00000000\"\n"},
    {DEPLOYER, "POST", E_LIST, "{\"workloadId\":\"W-OURS\"}", NO_WORKLOAD},
    {DEPLOYER, "POST", E_LIST, "{\"workloadId\":\"w-ours \"}", NO_WORKLOAD},
    {DEPLOYER, "POST", E_LIST, "{\"workloadId\":\"../w-ours\"}", NO_WORKLOAD},
    {DEPLOYER, "POST", E_LIST, "{\"workloadId\":\"w-ours\\n\"}", NO_WORKLOAD},
    {DEPLOYER, "POST", E_LIST, "{\"workloadId\":\"*\"}", NO_WORKLOAD},

    /* webhooks */
    {FOREIGN, "GET", H "$WEBHOOK", NULL, NO_WEBHOOK},
    {FOREIGN, "GET", H "$WEBHOOK/deliveries", NULL, NO_WEBHOOK},
    {FOREIGN, "PUT", H "update", "{\"webhookId\":\"$WEBHOOK\",\"active\":true}", NO_WEBHOOK},
    {FOREIGN, "PUT", H "update", "{\"webhookId\":\"$WEBHOOK\",\"rotateSecret\":true}", NO_WEBHOOK},
    {FOREIGN, "POST", H "delete", HOOK, NO_WEBHOOK},
    {FOREIGN, "POST", H "test", HOOK, NO_WEBHOOK},
    {DEPLOYER, "POST", H "delete", ALIENHOOK, NO_WEBHOOK},
    {DEPLOYER, "POST", H "test", ALIENHOOK, NO_WEBHOOK},
    {DEPLOYER, "GET", H UNKNOWN_ID, NULL, NO_WEBHOOK},
    {DEPLOYER, "POST", H "delete", "{\"webhookId\":\"../x\"}", NO_WEBHOOK},
    {DEPLOYER, "POST", H "test", HOOK, 412, "FAILED_PRECONDITION", "the webhook is off"},

    /* members, keys, accounts */
    {FOREIGN, "PUT", M "update", "{\"memberId\":\"$MEMBER\",\"role\":\"viewer\"}", NO_MEMBER},
    {FOREIGN, "POST", M "delete", "{\"memberId\":\"$MEMBER\"}", NO_MEMBER},
    {ACCOUNT_ADMIN, "POST", M "delete", "{\"memberId\":\"$ALIENMEMBER\"}", NO_MEMBER},
    {ACCOUNT_ADMIN, "POST", K "create",
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"memberId\":\"$ALIENMEMBER\"}", NO_MEMBER},
    {GLOBAL_ADMIN, "POST", K "create",
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"memberId\":\"$ALIENMEMBER\"}", NO_MEMBER},
    {ACCOUNT_ADMIN, "POST", M "delete", "{\"memberId\":\"$MEMBER\"}", 412, "FAILED_PRECONDITION",
     "last active owner"},
    {ACCOUNT_ADMIN, "PUT", M "update", "{\"memberId\":\"$MEMBER\",\"role\":\"viewer\"}", 412,
     "FAILED_PRECONDITION", "last active owner"},
    {ACCOUNT_ADMIN, "PUT", M "update", "{\"memberId\":\"$MEMBER\",\"active\":false}", 412,
     "FAILED_PRECONDITION", "last active owner"},
    {ACCOUNT_ADMIN, "PUT", K "update", "{\"id\":\"$FOREIGN\",\"active\":false}", 404, "NOT_FOUND",
     "no such API key"},
    {ACCOUNT_ADMIN, "GET", ACCOUNTS "$THEIRS", NULL, 404, "NOT_FOUND", "no such account"},
    {ACCOUNT_ADMIN, "GET", ACCOUNTS "dev", NULL, 404, "NOT_FOUND", "no such account"},
    {GLOBAL_ADMIN, "GET", HOST "host-none", NULL, 404, "NOT_FOUND", "no such host"},
    {GLOBAL_ADMIN, "GET", HOST "HOST-1", NULL, 404, "NOT_FOUND", "no such host"},
    {NOBODY, "GET", "/api/v1/images/9.9.9", NULL, 404, "NOT_FOUND", ""},
    {NOBODY, "GET", "/docs/passwd", NULL, 404, "NOT_FOUND", "no such file"},
};
const size_t n_bad_callers = ELEMENTSOF(bad_callers);
