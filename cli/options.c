#include "cli/options.h"

#include <string.h>

#include "cli/command.h"

/* What commands have in common. */
enum {
    JSON = 1 << 0,    /* prints an object */
    LIST = 1 << 1,    /* prints a table */
    YES = 1 << 2,     /* asks first */
    ADMIN = 1 << 3,   /* an account's, or with --admin the global admin's */
    OPERATE = 1 << 4, /* the global admin's */
    CHANGE = 1 << 5,  /* sends a request that changes something */
    SERVER = 1 << 6,  /* speaks with a gateway */
};

const struct option_row option_context = {"context", '\0', "NAME",
                                          "the context to use, in place of the current one"};
const struct option_row option_help = {"help", 'h', NULL, "print this help"};

static const struct option_row option_output = {"output", 'o', "json|table", "how to print"};
static const struct option_row option_output_list = {"output", 'o', "json|table|wide|name",
                                                     "how to print"};
static const struct option_row option_no_headers = {"no-headers", '\0', NULL,
                                                    "print a table without its first line"};
static const struct option_row option_idempotency = {
    "idempotency-key", '\0', "KEY",
    "name of this change: given again, it is done once (default: a random one)"};

static const struct option_row option_json = {"json", 'j', NULL, "the same as -o json"};
static const struct option_row option_yes = {"yes", 'y', NULL, "do not ask"};
static const struct option_row option_admin = {"admin", '\0', NULL,
                                               "use the global admin's key, not the context's"};
static const struct option_row option_admin_key = {
    "admin-key-file", '\0', "FILE", "the global admin's key (default: COFFER_ADMIN_KEY_FILE)"};

static const struct option_row login_rows[] = {
    {"url", '\0', "URL", "the gateway's address, as https://api.example.com"},
    {"key-file", '\0', "FILE", "the key is in this file (default: the terminal is asked)"},
    {"key-stdin", '\0', NULL, "the key is the first line of stdin"},
    {"ca", '\0', "FILE", "certificate authorities (PEM) in place of the system's; kept with it"},
    {"no-check", '\0', NULL, "store it without asking the gateway"},
    {0},
};

static const struct option_row doctor_rows[] = {
    {"offline", '\0', NULL, "look at this machine only"},
    {0},
};

static const struct option_row deploy_rows[] = {
    {"config", '\0', "FILE", "this coffer.yaml (default: the one beside the compose file)"},
    {"compose", '\0', "FILE", "the compose file"},
    {"public", '\0', "SERVICE:PORT", "what the world reaches"},
    {"name", '\0', "NAME", "what to call it (default: the folder's name)"},
    {"env", '\0', "NAME", "an environment value, from your environment; may be repeated"},
    {"env-file", '\0', "FILE", "environment values, as NAME=value lines"},
    {"file", '\0', "PATH", "a plain file beside the compose file; may be repeated"},
    {"secret-file", '\0', "PATH", "a file that only the attested VM sees; may be repeated"},
    {"registry", '\0', "SERVER[=USER]",
     "log in there, with COFFER_REGISTRY_PASSWORD or docker's own file"},
    {"domain", '\0', "NAME", "its name in DNS (default: one of the fleet's)"},
    {"image", '\0', "VERSION", "guest image (default: the newest)"},
    {"pin", '\0', NULL, "refuse images that are not named by their digest"},
    {"tier", '\0', "NAME", "a size of coffer tiers ls"},
    {"cpus", '\0', "N", "vCPUs (default: 2)"},
    {"memory", '\0', "MB", "memory (default: 2048)"},
    {"disk", '\0', "GB", "disk (default: 10)"},
    {"gpus", '\0', "N", "GPUs (default: 0)"},
    {"dry-run", '\0', NULL, "only say what would happen, as coffer plan does"},
    {"again", '\0', NULL, "a second workload of the same name is meant"},
    {"wait", '\0', NULL, "show the stages until it runs"},
    {"timeout", '\0', "SECONDS", "how long --wait waits at most (default: for ever)"},
    {"authority", '\0', "HEX", "the release authority's key, not to take it from the gateway"},
    {0},
};

static const struct option_row manifest_rows[] = {
    {"config", '\0', "FILE", "this coffer.yaml (default: the one beside the compose file)"},
    {"compose", '\0', "FILE", "the compose file"},
    {"public", '\0', "SERVICE:PORT", "what the world reaches"},
    {"name", '\0', "NAME", "what to call it (default: the folder's name)"},
    {"env", '\0', "NAME", "an environment value, from your environment; may be repeated"},
    {"env-file", '\0', "FILE", "environment values, as NAME=value lines"},
    {"file", '\0', "PATH", "a plain file beside the compose file; may be repeated"},
    {"secret-file", '\0', "PATH", "a file that only the attested VM sees; may be repeated"},
    {"registry", '\0', "SERVER[=USER]",
     "log in there, with COFFER_REGISTRY_PASSWORD or docker's own file"},
    {"domain", '\0', "NAME", "its name in DNS (default: one of the fleet's)"},
    {"image", '\0', "VERSION", "guest image (default: the newest)"},
    {"pin", '\0', NULL, "refuse images that are not named by their digest"},
    {"authority", '\0', "HEX", "the release authority's key, not to take it from the gateway"},
    {0},
};

static const struct option_row plan_rows[] = {
    {"config", '\0', "FILE", "this coffer.yaml (default: the one beside the compose file)"},
    {"compose", '\0', "FILE", "the compose file"},
    {"public", '\0', "SERVICE:PORT", "what the world reaches"},
    {"name", '\0', "NAME", "what to call it (default: the folder's name)"},
    {"env", '\0', "NAME", "an environment value, from your environment; may be repeated"},
    {"env-file", '\0', "FILE", "environment values, as NAME=value lines"},
    {"file", '\0', "PATH", "a plain file beside the compose file; may be repeated"},
    {"secret-file", '\0', "PATH", "a file that only the attested VM sees; may be repeated"},
    {"registry", '\0', "SERVER[=USER]",
     "log in there, with COFFER_REGISTRY_PASSWORD or docker's own file"},
    {"domain", '\0', "NAME", "its name in DNS (default: one of the fleet's)"},
    {"image", '\0', "VERSION", "guest image (default: the newest)"},
    {"pin", '\0', NULL, "refuse images that are not named by their digest"},
    {"tier", '\0', "NAME", "a size of coffer tiers ls"},
    {"cpus", '\0', "N", "vCPUs (default: 2)"},
    {"memory", '\0', "MB", "memory (default: 2048)"},
    {"disk", '\0', "GB", "disk (default: 10)"},
    {"gpus", '\0', "N", "GPUs (default: 0)"},
    {"unset-env", '\0', "NAME", "take an environment value away; may be repeated"},
    {"remove-file", '\0', "PATH", "take a file away; may be repeated"},
    {"workload", '\0', "WORKLOAD", "of changing this one (default: the first operand)"},
    {"authority", '\0', "HEX", "the release authority's key, not to take it from the gateway"},
    {0},
};

static const struct option_row update_rows[] = {
    {"config", '\0', "FILE", "this coffer.yaml (default: the one beside the compose file)"},
    {"compose", '\0', "FILE", "the compose file"},
    {"public", '\0', "SERVICE:PORT", "what the world reaches"},
    {"name", '\0', "NAME", "what to call it (default: the folder's name)"},
    {"env", '\0', "NAME", "an environment value, from your environment; may be repeated"},
    {"env-file", '\0', "FILE", "environment values, as NAME=value lines"},
    {"file", '\0', "PATH", "a plain file beside the compose file; may be repeated"},
    {"secret-file", '\0', "PATH", "a file that only the attested VM sees; may be repeated"},
    {"registry", '\0', "SERVER[=USER]",
     "log in there, with COFFER_REGISTRY_PASSWORD or docker's own file"},
    {"domain", '\0', "NAME", "its name in DNS (default: one of the fleet's)"},
    {"image", '\0', "VERSION", "guest image (default: the newest)"},
    {"pin", '\0', NULL, "refuse images that are not named by their digest"},
    {"unset-env", '\0', "NAME", "take an environment value away; may be repeated"},
    {"remove-file", '\0', "PATH", "take a file away; may be repeated"},
    {"confirm-data-loss", '\0', NULL, "a new VM starts with empty storage: do not ask"},
    {"dry-run", '\0', NULL, "only say what would happen, as coffer plan does"},
    {"reason", '\0', "TEXT", "why, for the audit trail"},
    {"if-match", '\0', "ETAG", "only when it is still what this ETag was of"},
    {"wait", '\0', NULL, "show the stages until it runs"},
    {"timeout", '\0', "SECONDS", "how long --wait waits at most (default: for ever)"},
    {0},
};

static const struct option_row init_rows[] = {
    {"file", '\0', "FILE|-", "where to write (default: coffer.yaml beside the compose file)"},
    {"force", '\0', NULL, "write over it"},
    {0},
};

static const struct option_row change_rows[] = {
    {"confirm-data-loss", '\0', NULL, "a new VM starts with empty storage: do not ask"},
    {"dry-run", '\0', NULL, "only say what would happen, as coffer plan does"},
    {"reason", '\0', "TEXT", "why, for the audit trail"},
    {"if-match", '\0', "ETAG", "only when it is still what this ETag was of"},
    {"wait", '\0', NULL, "show the stages until it runs"},
    {"timeout", '\0', "SECONDS", "how long --wait waits at most (default: for ever)"},
    {0},
};

static const struct option_row env_set_rows[] = {
    {"stdin", '\0', NULL, "the value is the first line of stdin"},
    {"env-file", '\0', "FILE", "environment values, as NAME=value lines"},
    {"confirm-data-loss", '\0', NULL, "a new VM starts with empty storage: do not ask"},
    {"dry-run", '\0', NULL, "only say what would happen, as coffer plan does"},
    {"reason", '\0', "TEXT", "why, for the audit trail"},
    {"if-match", '\0', "ETAG", "only when it is still what this ETag was of"},
    {"wait", '\0', NULL, "show the stages until it runs"},
    {"timeout", '\0', "SECONDS", "how long --wait waits at most (default: for ever)"},
    {0},
};

static const struct option_row list_rows[] = {
    {"status", '\0', "STATUS,...", "only these, as running,error"},
    {"name", '\0', "PART", "only whose name has this in it"},
    {"image", '\0', "VERSION", "only of this guest image"},
    {"domain", '\0', "NAME", "only of this name in DNS"},
    {"sort", '\0', "createdAt|-createdAt|name", "in which order"},
    {"limit", 'n', "N", "at most so many"},
    {0},
};

static const struct option_row logs_rows[] = {
    {"follow", 'f', NULL, "go on with what comes"},
    {"container", 'c', "NAME", "of this container (default: the guest's agent)"},
    {"since", '\0', "10m|TIME", "from then on"},
    {"tail", 'n', "N", "the last lines"},
    {"since-id", '\0', "ID", "with -f: behind this streamId of -o json"},
    {0},
};

static const struct option_row events_rows[] = {
    {"follow", 'f', NULL, "go on with what comes"},
    {"since-id", '\0', "ID", "with -f: behind this streamId of -o json"},
    {"after", '\0', "N", "behind this sequence of the workload's events"},
    {"limit", 'n', "N", "at most so many"},
    {0},
};

static const struct option_row stats_rows[] = {
    {"watch", 'w', NULL, "again and again"},
    {"interval", '\0', "SECONDS", "how often (default: 2)"},
    {"count", '\0', "N", "so many times (default: until it is ended)"},
    {0},
};

static const struct option_row verb_rows[] = {
    {"if-match", '\0', "ETAG", "only when it is still what this ETag was of"},
    {0},
};

static const struct option_row restart_rows[] = {
    {"env", 'e', "NAME", "with exactly these values, from your environment; may be repeated"},
    {"env-file", '\0', "FILE", "the same, as NAME=value lines"},
    {"if-match", '\0', "ETAG", "only when it is still what this ETag was of"},
    {0},
};

static const struct option_row quota_rows[] = {
    {"workloads", '\0', "N", "at most so many workloads; 0: no limit"},
    {"cpus", '\0', "N", "vCPUs of all together; 0: no limit"},
    {"memory", '\0', "MB", "memory; 0: no limit"},
    {"disk", '\0', "GB", "disk; 0: no limit"},
    {"gpus", '\0', "N", "GPUs; 0: no limit"},
    {"none", '\0', NULL, "no limits, but for those that are given"},
    {0},
};

static const struct option_row member_create_rows[] = {
    {"role", '\0', "owner|deployer|viewer", "what their keys may do at most"},
    {"account", '\0', "ID", "another account than that of the key"},
    {0},
};

static const struct option_row member_update_rows[] = {
    {"role", '\0', "owner|deployer|viewer", "what their keys may do at most"},
    {"name", '\0', "NAME", "what to call them"},
    {"enable", '\0', NULL, "their keys work again"},
    {"disable", '\0', NULL, "their keys stop working"},
    {0},
};

static const struct option_row webhook_create_rows[] = {
    {"event", 'e', "KIND,...", "only these, as running,error (default: all); may be repeated"},
    {"description", '\0', "TEXT", "what it is for"},
    {"disable", '\0', NULL, "send nothing there yet"},
    {0},
};

static const struct option_row webhook_update_rows[] = {
    {"url", '\0', "URL", "where to send to"},
    {"event", 'e', "KIND,...", "only these, as running,error (default: all); may be repeated"},
    {"description", '\0', "TEXT", "what it is for"},
    {"rotate-secret", '\0', NULL, "make a new secret, and print it once"},
    {"enable", '\0', NULL, "send there again"},
    {"disable", '\0', NULL, "send nothing there"},
    {0},
};

static const struct option_row account_create_rows[] = {
    {"wallet", '\0', "ADDRESS", "its wallet: 0x and 40 hex digits"},
    {"balance", '\0', "USD", "what it has to spend"},
    {0},
};

static const struct option_row account_rows[] = {
    {"account", '\0', "ID", "another account than that of the key"},
    {0},
};

static const struct option_row key_create_rows[] = {
    {"account", '\0', "ID", "another account than that of the key"},
    {"type", '\0', "user|account-admin", "what kind of key (default: user)"},
    {"name", '\0', "NAME", "what to call it"},
    {"scope", '\0', "read|deploy|admin", "what it may do; may be repeated"},
    {"expires", '\0', "TIME", "when it ends, as 2030-01-01T00:00:00Z"},
    {"member", '\0', "ID", "a key of this member: it may do no more than their role"},
    {0},
};

static const struct option_row audit_rows[] = {
    {"account", '\0', "ID", "another account than that of the key"},
    {"limit", '\0', "N", "how many entries (default: 50)"},
    {0},
};

static const struct option_row tier_rows[] = {
    {"name", '\0', "NAME", "what to call it"},
    {"cpus", '\0', "N", "vCPUs"},
    {"memory", '\0', "MB", "memory"},
    {"disk", '\0', "GB", "disk"},
    {"gpus", '\0', "N", "GPUs (none, unless said)"},
    {"cost", '\0', "USD", "what a minute costs"},
    {0},
};

static const struct option_row fleet_rows[] = {
    {"host", '\0', "ID", "a host to make files for; may be repeated"},
    {"workload-domain", '\0', "NAME", "below which workloads get their names"},
    {"dev-tee", '\0', NULL, "make development chips (no protection at all)"},
    {0},
};

static const struct option_row image_rows[] = {
    {"key", '\0', "FILE", "the release key"},
    {"vcpus", '\0', "N", "measure for 1 to N vCPUs (default: 64)"},
    {0},
};

static const struct option_row policy_rows[] = {
    {"key", '\0', "FILE", "the release key"},
    {0},
};

static const struct option_row report_rows[] = {
    {"product", '\0', "Milan|Genoa|Turin", "the processor, where the report does not say"},
    {0},
};

static const struct option_row bus_rows[] = {
    {"subject", 's', "SUBJECT", "where the message was"},
    {0},
};

static const struct option_row verify_rows[] = {
    {"report", '\0', "FILE", "evidence from a file: a report, or a saved answer"},
    {"nonce", '\0', "auto|HEX", "32 bytes that the evidence must answer"},
    {"peer", '\0', "FILE|HASH", "whose TLS key a saved answer is for: PEM, or SPKI hash"},
    {"report-data", '\0', "HEX", "the 64 bytes that a bare report must carry"},
    {"manifest", '\0', "FILE|HASH", "the manifest that must run there"},
    {"any-manifest", '\0', NULL, "any manifest will do (its hash is shown)"},
    {"image", '\0', "FILE|VERSION", "signed image.json: the measurements that may run"},
    {"measurement", '\0', "HEX", "a measurement that may run; may be repeated"},
    {"policy", '\0', "FILE|NAME", "signed appraisal policy, or: strict, nilcc"},
    {"gpus", '\0', "N", "so many GPUs must be there"},
    {"release-key", '\0', "HEX|FILE", "who must have signed image and policy"},
    {"trust-root", '\0', "DIR", "ark.pem, ask.pem in place of AMD's (development)"},
    {"certs", '\0', "DIR", "certificates and revocation lists, DER or PEM"},
    {"rims", '\0', "DIR", "GPUs: RIM files and OCSP responses"},
    {"ca", '\0', "FILE", "certificate authorities in place of the system's"},
    {"connect", '\0', "ADDR:PORT", "go there instead of asking DNS for NAME"},
    {"at", '\0', "TIME", "judge as of 2026-01-31T12:00:00Z, or of Unix seconds"},
    {"offline", '\0', NULL, "ask nobody but NAME"},
    {0},
};

static const struct option_row measure_rows[] = {
    {"ovmf", '\0', "FILE", "firmware with SEV-SNP metadata"},
    {"kernel", '\0', "FILE", "measured direct boot of this kernel"},
    {"initrd", '\0', "FILE", "its initial RAM disk (none: an empty one)"},
    {"cmdline", '\0', "TEXT", "its command line"},
    {"vcpus", '\0', "LIST", "vCPU counts, as 1,2,4-8 (default: 2); several give a table"},
    {"cpu", '\0', "MODEL",
     "QEMU's name of the CPU model (default: EPYC-v4); ec2 and gce measure none"},
    {"guest-features", '\0', "N", "SEV_FEATURES of the VMSA (default: 0x1)"},
    {"vmm", '\0', "qemu|ec2|ec2-legacy|gce|svsm",
     "who launches: qemu (default), ec2, ec2-legacy (RDX is zero), gce, svsm (COCONUT-SVSM "
     "under QEMU)"},
    {"svsm", '\0', "FILE", "its image, with --vmm svsm"},
    {"vars-size", '\0', "N", "bytes of the variable store below the firmware, with --vmm svsm"},
    {"id-key", '\0', "FILE",
     "public key (PEM, P-384) of an ID block: prints its digest, as 'id_keys' and "
     "'author_keys' of a policy have it"},
    {0},
};

static const struct options_set {
    const char *command; /* with its group */
    const struct option_row *rows;
    unsigned shared;
} sets[] = {
    {"login", login_rows, SERVER | JSON},
    {"logout", NULL, SERVER},
    {"context ls", NULL, LIST},
    {"context use", NULL, 0},
    {"context show", NULL, SERVER | JSON},
    {"context rm", NULL, YES},
    {"doctor", doctor_rows, SERVER | JSON},
    {"completion", NULL, 0},
    {"init", init_rows, 0},
    {"deploy", deploy_rows, SERVER | CHANGE | JSON},
    {"plan", plan_rows, SERVER | JSON},
    {"update", update_rows, SERVER | CHANGE | JSON},
    {"ls", list_rows, SERVER | LIST},
    {"show", NULL, SERVER | JSON},
    {"logs", logs_rows, SERVER | JSON},
    {"events", events_rows, SERVER | JSON},
    {"stats", stats_rows, SERVER | JSON},
    {"start", verb_rows, SERVER | CHANGE | JSON | YES},
    {"stop", verb_rows, SERVER | CHANGE | JSON | YES},
    {"restart", restart_rows, SERVER | CHANGE | JSON | YES},
    {"rm", verb_rows, SERVER | CHANGE | JSON | YES},
    {"env ls", NULL, SERVER | JSON},
    {"env set", env_set_rows, SERVER | CHANGE | JSON},
    {"env unset", change_rows, SERVER | CHANGE | JSON},
    {"domains ls", NULL, SERVER | LIST},
    {"domains set", change_rows, SERVER | CHANGE | JSON},
    {"domains unset", change_rows, SERVER | CHANGE | JSON},
    {"manifest", manifest_rows, SERVER | JSON},
    {"verify", verify_rows, JSON},
    {"accounts create", account_create_rows, SERVER | CHANGE | JSON | ADMIN},
    {"accounts ls", NULL, SERVER | LIST | ADMIN},
    {"accounts show", NULL, SERVER | JSON | ADMIN},
    {"accounts me", NULL, SERVER | JSON | ADMIN},
    {"accounts add-balance", NULL, SERVER | CHANGE | JSON | ADMIN},
    {"accounts quota", quota_rows, SERVER | CHANGE | JSON | ADMIN},
    {"members create", member_create_rows, SERVER | CHANGE | JSON | ADMIN},
    {"members ls", account_rows, SERVER | LIST | ADMIN},
    {"members update", member_update_rows, SERVER | CHANGE | JSON | ADMIN},
    {"members rm", NULL, SERVER | CHANGE | JSON | ADMIN | YES},
    {"webhooks create", webhook_create_rows, SERVER | CHANGE | JSON},
    {"webhooks ls", NULL, SERVER | LIST},
    {"webhooks show", NULL, SERVER | JSON},
    {"webhooks update", webhook_update_rows, SERVER | CHANGE | JSON},
    {"webhooks rm", NULL, SERVER | CHANGE | JSON | YES},
    {"webhooks test", NULL, SERVER | CHANGE | JSON},
    {"webhooks deliveries", NULL, SERVER | LIST},
    {"keys create", key_create_rows, SERVER | CHANGE | JSON | ADMIN},
    {"keys ls", account_rows, SERVER | LIST | ADMIN},
    {"keys disable", NULL, SERVER | CHANGE | JSON | ADMIN},
    {"keys enable", NULL, SERVER | CHANGE | JSON | ADMIN},
    {"keys rm", NULL, SERVER | CHANGE | JSON | ADMIN | YES},
    {"audit", audit_rows, SERVER | LIST | ADMIN},
    {"images ls", NULL, SERVER | LIST | OPERATE},
    {"images enable", NULL, SERVER | CHANGE | JSON | OPERATE},
    {"images disable", NULL, SERVER | CHANGE | JSON | OPERATE},
    {"tiers ls", NULL, SERVER | LIST | OPERATE},
    {"tiers create", tier_rows, SERVER | CHANGE | JSON | OPERATE},
    {"tiers update", tier_rows, SERVER | CHANGE | JSON | OPERATE},
    {"tiers rm", NULL, SERVER | CHANGE | JSON | OPERATE | YES},
    {"hosts ls", NULL, SERVER | LIST | OPERATE},
    {"hosts show", NULL, SERVER | JSON | OPERATE},
    {"hosts rm", NULL, SERVER | CHANGE | JSON | OPERATE | YES},
    {"fleet init", fleet_rows, 0},
    {"image seal", image_rows, 0},
    {"measure", measure_rows, JSON},
    {"policy seal", policy_rows, 0},
    {"report show", report_rows, JSON},
    {"bus decode", bus_rows, 0},
};

/* The same order everywhere. */
static const struct {
    unsigned shared;
    const struct option_row *row;
} shared_rows[] = {
    {YES, &option_yes},           {ADMIN, &option_admin},      {ADMIN, &option_admin_key},
    {OPERATE, &option_admin_key}, {LIST, &option_output_list}, {JSON, &option_output},
    {LIST, &option_no_headers},   {LIST | JSON, &option_json}, {CHANGE, &option_idempotency},
    {SERVER, &option_context},
};

static const struct options_set *find(const struct command *command)
{
    for (size_t i = 0; i < ELEMENTSOF(sets); i++)
        if (command_is(command, sets[i].command))
            return &sets[i];
    return NULL;
}

size_t options_of(const struct command *command, const struct option_row *ret_rows[OPTIONS_MAX])
{
    const struct options_set *set = find(command);
    size_t n = 0;

    for (const struct option_row *row = set ? set->rows : NULL; row && row->name; row++)
        ret_rows[n++] = row;
    for (size_t i = 0; set && i < ELEMENTSOF(shared_rows); i++)
        if (set->shared & shared_rows[i].shared)
            ret_rows[n++] = shared_rows[i].row;
    ret_rows[n++] = &option_help;
    assert(n <= OPTIONS_MAX);
    return n;
}

bool option_is_of_frame(const struct option_row *row)
{
    return row == &option_context || row == &option_help || row == &option_output ||
           row == &option_output_list || row == &option_no_headers || row == &option_idempotency;
}
