#include "cli/flags.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

enum { VALUE_BASE = 1000 }; /* of the table's rows, beyond all letters */

static bool take_number(const struct flag *flag, const char *text)
{
    char *end;

    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || end == text || *end || text[0] == '-' || number < flag->min || number > flag->max)
        return false;
    *(uint32_t *)flag->into = (uint32_t)number;
    return true;
}

static bool take_item(struct flag_list *list, const char *text)
{
    if (list->n == FLAG_LIST_MAX)
        return false;
    list->items[list->n++] = text;
    return true;
}

static bool take(const struct flag *flag, const char *text)
{
    switch (flag->kind) {
    case FLAG_BOOL:
        *(bool *)flag->into = true;
        return true;
    case FLAG_TEXT:
        *(const char **)flag->into = text;
        return true;
    case FLAG_NUMBER:
        return take_number(flag, text);
    default:
        return take_item(flag->into, text);
    }
}

static bool take_output(struct flags *flags, const char *format)
{
    flags->json = strcmp(format, "json") == 0;
    return flags->json || strcmp(format, "table") == 0;
}

static bool take_common(struct flags *flags, int c)
{
    if (c == 'j')
        flags->json = true;
    else if (c == 'y')
        flags->yes = true;
    else if (c == 'o')
        return take_output(flags, optarg);
    else
        return false;
    return true;
}

static int find_letter(const struct flags *flags, int c)
{
    for (unsigned i = 0; i < flags->n; i++)
        if (flags->table[i].letter == c)
            return (int)i;
    return -1;
}

static void make_options(const struct flags *flags, struct option *options, char *letters)
{
    static const struct option common[] = {{"json", no_argument, NULL, 'j'},
                                           {"output", required_argument, NULL, 'o'},
                                           {"yes", no_argument, NULL, 'y'},
                                           {NULL, 0, NULL, 0}};

    for (unsigned i = 0; i < flags->n; i++) {
        const struct flag *flag = &flags->table[i];
        int argument = flag->kind == FLAG_BOOL ? no_argument : required_argument;
        options[i] = (struct option){flag->name, argument, NULL, VALUE_BASE + (int)i};
        if (flag->letter)
            letters += sprintf(letters, "%c%s", flag->letter, argument ? ":" : "");
    }
    strcpy(letters, "jyo:");
    memcpy(options + flags->n, common, sizeof(common));
}

static int complain(const struct flags *flags, const struct flag *flag, const char *text)
{
    if (flag->kind == FLAG_NUMBER)
        return command_misused(flags->usage, "--%s is a number from %u to %u, not '%s'", flag->name,
                               flag->min, flag->max, text);
    return command_misused(flags->usage, "--%s is given more than %d times", flag->name,
                           FLAG_LIST_MAX);
}

int flags_parse(int argc, char **argv, struct flags *flags)
{
    struct option options[FLAGS_MAX + 4];
    char letters[2 * FLAGS_MAX + 8];

    assert(flags->n <= FLAGS_MAX);
    make_options(flags, options, letters);
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        int at = c >= VALUE_BASE ? c - VALUE_BASE : find_letter(flags, c);
        if (c == '?' || (at < 0 && !take_common(flags, c)))
            return command_misused(flags->usage, "an option is not of this command");
        if (at >= 0 && !take(&flags->table[at], optarg))
            return complain(flags, &flags->table[at], optarg);
    }
    flags->operands = argv + optind;
    flags->n_operands = argc - optind;
    return command_operands(flags->usage, argc, argv, flags->min_operands, flags->max_operands);
}
