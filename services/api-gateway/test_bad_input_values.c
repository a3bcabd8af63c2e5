/* Bad values inside of bodies that are JSON: what no type tells. */
#include "services/api-gateway/test_bad_input.h"

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* most rows have no headers */

#define V       "/api/v1/"
#define W       "/api/v1/workloads/"
#define CREATE  DEPLOYER, "POST", W "create"
#define UPDATE  DEPLOYER, "POST", W "update"
#define RESTART DEPLOYER, "POST", W "restart"
#define STOP    DEPLOYER, "POST", W "stop"
#define HOOK    DEPLOYER, "POST", V "webhooks/create"
#define QUOTA   GLOBAL_ADMIN, "PUT", V "accounts/update"
#define TIER    GLOBAL_ADMIN, "POST", V "workload-tiers/create"
#define ENABLE  GLOBAL_ADMIN, "POST", V "artifacts/enable"
#define EVENTS  READER, "POST", V "workload-events/list"
#define LINES   READER, "POST", V "workload-containers/logs"
#define BAD     400, "INVALID_PAYLOAD"
#define PART                                                                                       \
    "{\"name\":\"n\",\"artifactsVersion\":\"" TEST_IMAGE "\",\"publicContainerName\":\"web\","     \
    "\"publicContainerPort\":80,\"memory\":1024,\"cpus\":1,\"disk\":10,\"gpus\":0,"
#define WITH(rest)    PART "\"dockerCompose\":\"services: {web: {image: a}}\"," rest "}"
#define COMPOSE(text) PART "\"dockerCompose\":\"" text "\"}"
#define OUR(rest)     "{\"workloadId\":\"$WORKLOAD\"," rest "}"
#define LIMITS(rest)  "{\"accountId\":\"$OURS\",\"quota\":{" rest "}}"
#define SALT          "0101010101010101010101010101010101010101010101010101010101010101"
#define SIZED(cpus, memory, disk, cost)                                                            \
    "{\"name\":\"n\",\"cpus\":" cpus ",\"gpus\":0,\"memoryMb\":" memory ",\"diskGb\":" disk        \
    ",\"cost\":" cost "}"

const struct bad_row bad_values[] = {
    /* ids and names of workloads */
    {CREATE, WITH("\"workloadId\":\"A\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"..\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"a/b\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"a.b\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"a*\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"a>\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"w\\u00e4\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"a\\nb\""), BAD, "'workloadId' is not an id"},
    {CREATE, WITH("\"workloadId\":\"$X200\""), BAD, "'workloadId' is longer than 63 bytes"},
    {UPDATE, OUR("\"name\":\"$X1000\""), BAD, "'name' is longer than"},
    {UPDATE, OUR("\"name\":\"\""), BAD, "'name' is empty"},
    {UPDATE, OUR("\"name\":\"a\\u001b[2J\""), BAD, "'name' has a control character"},
    {STOP, OUR("\"reason\":\"$X300\""), BAD, "'reason' is longer than 256 bytes"},
    {RESTART, OUR("\"reason\":\"$X300\""), BAD, "'reason' is longer than 256 bytes"},
    {STOP, "{\"workloadid\":\"$WORKLOAD\"}", BAD, "'workloadId' is missing"},
    {STOP, "{\"workloadId\":null}", BAD, "'workloadId' is missing"},
    {STOP, "{\"workloadId\":{\"$ne\":\"\"}}", BAD, "'workloadId' is"},
    {STOP, "{\"workloadId\":[\"$WORKLOAD\"]}", BAD, "'workloadId' is"},

    /* sizes */
    {CREATE, WITH("\"domain\":\"-a.example.com\""), BAD, "'domain' is not a domain name"},
    {CREATE, WITH("\"domain\":\"a..b\""), BAD, "'domain' is not a domain name"},
    {CREATE, WITH("\"domain\":\"https://a.test/\""), BAD, "'domain' is not a domain name"},
    {CREATE, WITH("\"domain\":\"*.example.com\""), BAD, "'domain' is not a domain name"},
    {CREATE, WITH("\"domain\":\"a.test\\r\\nHost: b\""), BAD, "'domain' is not a domain name"},
    {CREATE, WITH("\"domain\":\"$X300\""), BAD, "'domain' is longer than 253 bytes"},
    {UPDATE, OUR("\"publicContainerPort\":0"), BAD, "'publicContainerPort' is out of range"},
    {UPDATE, OUR("\"publicContainerPort\":65536"), BAD, "'publicContainerPort' is out of range"},
    {UPDATE, OUR("\"publicContainerName\":\"db\""), BAD, "which is to be public"},
    {UPDATE, OUR("\"artifactsVersion\":\"../0.1.0\""), 400, "ARTIFACT_VERSION_DOES_NOT_EXIST", ""},
    {UPDATE, OUR("\"artifactsVersion\":\"9.9.9\""), 400, "ARTIFACT_VERSION_DOES_NOT_EXIST", ""},
    {UPDATE, OUR("\"memory\":2048"), BAD, "there is no field 'memory'"},
    {CREATE, WITH("\"account_id\":\"$THEIRS\""), BAD, "there is no field 'account_id'"},
    {CREATE, WITH("\"__proto__\":{}"), BAD, "there is no field '__proto__'"},
    {CREATE, WITH("\"\":1"), BAD, "there is no field ''"},

    /* compose */
    {CREATE, COMPOSE(""), BAD, "'dockerCompose' is empty"},
    {CREATE, COMPOSE("["), BAD, "findings"},
    {CREATE, COMPOSE("$DEEP"), BAD, "findings"},
    {CREATE, COMPOSE("services: {web: {image: a, privileged: true}}"), BAD, "privileged"},
    {CREATE, COMPOSE("services: {web: {image: a, volumes: ['/:/host']}}"), BAD, "volumes"},
    {CREATE, COMPOSE("services: {db: {image: a}}"), BAD, "which is to be public"},
    {CREATE, COMPOSE("a: &a [1]\\nservices: {web: {image: a, x: *b}}"), BAD, "findings"},
    {CREATE, COMPOSE("services: {web: {image: a}, web: {image: b}}"), BAD, "findings"},
    {CREATE, COMPOSE("services: {web: {image: a, env_file: /etc/passwd}}"), BAD, "env_file"},
    {CREATE, COMPOSE("services: {web: {image: a}}\\n---\\nservices: {}"), BAD, "findings"},
    {UPDATE, OUR("\"dockerCompose\":\"services: {web: {image: a, network_mode: host}}\""), BAD,
     "network_mode"},

    /* secrets: named, never told */
    {CREATE, WITH("\"envVars\":{\"1A\":\"" MARK "\"}"), BAD, "not a name of an environment value"},
    {CREATE, WITH("\"envVars\":{\"A=B\":\"" MARK "\"}"), BAD, "not a name of an environment value"},
    {CREATE, WITH("\"envVars\":{\"\":\"" MARK "\"}"), BAD, "not a name of an environment value"},
    {CREATE, WITH("\"envVars\":{\"A\":[\"" MARK "\"]}"), BAD, "the value is not a text"},
    {CREATE, WITH("\"envVars\":{\"A\":7}"), BAD, "the value is not a text"},
    {CREATE, WITH("\"envVars\":{\"A\":null}"), BAD, "the value is not a text"},
    {CREATE, WITH("\"envVars\":{\"A\":\"" MARK "$X140000\"}"), BAD, "longer than 128 KiB"},
    {CREATE, WITH("\"envVars\":{\"A\":\"" MARK "\",\"A\":\"" MARK "2\"}"), BAD, "duplicate"},
    {CREATE, WITH("\"envVars\":[\"A=" MARK "\"]"), BAD, "'envVars' is not an object"},
    {CREATE, WITH("\"dockerCredentials\":[{\"username\":\"u\",\"password\":[\"" MARK "\"]}]"), BAD,
     "dockerCredentials[0].password"},
    {CREATE, WITH("\"dockerCredentials\":[{\"username\":\"\",\"password\":\"" MARK "\"}]"), BAD,
     "dockerCredentials[0].username"},
    {CREATE,
     WITH("\"dockerCredentials\":[{\"server\":\"r test"
          "\",\"username\":\"u\","
          "\"password\":\"" MARK "\"}]"),
     BAD, "dockerCredentials[0].server"},
    {CREATE,
     WITH("\"dockerCredentials\":[{\"server\":7,\"username\":\"u\",\"password\":\"" MARK "\"}]"),
     BAD, "dockerCredentials[0].server"},
    {CREATE, WITH("\"dockerCredentials\":[7]"), BAD, "dockerCredentials[0].username"},
    {CREATE, WITH("\"dockerCredentials\":[null]"), BAD, "dockerCredentials[0].username"},
    {CREATE,
     WITH("\"dockerCredentials\":[{\"username\":\"u\",\"password\":\"" MARK "\"},"
          "{\"username\":\"v\",\"password\":\"" MARK "\"}]"),
     BAD, "the server is given twice"},
    {CREATE,
     WITH("\"dockerCredentials\":[{\"username\":\"u\",\"password\":\"p\",\"token\":\"" MARK "\"}]"),
     BAD, "there is no field"},
    {CREATE, WITH("\"secretFiles\":{\"k\":\"" MARK "\"}"), BAD, "secretFiles.k"},
    {CREATE, WITH("\"secretFiles\":{\"k\":{}}"), BAD, "'content' is missing"},
    {CREATE, WITH("\"secretFiles\":{\"k\":{\"content\":\"" MARK "!\"}}"), BAD, "secretFiles.k"},
    {CREATE, WITH("\"secretFiles\":{\"k\":{\"content\":\"aGVsbG8\"}}"), BAD, "secretFiles.k"},
    {CREATE, WITH("\"secretFiles\":{\"k\":{\"content\":\"\",\"salt\":\"01\"}}"), BAD,
     "secretFiles.k"},
    {CREATE, WITH("\"secretFiles\":{\"k\":{\"content\":\"\",\"salt\":7}}"), BAD, "secretFiles.k"},
    {CREATE, WITH("\"secretFiles\":{\"k\":{\"content\":\"\",\"mode\":7}}"), BAD,
     "there is no field"},
    {CREATE, WITH("\"secretFiles\":{\"../k\":{\"content\":\"\"}}"), BAD,
     "the path of a file is not allowed"},
    {CREATE, WITH("\"secretFiles\":{\"/etc/passwd\":{\"content\":\"\"}}"), BAD,
     "the path of a file is not allowed"},
    {CREATE, WITH("\"files\":{\"f\":\"aGVsbG8=\"},\"secretFiles\":{\"f\":{\"content\":\"\"}}"), BAD,
     "a file is both plain and secret"},
    {CREATE, WITH("\"files\":{\"../f\":\"aGVsbG8=\"}"), BAD, "the path of a file is not allowed"},
    {CREATE, WITH("\"files\":{\"a/../../f\":\"\"}"), BAD, "the path of a file is not allowed"},
    {CREATE, WITH("\"files\":{\"a\\\\b\":\"\"}"), BAD, "the path of a file is not allowed"},
    {CREATE, WITH("\"files\":{\"\":\"\"}"), BAD, "the path of a file is not allowed"},
    {CREATE, WITH("\"files\":{\"f\":\"####\"}"), BAD, "files.f"},
    {CREATE, WITH("\"files\":{\"f\":7}"), BAD, "not a text"},
    {CREATE, WITH("\"files\":{\"f\":null}"), BAD, "not a text"},
    {CREATE, WITH("\"heartbeat\":{\"measurementHashUrl\":7}"), BAD, "'heartbeat' is not"},
    {CREATE, WITH("\"heartbeat\":{\"a\":1,\"b\":2}"), BAD, "'heartbeat' has 2 entries"},

    /* updates and restarts, against what is there */
    {UPDATE, OUR("\"envVars\":{},\"setEnvVars\":{\"A\":\"" MARK "\"}"), BAD,
     "all values are given, and single ones too"},
    {UPDATE, OUR("\"unsetEnvVars\":[\"A\"]"), BAD, "the workload has no such environment value"},
    {UPDATE, OUR("\"unsetEnvVars\":[7]"), BAD, "unsetEnvVars[0]"},
    {UPDATE, OUR("\"setEnvVars\":{\"A\":\"" MARK "\"},\"unsetEnvVars\":[\"A\"]"), BAD,
     "this value is set and unset"},
    {UPDATE, OUR("\"removeFiles\":[\"f\"]"), BAD, "the workload has no such file"},
    {UPDATE, OUR("\"removeFiles\":[{}]"), BAD, "removeFiles[0]"},
    {UPDATE, OUR("\"confirmDataLoss\":\"yes\""), BAD, "'confirmDataLoss' is not a boolean"},
    {UPDATE, OUR("\"domain\":\"b.example.com\""), 412, "DATA_LOSS_NOT_CONFIRMED", "findings"},
    {RESTART, OUR("\"envVars\":{\"A\":\"" MARK "\"}"), BAD, "is not in the workload's manifest"},
    {RESTART, OUR("\"dockerCredentials\":[{\"username\":\"u\",\"password\":\"" MARK "\"}]"), BAD,
     "is not in the workload's manifest"},
    {RESTART, OUR("\"secretFiles\":{\"k\":{\"content\":\"aGVsbG8=\",\"salt\":\"" SALT "\"}}"), BAD,
     "not the files of the workload's manifest"},
    {RESTART, OUR("\"dockerCompose\":\"\""), BAD, "there is no field 'dockerCompose'"},
    {READER, "POST", W "plan", "{\"workloadId\":null}", BAD, "'workloadId' is missing"},
    {READER, "POST", W "plan", "{\"workloadId\":[]}", BAD, "'workloadId' is"},

    /* questions */
    {EVENTS, OUR("\"afterSequence\":-1"), BAD, "'afterSequence' is"},
    {EVENTS, OUR("\"limit\":0"), BAD, "'limit' is"},
    {EVENTS, OUR("\"wait\":61"), BAD, "'wait' is"},
    {EVENTS, OUR("\"wait\":0"), BAD, "'wait' is"},
    {LINES, OUR("\"container\":\"\""), BAD, "'container' is empty"},
    {LINES, OUR("\"container\":\"$X300\""), BAD, "'container' is longer than 255 bytes"},
    {LINES, OUR("\"container\":\"web\",\"stream\":\"stdin\""), BAD, "there is no such stream"},
    {LINES, OUR("\"container\":\"web\",\"maxLines\":0"), BAD, "'maxLines' is out of range"},
    {LINES, OUR("\"container\":\"web\",\"maxLines\":1001"), BAD, "'maxLines' is out of range"},
    {READER, "POST", W "logs", OUR("\"source\":\"/etc/passwd\""), BAD, "there is no such log"},

    /* webhooks */
    {HOOK, "{}", BAD, "'url' is missing"},
    {HOOK, "{\"url\":\"\"}", BAD, "'url' is empty"},
    {HOOK, "{\"url\":\"http://hooks.example/" MARK "\"}", BAD, "url"},
    {HOOK, "{\"url\":\"ftp://hooks.example/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"file:///etc/passwd\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://u:" MARK "@hooks.example/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://127.0.0.1/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://[::1]/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://169.254.169.254/latest\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://0x7f000001/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://localhost/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://a.test:0/\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://a.test/\\r\\nX: y\"}", BAD, "url"},
    {HOOK, "{\"url\":\"https://a.test/$X3000\"}", BAD, "'url' is longer than"},
    {HOOK, "{\"url\":\"https://a.test/\",\"events\":[]}", BAD, "'events' is empty"},
    {HOOK, "{\"url\":\"https://a.test/\",\"events\":[\"a b\"]}", BAD, "events[0]"},
    {HOOK, "{\"url\":\"https://a.test/\",\"events\":[\"a\",7]}", BAD, "events[1]"},
    {HOOK, "{\"url\":\"https://a.test/\",\"events\":[\"workload.>\"]}", BAD, "events[0]"},
    {HOOK, "{\"url\":\"https://a.test/\",\"description\":\"a\\u0007\"}", BAD,
     "'description' has a control character"},
    {HOOK, "{\"url\":\"https://a.test/\",\"description\":\"$X2000\"}", BAD,
     "'description' is longer than"},
    {HOOK, "{\"url\":\"https://a.test/\",\"secret\":\"" MARK "\"}", BAD,
     "there is no field 'secret'"},
    {DEPLOYER, "PUT", V "webhooks/update", "{\"webhookId\":\"$WEBHOOK\"}", BAD,
     "nothing is to be changed"},
    {DEPLOYER, "PUT", V "webhooks/update", "{\"webhookId\":\"$WEBHOOK\",\"rotateSecret\":false}",
     BAD, "nothing is to be changed"},
    {DEPLOYER, "POST", V "webhooks/delete", "{\"webhookId\":\"$X64\"}", BAD,
     "'webhookId' is longer than 63 bytes"},

    /* members */
    {ACCOUNT_ADMIN, "POST", V "members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"Owner\"}", BAD, "there is no such role"},
    {ACCOUNT_ADMIN, "POST", V "members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"n\",\"role\":\"\"}", BAD, "'role' is empty"},
    {ACCOUNT_ADMIN, "POST", V "members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"a\\u007fb\",\"role\":\"viewer\"}", BAD,
     "'name' has a control character"},
    {ACCOUNT_ADMIN, "POST", V "members/create",
     "{\"accountId\":\"$OURS\",\"name\":\"$X300\",\"role\":\"viewer\"}", BAD, "'name' is longer"},
    {ACCOUNT_ADMIN, "PUT", V "members/update", "{\"memberId\":\"$MEMBER\"}", BAD,
     "nothing is to be changed"},
    {ACCOUNT_ADMIN, "PUT", V "members/update",
     "{\"memberId\":\"$MEMBER\",\"accountId\":\"$THEIRS\"}", BAD, "no field 'accountId'"},

    /* quotas, tiers, images */
    {QUOTA, LIMITS("\"maxCpus\":-1"), BAD, "'maxCpus' is out of range"},
    {QUOTA, LIMITS("\"maxCpus\":4294967296"), BAD, "'maxCpus' is out of range"},
    {QUOTA, LIMITS("\"maxGpus\":\"1\""), BAD, "'maxGpus' is out of range"},
    {QUOTA, LIMITS("\"maxMemoryMb\":1.5"), BAD, "'maxMemoryMb' is out of range"},
    {QUOTA, LIMITS("\"maxDiskGb\":9223372036854775808"), BAD, "too big integer"},
    {QUOTA, LIMITS("\"maxworkloads\":1"), BAD, "there is no field 'maxworkloads'"},
    {TIER, SIZED("0", "1024", "10", "1"), BAD, "'cpus' is out of range"},
    {TIER, SIZED("1", "1", "10", "1"), BAD, "'memoryMb' is out of range"},
    {TIER, SIZED("1", "1024", "99999999", "1"), BAD, "'diskGb' is out of range"},
    {TIER, SIZED("1", "1024", "10", "0"), BAD, "'cost' is no possible sum"},
    {TIER, SIZED("1", "1024", "10", "-1"), BAD, "'cost' is no possible sum"},
    {TIER, SIZED("1", "1024", "10", "0.0000001"), BAD, "'cost' is no possible sum"},
    {TIER, SIZED("1", "1024", "10", "1e7"), BAD, "'cost' is no possible sum"},
    {TIER, "{\"tierId\":\"t\"}", BAD, "there is no field 'tierId'"},
    {ENABLE, "{\"version\":\"\"}", BAD, "'version' is empty"},
    {ENABLE, "{\"version\":\"$X65\"}", BAD, "'version' is longer than 64 bytes"},
    {GLOBAL_ADMIN, "POST", V "metal-instances/delete", "{\"metalInstanceId\":\"$X64\"}", BAD,
     "'metalInstanceId' is longer than 63 bytes"},
    {GLOBAL_ADMIN, "POST", V "workload-tiers/delete", "{\"tierId\":\"$X64\"}", BAD,
     "'tierId' is longer than 63 bytes"},
};
const size_t n_bad_values = ELEMENTSOF(bad_values);
