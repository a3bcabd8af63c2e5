/* Bodies that would be taken, with every member that their route knows. */
#include "services/api-gateway/test_bad_input.h"

#define W    "/api/v1/workloads/"
#define ONE  "{\"workloadId\":\"$WORKLOAD\""
#define SALT "0101010101010101010101010101010101010101010101010101010101010101"
#define FILES                                                                                      \
    "\"files\":{\"f\":\"aGVsbG8=\"},\"secretFiles\":{\"k\":{\"content\":\"aGVsbG8=\",\"salt\":"    \
    "\"" SALT "\"}}"
#define REGISTRIES                                                                                 \
    "\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"" MARK "\"}]"
#define PROJECT                                                                                    \
    "\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE                                            \
    "\",\"dockerCompose\":\"services: {web: {image: a}}\",\"publicContainerName\":\"web\","        \
    "\"publicContainerPort\":80,\"domain\":\"a.example.com\"," REGISTRIES "," FILES
#define SIZES  "\"memory\":1024,\"cpus\":1,\"disk\":10,\"gpus\":0"
#define REASON "\"reason\":\"r\""
#define TIER   "\"name\":\"n\",\"cpus\":1,\"gpus\":0,\"memoryMb\":1024,\"diskGb\":10,\"cost\":0.25"

const struct bad_body bad_bodies[] = {
    {DEPLOYER, "POST", W "create",
     "{\"workloadId\":\"w-x\"," PROJECT "," SIZES ",\"envVars\":{},"
     "\"heartbeat\":{\"measurementHashUrl\":\"u\"}}"},
    {DEPLOYER, "POST", W "update",
     ONE "," PROJECT "," REASON ",\"envVars\":{},\"removeFiles\":[],\"confirmDataLoss\":true}"},
    {DEPLOYER, "POST", W "update", ONE ",\"setEnvVars\":{},\"unsetEnvVars\":[]}"},
    {DEPLOYER, "POST", W "restart",
     ONE "," REASON ",\"envVars\":{},\"dockerCredentials\":[],\"secretFiles\":{}}"},
    {DEPLOYER, "POST", W "start", ONE "," REASON "}"},
    {DEPLOYER, "POST", W "stop", ONE "," REASON "}"},
    {DEPLOYER, "POST", W "delete", ONE "," REASON "}"},
    {READER, "POST", W "logs", ONE ",\"tail\":true,\"maxLines\":5,\"source\":\"guest-agent\"}"},
    {READER, "POST", W "stats", ONE "}"},
    {READER, "POST", "/api/v1/workload-containers/list", ONE "}"},
    {READER, "POST", "/api/v1/workload-containers/logs",
     ONE ",\"container\":\"web\",\"tail\":true,\"maxLines\":5,\"stream\":\"stdout\"}"},
    {READER, "POST", "/api/v1/workload-events/list",
     ONE ",\"afterSequence\":1,\"limit\":5,\"wait\":1}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/accounts/create",
     "{\"name\":\"n\",\"walletAddress\":\"0x00112233445566778899001122334455667788ab\","
     "\"balance\":1.5}"},
    {GLOBAL_ADMIN, "PUT", "/api/v1/accounts/update",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"quota\":{\"maxCpus\":4}}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/accounts/add-balance",
     "{\"accountId\":\"$OURS\",\"balance\":1.5}"},
    {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/create",
     "{\"accountId\":\"$OURS\",\"type\":\"user\",\"active\":true,\"name\":\"n\",\"scopes\":["
     "\"read\"],\"expiresAt\":\"2033-01-01T00:00:00Z\",\"memberId\":\"$MEMBER\"}"},
    {ACCOUNT_ADMIN, "PUT", "/api/v1/api-keys/update",
     "{\"id\":\"$DEPLOYER\",\"type\":\"user\",\"active\":true,\"name\":\"n\",\"scopes\":["
     "\"read\"],\"expiresAt\":\"2033-01-01T00:00:00Z\"}"},
    {ACCOUNT_ADMIN, "POST", "/api/v1/api-keys/delete", "{\"id\":\"$READER\"}"},
    {ACCOUNT_ADMIN, "POST", "/api/v1/members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"viewer\"}"},
    {ACCOUNT_ADMIN, "PUT", "/api/v1/members/update",
     "{\"memberId\":\"$MEMBER\",\"name\":\"n\",\"role\":\"owner\",\"active\":true}"},
    {ACCOUNT_ADMIN, "POST", "/api/v1/members/delete", "{\"memberId\":\"$MEMBER\"}"},
    {DEPLOYER, "POST", "/api/v1/webhooks/create",
     "{\"url\":\"https://hooks.example/in\",\"events\":[\"running\"],\"description\":\"d\","
     "\"active\":true}"},
    {DEPLOYER, "PUT", "/api/v1/webhooks/update",
     "{\"webhookId\":\"$WEBHOOK\",\"url\":\"https://hooks.example/in\",\"events\":[\"running\"],"
     "\"description\":\"d\",\"active\":true,\"rotateSecret\":true}"},
    {DEPLOYER, "POST", "/api/v1/webhooks/delete", "{\"webhookId\":\"$WEBHOOK\"}"},
    {DEPLOYER, "POST", "/api/v1/webhooks/test", "{\"webhookId\":\"$WEBHOOK\"}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/artifacts/enable", "{\"version\":\"1.2.3\"}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/artifacts/disable", "{\"version\":\"1.2.3\"}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/workload-tiers/create", "{" TIER "}"},
    {GLOBAL_ADMIN, "PUT", "/api/v1/workload-tiers/update", "{\"tierId\":\"t-1\"," TIER "}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/workload-tiers/delete", "{\"tierId\":\"t-1\"}"},
    {GLOBAL_ADMIN, "POST", "/api/v1/metal-instances/delete", "{\"metalInstanceId\":\"h-1\"}"},
};
const size_t n_bad_bodies = ELEMENTSOF(bad_bodies);
