/* `coffer completion fish`: one `complete` a command and an option. */
#include <string.h>

#include "cli/completion.h"
#include "cli/options.h"

static const char head[] =
    "# save as ~/.config/fish/completions/coffer.fish\n"
    "function __coffer_command\n"
    "    set -l found\n"
    "    set -l skip 0\n"
    "    for word in (commandline -opc)[2..-1]\n"
    "        if test $skip = 1\n"
    "            set skip 0\n"
    "            continue\n"
    "        end\n"
    "        switch $word\n"
    "            case --context\n"
    "                set skip 1\n"
    "            case '-*'\n"
    "            case '*'\n"
    "                set -a found $word\n"
    "        end\n"
    "    end\n"
    "    contains -- \"$found[1]\" $__coffer_groups\n"
    "    and echo \"$found[1..2]\"\n"
    "    or echo \"$found[1]\"\n"
    "end\n"
    "function __coffer_is\n"
    "    set -l command (__coffer_command)\n"
    "    test \"$command\" = \"$argv[1]\"\n"
    "end\n"
    "complete -c coffer -f\n"
    "complete -c coffer -n '__coffer_is \"\"' -l version -d 'print the version'\n"
    "complete -c coffer -n '__coffer_is \"\"' -l help -d 'print all commands'\n";

/* Inside single quotes of fish. */
static void print_quoted(const char *text, FILE *out)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('\'', out);
}

static void print_condition(const char *group, const char *name, FILE *out)
{
    fprintf(out, "complete -c coffer -n '__coffer_is \"%s%s%s\"'", group ?: "",
            group && name ? " " : "", name ?: "");
}

static void print_source(struct completion source, FILE *out)
{
    switch (source.kind) {
    case COMPLETION_WORDS:
        fputs(" -a '", out);
        for (const char *at = source.text; *at && *at != ' '; at++)
            fputc(*at == '|' ? ' ' : *at, out);
        fputc('\'', out);
        break;
    case COMPLETION_FILES:
    case COMPLETION_FOLDERS:
        fputs(" -F", out);
        break;
    case COMPLETION_ASK:
        fprintf(out, " -a '(coffer __complete %s 2>/dev/null)'", source.text);
        break;
    case COMPLETION_NOTHING:
        break;
    }
}

static void print_option(const struct command *c, const struct option_row *row, FILE *out)
{
    bool context = strcmp(row->name, "context") == 0;

    print_condition(c->group, c->name, out);
    fprintf(out, " -l %s", row->name);
    if (row->letter)
        fprintf(out, " -s %c", row->letter);
    if (row->value) {
        struct completion source = completion_of(context ? "CONTEXT" : row->value);
        bool files = source.kind == COMPLETION_FILES || source.kind == COMPLETION_FOLDERS;
        fputs(files ? " -r" : " -x", out);
        print_source(source, out);
    }
    fputs(" -d ", out);
    print_quoted(row->help, out);
    fputc('\n', out);
}

static void print_command(const struct command *c, FILE *out)
{
    const struct option_row *rows[OPTIONS_MAX];
    struct completion operands = completion_of_operands(c);
    size_t n = options_of(c, rows);

    print_condition(c->group, NULL, out);
    fprintf(out, " -a %s -d ", c->name);
    print_quoted(c->help, out);
    fputc('\n', out);
    if (operands.kind != COMPLETION_NOTHING) {
        print_condition(c->group, c->name, out);
        print_source(operands, out);
        fputc('\n', out);
    }
    for (size_t i = 0; i < n; i++)
        print_option(c, rows[i], out);
}

void completion_print_fish(FILE *out)
{
    const char *last = "";

    fputs("set -g __coffer_groups", out);
    for (size_t i = 0; i < n_commands; i++) {
        if (!commands[i].group || strcmp(commands[i].group, last) == 0)
            continue;
        last = commands[i].group;
        fprintf(out, " %s", last);
    }
    fputc('\n', out);
    fputs(head, out);
    last = "";
    for (size_t i = 0; i < n_commands; i++) {
        const char *group = commands[i].group;
        if (group && strcmp(group, last) != 0)
            fprintf(out, "complete -c coffer -n '__coffer_is \"\"' -a %s\n", group);
        if (group)
            last = group;
        print_command(&commands[i], out);
    }
}
