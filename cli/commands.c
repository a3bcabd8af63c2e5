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
    {NULL, "deploy", "COMPOSE|FOLDER [options]", "run a compose project in a confidential VM",
     deploy_main},
    {NULL, "ls", "", "list workloads", list_main},
    {NULL, "show", "WORKLOAD", "show one workload", show_main},
    {NULL, "logs", "WORKLOAD [-f] [--container NAME]", "print a container's or the agent's log",
     logs_main},
    {NULL, "events", "[WORKLOAD] [-f]", "print what happened", events_main},
    {NULL, "stats", "WORKLOAD", "print CPU, memory and disk use", stats_main},
    {NULL, "start", "WORKLOAD", "start a stopped workload", start_main},
    {NULL, "stop", "WORKLOAD [--yes]", "stop a workload", stop_main},
    {NULL, "restart", "WORKLOAD [--yes]", "restart a workload in a new VM", restart_main},
    {NULL, "rm", "WORKLOAD [--yes]", "delete a workload", remove_main},
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
    {"tiers", "update", "TIER (all options of create)", "change a size or its cost per minute",
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
