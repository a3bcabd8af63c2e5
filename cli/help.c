#include "cli/help.h"

#include <string.h>

#include "cli/options.h"

enum { WIDTH = 80 }; /* of the narrowest terminal that people have */

static void print_line(const struct command *c, FILE *out)
{
    fprintf(out, "  coffer %s%s%s%s%s\n      %s\n", c->group ?: "", c->group ? " " : "", c->name,
            c->usage[0] ? " " : "", c->usage, c->help);
}

void help_all(FILE *out)
{
    fputs("coffer: run compose projects in confidential VMs, and prove what runs\n\n", out);
    for (size_t i = 0; i < n_commands; i++)
        print_line(&commands[i], out);
    fputs("\ncoffer help COMMAND, or COMMAND --help, shows its options. --context NAME may also "
          "stand\nbefore the command; so may --version and --help.\n\n"
          "Start with `coffer login --url URL`. The gateway and the key come from, in this order:\n"
          "--context NAME; COFFER_API_URL and COFFER_API_KEY (COFFER_CA_FILE); COFFER_CONTEXT;\n"
          "the context of `coffer context use`. Where it says (admin), with --admin, and to "
          "change\nimages, tiers and hosts, the global admin's key is used: --admin-key-file "
          "FILE,\nor COFFER_ADMIN_KEY_FILE.\n\n",
          out);
    help_exit_codes(out);
}

void help_exit_codes(FILE *out)
{
    size_t used = strlen("Exit:");

    fputs("Exit:", out);
    for (size_t i = 0; i < n_exit_meanings; i++) {
        size_t size = strlen(" 0 ,") + strlen(exit_meanings[i].meaning);
        bool fits = used + size < WIDTH;
        fprintf(out, "%s %d %s%s", fits ? "" : "\n     ", exit_meanings[i].code,
                exit_meanings[i].meaning, i + 1 < n_exit_meanings ? "," : ".\n");
        used = (fits ? used : strlen("Exit:")) + size;
    }
}

bool help_group(const char *group, FILE *out)
{
    bool found = false;

    for (size_t i = 0; i < n_commands; i++) {
        if (!commands[i].group || strcmp(commands[i].group, group) != 0)
            continue;
        print_line(&commands[i], out);
        found = true;
    }
    return found;
}

static void print_option(const struct option_row *row, FILE *out)
{
    char left[64];
    const char letter[] = {row->letter, '\0'};
    bool choices = row->value && strchr(row->value, '|') && strlen(row->value) > 18;
    int size = snprintf(left, sizeof(left), "%s%s%s--%s%s%s", row->letter ? "-" : "   ", letter,
                        row->letter ? ", " : " ", row->name, row->value ? " " : "",
                        choices ? "..." : row->value ?: "");

    fprintf(out, "  %-28s%s%s%s%s\n", left, size >= 28 ? "\n                              " : "",
            choices ? row->value : "", choices ? ": " : "", row->help);
}

void help_command(const struct command *c, FILE *out)
{
    const struct option_row *rows[OPTIONS_MAX];
    size_t n = options_of(c, rows);

    fprintf(out, "usage: coffer %s%s%s%s%s\n%s\n\noptions:\n", c->group ?: "", c->group ? " " : "",
            c->name, c->usage[0] ? " " : "", c->usage, c->help);
    for (size_t i = 0; i < n; i++)
        print_option(rows[i], out);
    fputc('\n', out);
    help_exit_codes(out);
}
