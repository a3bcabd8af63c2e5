#include "services/api-gateway/test_parity_table.h"

#define A      "/api/v1/"
#define W      "{\"workloadId\":\"" TEST_WORKLOAD "\"}"

#define WALLET "0x00112233445566778899aAbBcCdDeEfF00112233"
#define ACCOUNT                                                                                    \
    "accountId:s name:s walletAddress:s createdAt:t balance:n +quota:o +quota.maxWorkloads:n "     \
    "+quota.maxCpus:n +quota.maxMemoryMb:n +quota.maxDiskGb:n +quota.maxGpus:n"
#define API_KEY                                                                                    \
    "id:s accountId:s type:s active:b createdAt:t updatedAt:t +keyId:s +name:s +scopes:a "         \
    "+expiresAt:s0 +lastUsedAt:s0 ?memberId:s0 ?etag:s"
#define TIER         "tierId:s name:s cpus:n gpus:n memoryMb:n diskGb:n cost:n"
#define TIER_REQUEST "name:s=\"small\" cpus:n=2 gpus:n*=0 memoryMb:n=2048 diskGb:n=10 cost:n=0.25"
#define HOST                                                                                       \
    "metalInstanceId:s agentVersion:s publicIp:s domain:s hostname:s memoryMb:o "                  \
    "memoryMb.reserved:n memoryMb.total:n cpus:o cpus.reserved:n cpus.total:n diskSpaceGb:o "      \
    "diskSpaceGb.reserved:n diskSpaceGb.total:n gpus:n ?gpuModel:s createdAt:t updatedAt:t "       \
    "+gpusUsed:n +lastSeenAt:t +state:s +eligible:b +tee:s +chipId:s +cpuModel:s +hypervisor:s "   \
    "+images:a +vms:n"
#define WORKLOAD_SHORT                                                                             \
    "workloadId:s accountId:s name:s artifactsVersion:s domain:s publicContainerName:s "           \
    "publicContainerPort:n memory:n cpus:n disk:n gpus:n usdCostPerMin:n status:s createdAt:t "    \
    "updatedAt:t metalInstanceDomain:s +metalInstanceId:s +hostId:s +ingressAddress:s "            \
    "+statusReason:s +statusCode:s +bootNumber:n +generation:n +restarts:n +containersDown:a "     \
    "+stages:a +evidenceKind:s ?manifestHash:s ?measurement:s ?nextAttemptAt:t"
#define WORKLOAD                                                                                   \
    WORKLOAD_SHORT                                                                                 \
    " dockerCompose:s +envVarNames:a +fileNames:a +secretFileNames:a +dockerRegistries:a"
#define CREATE                                                                                     \
    "name:s=\"n\" artifactsVersion:s=\"" TEST_IMAGE "\" dockerCompose:s=\"" PARITY_COMPOSE         \
    "\" envVars:o?={\"A\":\"x\"} files:o?={\"a/b_c-d.txt\":\"aGk=\"} "                             \
    "dockerCredentials:a?=[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"p\"}] "        \
    "domain:s?=\"app.example.com\" publicContainerName:s=\"web\" publicContainerPort:n=80 "        \
    "memory:n=1024 cpus:n=2 disk:n=5 gpus:n*=0 "                                                   \
    "heartbeat:o?={\"measurementHashUrl\":\"https://example.com/hash\"}"

const struct parity_row parity_rows[] = {
    {"POST", A "accounts/create", GLOBAL_ADMIN, ACCOUNT_ADMIN,
     "name:s=\"n\" walletAddress:s*=\"" WALLET "\" balance:n?=1.5", ACCOUNT, NULL},
    {"PUT", A "accounts/update", ACCOUNT_ADMIN, DEPLOYER, "accountId:s=\"$OURS\" name:s=\"ours\"",
     ACCOUNT, NULL},
    {"PUT", A "accounts/update", GLOBAL_ADMIN, AUDITOR, "accountId:s=\"$OURS\" name:s=\"ours\"",
     ACCOUNT, NULL},
    {"GET", A "accounts/list", GLOBAL_ADMIN, ACCOUNT_ADMIN, NULL, "[" ACCOUNT "]", NULL},
    {"GET", A "accounts/me", ACCOUNT_ADMIN, DEPLOYER, NULL, ACCOUNT " burnRatePerMin:n", NULL},
    {"GET", A "accounts/$OURS", ACCOUNT_ADMIN, DEPLOYER, NULL, ACCOUNT " +burnRatePerMin:n", NULL},
    {"GET", A "accounts/$OURS", GLOBAL_ADMIN, READER, NULL, ACCOUNT " +burnRatePerMin:n", NULL},
    {"POST", A "accounts/add-balance", GLOBAL_ADMIN, ACCOUNT_ADMIN,
     "accountId:s=\"$OURS\" balance:n=-0.25", ACCOUNT, NULL},

    {"POST", A "api-keys/create", ACCOUNT_ADMIN, DEPLOYER,
     "accountId:s=\"$OURS\" type:s=\"user\" active:b?=true", API_KEY, NULL},
    {"POST", A "api-keys/create", GLOBAL_ADMIN, AUDITOR,
     "accountId:s=\"$OURS\" type:s=\"account-admin\" active:b?=false", API_KEY, NULL},
    {"GET", A "api-keys/account/$OURS", ACCOUNT_ADMIN, DEPLOYER, NULL, "[" API_KEY " +etag:s]",
     NULL},
    {"GET", A "api-keys/account/$OURS", GLOBAL_ADMIN, READER, NULL, "[" API_KEY " +etag:s]", NULL},
    {"PUT", A "api-keys/update", ACCOUNT_ADMIN, AUDITOR,
     "id:s=\"$SECRET\" active:b=false type:s?=\"user\"", API_KEY, NULL},
    {"PUT", A "api-keys/update", GLOBAL_ADMIN, READER,
     "id:s=\"$SECRET\" type:s=\"account-admin\" active:b?=true", API_KEY, NULL},
    {"POST", A "api-keys/delete", ACCOUNT_ADMIN, AUDITOR, "id:s=\"$SECRET\"", "", NULL},

    {"POST", A "artifacts/enable", GLOBAL_ADMIN, ACCOUNT_ADMIN, "version:s=\"" TEST_IMAGE "\"",
     "version:s builtAt:t", NULL},
    {"GET", A "artifacts/list", GLOBAL_ADMIN, NOBODY, NULL, "[version:s builtAt:t]", NULL},
    {"GET", A "artifacts/list", READER, NOBODY, NULL, "[version:s builtAt:t]", NULL},
    {"POST", A "artifacts/disable", GLOBAL_ADMIN, DEPLOYER, "version:s=\"" TEST_IMAGE "\"", "",
     NULL},

    {"POST", A "workloads/create", DEPLOYER, READER, CREATE, WORKLOAD, NULL},
    {"GET", A "workloads/list", READER, GLOBAL_ADMIN, NULL, "[" WORKLOAD_SHORT "]", NULL},
    {"GET", A "workloads/" TEST_WORKLOAD, READER, GLOBAL_ADMIN, NULL, WORKLOAD, NULL},
    {"POST", A "workloads/delete", DEPLOYER, READER, "workloadId:s=\"" TEST_WORKLOAD "\"", "+",
     NULL},
    {"POST", A "workloads/restart", DEPLOYER, READER,
     "workloadId:s=\"" TEST_WORKLOAD "\" envVars:o?={\"A\":\"x\"}", "+", NULL},
    {"POST", A "workloads/logs", READER, GLOBAL_ADMIN,
     "workloadId:s=\"" TEST_WORKLOAD "\" tail:b*=true source:s?=\"cvm-agent\" maxLines:n?=1000",
     "lines:a", NULL},
    {"POST", A "workloads/stats", READER, GLOBAL_ADMIN, "workloadId:s=\"" TEST_WORKLOAD "\"",
     "memory:o memory.total:n memory.used:n cpus:a cpus[].name:s cpus[].usage:n "
     "cpus[].frequency:n disks:a disks[].name:s disks[].mountPoint:s disks[].filesystem:s "
     "disks[].size:n disks[].used:n",
     NULL},
    {"POST", A "workload-containers/list", READER, GLOBAL_ADMIN,
     "workloadId:s=\"" TEST_WORKLOAD "\"",
     "[names:a image:s imageId:s state:s +service:s +health:s +exitCode:n +restarts:n +ours:b]",
     NULL},
    {"POST", A "workload-containers/logs", READER, GLOBAL_ADMIN,
     "workloadId:s=\"" TEST_WORKLOAD
     "\" container:s=\"web\" tail:b*=false stream:s*=\"stderr\" maxLines:n?=1",
     "lines:a", NULL},
    {"POST", A "workload-events/list", READER, GLOBAL_ADMIN, "workloadId:s=\"" TEST_WORKLOAD "\"",
     "events:a events[].eventId:s events[].timestamp:t events[].details:o "
     "events[].details.kind:s events[].details.error:s +events[].sequence:n "
     "+events[].workloadId:s ?nextAfterSequence:n",
     NULL},

    {"POST", A "workload-tiers/create", GLOBAL_ADMIN, ACCOUNT_ADMIN, TIER_REQUEST, TIER, NULL},
    {"GET", A "workload-tiers/list", GLOBAL_ADMIN, NOBODY, NULL, "[" TIER "]", NULL},
    {"GET", A "workload-tiers/list", READER, NOBODY, NULL, "[" TIER "]", NULL},
    {"PUT", A "workload-tiers/update", GLOBAL_ADMIN, ACCOUNT_ADMIN,
     "tierId:s=\"t-1\" name:s=\"small\" cpus:n=2 gpus:n=0 memoryMb:n=2048 diskGb:n=10 cost:n=0.25",
     TIER, NULL},
    {"POST", A "workload-tiers/delete", GLOBAL_ADMIN, DEPLOYER, "tierId:s=\"t-1\"", "", NULL},

    {"GET", A "metal-instances/list", GLOBAL_ADMIN, ACCOUNT_ADMIN, NULL, "[" HOST "]", NULL},
    {"GET", A "metal-instances/" TEST_HOST, GLOBAL_ADMIN, READER, NULL, HOST " +workloads:a", NULL},
    {"POST", A "metal-instances/delete", GLOBAL_ADMIN, ACCOUNT_ADMIN,
     "metalInstanceId:s=\"" TEST_HOST "\"", "", NULL},

    {"GET", "/health", NOBODY, NOBODY, NULL, NULL, "OK"},
};
const size_t parity_n_rows = ELEMENTSOF(parity_rows);

#define CREATE_BODY                                                                                \
    "{\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\",\"dockerCompose\":\"" PARITY_COMPOSE  \
    "\",\"publicContainerName\":\"web\",\"publicContainerPort\":80,\"memory\":1024,\"cpus\":2,"    \
    "\"disk\":5,\"gpus\":0}"
#define TIER_BODY                                                                                  \
    "{\"name\":\"n\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,\"diskGb\":10,\"cost\":0.25}"

const struct parity_refusal parity_refusals[] = {
    {"POST", A "accounts/create", GLOBAL_ADMIN, "{}", ERROR_OK, NULL, 400, "INVALID_PAYLOAD"},
    {"POST", A "accounts/create", GLOBAL_ADMIN, "{\"name\":\"n\",\"walletAddress\":\"0x12\"}",
     ERROR_OK, NULL, 400, "INVALID_PAYLOAD"},
    {"GET", A "accounts/No.Id", GLOBAL_ADMIN, NULL, ERROR_OK, NULL, 400, "INVALID_PATH"},
    {"GET", A "accounts/none", GLOBAL_ADMIN, NULL, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"PUT", A "accounts/update", GLOBAL_ADMIN, "{\"accountId\":\"none\",\"name\":\"n\"}", ERROR_OK,
     NULL, 404, "NOT_FOUND"},
    {"POST", A "accounts/add-balance", GLOBAL_ADMIN,
     "{\"accountId\":\"$OURS\",\"balance\":-10.000001}", ERROR_OK, NULL, 412, "NOT_ENOUGH_BALANCE"},
    {"GET", A "api-keys/account/No.Id", GLOBAL_ADMIN, NULL, ERROR_OK, NULL, 400, "INVALID_PATH"},
    {"POST", A "api-keys/create", GLOBAL_ADMIN, "{\"accountId\":\"none\",\"type\":\"user\"}",
     ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "api-keys/delete", GLOBAL_ADMIN, "{\"id\":\"none\"}", ERROR_OK, NULL, 404,
     "NOT_FOUND"},
    {"PUT", A "api-keys/update", ACCOUNT_ADMIN, "{\"id\":\"$DEPLOYER\"}", ERROR_OK, NULL, 400,
     "INVALID_PAYLOAD"},

    {"POST", A "artifacts/enable", GLOBAL_ADMIN, "{\"version\":\"9.9.9\"}", ERROR_NOT_FOUND, NULL,
     400, "ARTIFACT_VERSION_DOES_NOT_EXIST"},
    {"POST", A "artifacts/disable", GLOBAL_ADMIN, "{\"version\":\"9.9.9\"}", ERROR_NOT_FOUND, NULL,
     404, "NOT_FOUND"},
    {"POST", A "artifacts/enable", GLOBAL_ADMIN, "{}", ERROR_OK, NULL, 400, "INVALID_PAYLOAD"},

    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_OUT_OF_RANGE, "no_tier", 400,
     "INVALID_WORKLOAD_TIER"},
    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_NOT_FOUND, "no_image", 400,
     "ARTIFACT_VERSION_DOES_NOT_EXIST"},
    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_FAILED_PRECONDITION, "no_balance",
     412, "NOT_ENOUGH_BALANCE"},
    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_RESOURCE_EXHAUSTED, "no_host", 503,
     "NOT_ENOUGH_RESOURCES"},
    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_ALREADY_EXISTS, "domain_taken", 400,
     "DOMAIN_EXISTS"},
    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_ALREADY_EXISTS, NULL, 409,
     "ALREADY_EXISTS"},
    {"POST", A "workloads/create", DEPLOYER, CREATE_BODY, ERROR_INTERNAL, NULL, 500, "INTERNAL"},
    {"POST", A "workloads/create", DEPLOYER, "{}", ERROR_OK, NULL, 400, "INVALID_PAYLOAD"},
    {"POST", A "workloads/create", DEPLOYER, "{\"envVar\":{}}", ERROR_OK, NULL, 400,
     "INVALID_PAYLOAD"},
    {"GET", A "workloads/none", READER, NULL, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"GET", A "workloads/" TEST_WORKLOAD, FOREIGN, NULL, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "workloads/delete", FOREIGN, W, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "workloads/restart", FOREIGN, W, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "workloads/logs", FOREIGN, W, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "workloads/logs", READER, "{\"workloadId\":\"" TEST_WORKLOAD "\",\"maxLines\":1001}",
     ERROR_OK, NULL, 400, "INVALID_PAYLOAD"},
    {"POST", A "workloads/stats", FOREIGN, W, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "workload-containers/list", FOREIGN, W, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "workload-containers/logs", READER,
     "{\"workloadId\":\"" TEST_WORKLOAD "\",\"container\":\"web\",\"stream\":\"both\"}", ERROR_OK,
     NULL, 400, "INVALID_PAYLOAD"},
    {"POST", A "workload-events/list", FOREIGN, W, ERROR_OK, NULL, 404, "NOT_FOUND"},

    {"POST", A "workload-tiers/create", GLOBAL_ADMIN, TIER_BODY, ERROR_ALREADY_EXISTS, NULL, 409,
     "ALREADY_EXISTS"},
    {"POST", A "workload-tiers/create", GLOBAL_ADMIN,
     "{\"name\":\"n\",\"cpus\":2,\"gpus\":0,\"memoryMb\":2048,\"diskGb\":10,\"cost\":0}", ERROR_OK,
     NULL, 400, "INVALID_PAYLOAD"},
    {"POST", A "workload-tiers/delete", GLOBAL_ADMIN, "{\"tierId\":\"none\"}", ERROR_NOT_FOUND,
     NULL, 404, "NOT_FOUND"},
    {"GET", A "metal-instances/none", GLOBAL_ADMIN, NULL, ERROR_OK, NULL, 404, "NOT_FOUND"},
    {"POST", A "metal-instances/delete", GLOBAL_ADMIN, "{\"metalInstanceId\":\"" TEST_HOST "\"}",
     ERROR_FAILED_PRECONDITION, NULL, 412, "METAL_INSTANCE_MANAGING_WORKLOADS"},
};
const size_t parity_n_refusals = ELEMENTSOF(parity_refusals);
