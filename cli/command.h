/* A command of the `coffer` program, and what all of them share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "cli/client.h"
#include "shared/base/error.h"

/* Exit codes, the same for every command (`verify` documents its own beside these). */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_CANNOT_TELL = 3, /* network, or something missing: neither yes nor no */
    EXIT_NOT_FOUND = 4,
    EXIT_DENIED = 5,   /* no key, a wrong one, or one that may not */
    EXIT_CONFLICT = 6, /* the state of things is against it */
    EXIT_LIMIT = 7,    /* money, a quota, room or a rate has run out */
};

/* What they mean, for help and man pages. */
struct exit_meaning {
    enum exit_code code;
    const char *meaning;
};
extern const struct exit_meaning exit_meanings[];
extern const size_t n_exit_meanings;

struct command {
    const char *group; /* "fleet" of `fleet init`; NULL for a plain command */
    const char *name;
    const char *usage; /* what follows the name */
    const char *help;  /* one line */
    int (*run)(int argc, char **argv);
};

extern const struct command commands[];
extern const size_t n_commands;

/* Whether this is the command of that name, with its group: "keys create". */
bool command_is(const struct command *command, const char *name);

/* The command that argv[0], or argv[0] and argv[1], name; NULL: none. */
const struct command *command_find(int argc, char **argv, int *ret_words);

int login_main(int argc, char **argv);
int logout_main(int argc, char **argv);
int context_list_main(int argc, char **argv);
int context_use_main(int argc, char **argv);
int context_show_main(int argc, char **argv);
int context_remove_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int completion_main(int argc, char **argv);
int complete_main(int argc, char **argv);
int deploy_main(int argc, char **argv);
int init_main(int argc, char **argv);
int plan_main(int argc, char **argv);
int update_main(int argc, char **argv);
int env_list_main(int argc, char **argv);
int env_set_main(int argc, char **argv);
int env_unset_main(int argc, char **argv);
int domains_list_main(int argc, char **argv);
int domains_set_main(int argc, char **argv);
int domains_unset_main(int argc, char **argv);
int members_create_main(int argc, char **argv);
int members_list_main(int argc, char **argv);
int members_update_main(int argc, char **argv);
int members_remove_main(int argc, char **argv);
int webhooks_create_main(int argc, char **argv);
int webhooks_list_main(int argc, char **argv);
int webhooks_show_main(int argc, char **argv);
int webhooks_update_main(int argc, char **argv);
int webhooks_remove_main(int argc, char **argv);
int webhooks_test_main(int argc, char **argv);
int webhooks_deliveries_main(int argc, char **argv);
int accounts_quota_main(int argc, char **argv);
int list_main(int argc, char **argv);
int show_main(int argc, char **argv);
int stats_main(int argc, char **argv);
int start_main(int argc, char **argv);
int stop_main(int argc, char **argv);
int restart_main(int argc, char **argv);
int remove_main(int argc, char **argv);
int logs_main(int argc, char **argv);
int events_main(int argc, char **argv);
int accounts_create_main(int argc, char **argv);
int accounts_list_main(int argc, char **argv);
int accounts_show_main(int argc, char **argv);
int accounts_me_main(int argc, char **argv);
int accounts_add_balance_main(int argc, char **argv);
int keys_create_main(int argc, char **argv);
int keys_list_main(int argc, char **argv);
int keys_disable_main(int argc, char **argv);
int keys_enable_main(int argc, char **argv);
int keys_delete_main(int argc, char **argv);
int audit_main(int argc, char **argv);
int manifest_main(int argc, char **argv);
int fleet_init_main(int argc, char **argv);
int image_seal_main(int argc, char **argv);
int measure_main(int argc, char **argv);
int policy_seal_main(int argc, char **argv);
int report_show_main(int argc, char **argv);
int bus_decode_main(int argc, char **argv);
int images_list_main(int argc, char **argv);
int images_enable_main(int argc, char **argv);
int images_disable_main(int argc, char **argv);
int tiers_list_main(int argc, char **argv);
int tiers_create_main(int argc, char **argv);
int tiers_update_main(int argc, char **argv);
int tiers_remove_main(int argc, char **argv);
int hosts_list_main(int argc, char **argv);
int hosts_show_main(int argc, char **argv);
int hosts_remove_main(int argc, char **argv);

/* The exit code for an error of this code. */
enum exit_code command_exit_code(enum error_code code);

/* Prints "coffer: text", or where JSON is wanted an object on one line, to stderr, and frees err.
 * EXIT_OK for NULL, otherwise the code that the error has in
 * the table of command.c: 1 where it has none. */
int command_fail(struct error *err);

/* The same for a command that asks no gateway: 0 to 3 only. */
int command_fail_here(struct error *err);

/* What is wrong with how it was called: EXIT_USAGE. usage is of the command, as "ls [--all]". */
int command_usage(const char *problem);
int command_misused(const char *usage, const char *fmt, ...) _printf_(2, 3);

/* How many operands there are behind optind: EXIT_OK, or says what is wrong. */
int command_operands(const char *usage, int argc, char **argv, int least, int most);
