/* The one table of commands. Their options: options.c. */
#include <string.h>

#include "cli/command.h"
#include "cli/verify.h"

const struct command commands[] = {
    {NULL, "login", "[NAME] --url URL", "check an API key, and store it as a context", login_main},
    {NULL, "logout", "[NAME]", "remove a context's key from this machine", logout_main},
    {"context", "ls", "", "list contexts: gateways with their keys", context_list_main},
    {"context", "use", "NAME", "use a context from now on", context_use_main},
    {"context", "show", "[NAME]", "show the context in use, or another", context_show_main},
    {"context", "rm", "NAME [--yes]", "remove a context", context_remove_main},
    {NULL, "doctor", "", "look for what keeps the command line from working", doctor_main},
    {NULL, "init", "[COMPOSE|FOLDER] [--force]", "write a first coffer.yaml beside a compose file",
     init_main},
    {NULL, "deploy", "[COMPOSE|FOLDER] [--wait] [options]",
     "run a compose project in a confidential VM", deploy_main},
    {NULL, "plan", "[WORKLOAD] [COMPOSE|FOLDER] [options]",
     "say what a deploy or an update would do, and do nothing", plan_main},
    {NULL, "update", "WORKLOAD [COMPOSE|FOLDER] [--confirm-data-loss] [--wait] [options]",
     "change a workload under its id", update_main},
    {NULL, "ls", "[--status S] [--name PART] [--image V] [--sort KEY] [--limit N]",
     "list workloads", list_main},
    {NULL, "show", "WORKLOAD", "show one workload, and what to do next", show_main},
    {NULL, "logs", "WORKLOAD [-f] [--since 10m] [--container NAME] [--tail N]",
     "print a container's or the agent's log", logs_main},
    {NULL, "events", "[WORKLOAD] [-f] [--since-id ID]", "print what happened", events_main},
    {NULL, "stats", "WORKLOAD [--watch]", "print CPU, memory and disk use", stats_main},
    {NULL, "start", "WORKLOAD [--if-match ETAG]", "start a stopped workload", start_main},
    {NULL, "stop", "WORKLOAD [--yes] [--if-match ETAG]", "stop a workload", stop_main},
    {NULL, "restart", "WORKLOAD [--env NAME] [--env-file FILE] [--yes] [--if-match ETAG]",
     "restart a workload in a new VM", restart_main},
    {NULL, "rm", "WORKLOAD [--yes] [--if-match ETAG]", "delete a workload", remove_main},
    {"env", "ls", "WORKLOAD", "list the names of environment values", env_list_main},
    {"env", "set", "WORKLOAD NAME... [--stdin] [--env-file FILE] [--confirm-data-loss]",
     "set values, from the environment or asked for", env_set_main},
    {"env", "unset", "WORKLOAD NAME... [--confirm-data-loss]", "take values away", env_unset_main},
    {"domains", "ls", "[WORKLOAD]", "list names, and the DNS records that they need",
     domains_list_main},
    {"domains", "set", "WORKLOAD NAME [--confirm-data-loss]", "give a workload a name of your own",
     domains_set_main},
    {"domains", "unset", "WORKLOAD [--confirm-data-loss]", "go back to the platform's name",
     domains_unset_main},
    {NULL, "manifest", "WORKLOAD | --compose FILE [options]", "print a manifest and its hash",
     manifest_main},
    {NULL, "verify", "https://NAME|--report FILE [options]", "prove what runs behind a name",
     verify_main},
    {"accounts", "create", "NAME [--wallet ADDRESS] [--balance USD]", "make an account (admin)",
     accounts_create_main},
    {"accounts", "ls", "", "list all accounts (admin)", accounts_list_main},
    {"accounts", "show", "ACCOUNT [--admin]", "show one account", accounts_show_main},
    {"accounts", "me", "", "show the account of the API key", accounts_me_main},
    {"accounts", "add-balance", "ACCOUNT USD",
     "add to a balance; take with -- ACCOUNT -USD (admin)", accounts_add_balance_main},
    {"accounts", "quota", "[ACCOUNT] [--workloads N] [--cpus N] ... [--none]",
     "show a quota; set it (admin)", accounts_quota_main},
    {"members", "create", "NAME --role owner|deployer|viewer", "add a member to an account",
     members_create_main},
    {"members", "ls", "[--account ID] [--admin]", "list members", members_list_main},
    {"members", "update", "MEMBER [--role R] [--name N] [--enable|--disable]", "change a member",
     members_update_main},
    {"members", "rm", "MEMBER [--yes]", "remove a member; their keys stop working",
     members_remove_main},
    {"webhooks", "create", "URL [--event KIND,KIND] [--description TEXT]",
     "send events somewhere, signed; prints the secret once", webhooks_create_main},
    {"webhooks", "ls", "", "list webhooks", webhooks_list_main},
    {"webhooks", "show", "WEBHOOK", "show one webhook", webhooks_show_main},
    {"webhooks", "update", "WEBHOOK [--url URL] [--event KIND] [--rotate-secret]",
     "change a webhook", webhooks_update_main},
    {"webhooks", "rm", "WEBHOOK [--yes]", "send nothing there any more", webhooks_remove_main},
    {"webhooks", "test", "WEBHOOK", "send a test event", webhooks_test_main},
    {"webhooks", "deliveries", "WEBHOOK", "list what was sent, and how it went",
     webhooks_deliveries_main},
    {"keys", "create", "[--type user|account-admin] [options]",
     "make an API key, and print its secret once", keys_create_main},
    {"keys", "ls", "[--account ID] [--admin]", "list API keys", keys_list_main},
    {"keys", "disable", "KEY [--admin]", "switch an API key off", keys_disable_main},
    {"keys", "enable", "KEY [--admin]", "switch it on again", keys_enable_main},
    {"keys", "rm", "KEY [--yes] [--admin]", "delete an API key", keys_delete_main},
    {NULL, "audit", "[--account ID] [--limit N] [--admin]", "print who changed what, newest first",
     audit_main},
    {"images", "ls", "[--json]", "list the guest image versions for new workloads",
     images_list_main},
    {"images", "enable", "VERSION", "let new workloads use a version", images_enable_main},
    {"images", "disable", "VERSION", "take a version from new workloads", images_disable_main},
    {"tiers", "ls", "[--json]", "list sizes and what they cost", tiers_list_main},
    {"tiers", "create", "--name N --cpus N --memory MB --disk GB [--gpus N] --cost USD",
     "offer a size", tiers_create_main},
    {"tiers", "update", "TIER (options of create)", "change a size or its cost per minute",
     tiers_update_main},
    {"tiers", "rm", "TIER [--yes]", "stop offering a size", tiers_remove_main},
    {"hosts", "ls", "[--json]", "list hosts", hosts_list_main},
    {"hosts", "show", "HOST [--json]", "show one host", hosts_show_main},
    {"hosts", "rm", "HOST [--yes]", "forget a host that is gone", hosts_remove_main},
    {"fleet", "init", "DIR [options]", "make the keys and files of a fleet", fleet_init_main},
    {"image", "seal", "DIR --key FILE", "measure and sign a guest image", image_seal_main},
    {NULL, "measure", "DIR|--ovmf FILE [options]", "print launch measurements", measure_main},
    {"policy", "seal", "FILE --key FILE", "sign an appraisal policy", policy_seal_main},
    {"report", "show", "FILE [--json]", "decode an attestation report, every bit explained",
     report_show_main},
    {"bus", "decode", "--subject SUBJECT", "decode a bus message from stdin", bus_decode_main},
    {NULL, "completion", "bash|zsh|fish", "print a shell's completion script", completion_main},
};

const size_t n_commands = ELEMENTSOF(commands);

bool command_is(const struct command *command, const char *name)
{
    size_t length = command->group ? strlen(command->group) : 0;

    if (length && (strncmp(name, command->group, length) != 0 || name[length] != ' '))
        return false;
    return strcmp(name + (length ? length + 1 : 0), command->name) == 0;
}

const struct command *command_find(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        int words = c->group ? 2 : 1;
        if (argc < words || (c->group && strcmp(argv[0], c->group) != 0))
            continue;
        if (strcmp(argv[words - 1], c->name) != 0)
            continue;
        *ret_words = words;
        return c;
    }
    return NULL;
}
