#include "cli/man.h"

#include <ctype.h>

#include "cli/options.h"
#include "cli/problem.h"
#include "shared/base/alloc.h"

/* When the words were last gone through; not when it was built, so that builds are the same. */
static const char written[] = "2026-11-28";

char *man_name(const struct command *c)
{
    return xasprintf("coffer-%s%s%s", c->group ?: "", c->group ? "-" : "", c->name);
}

/* A line of text: '-' is a minus, and what starts with a dot is no request. */
static void print_text(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '-')
            fputs("\\-", out);
        else if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '\'')
            fputs("\\(aq", out);
        else
            fputc(*text, out);
    }
}

static void print_upper(const char *text, FILE *out)
{
    for (; *text; text++)
        fputc(toupper((unsigned char)*text), out);
}

static void print_head(const char *name, const char *help, FILE *out)
{
    fputs(".TH ", out);
    print_upper(name, out);
    fprintf(out, " 1 %s \"coffer %s\" \"Coffer\"\n.SH NAME\n", written, COFFER_VERSION);
    print_text(name, out);
    fputs(" \\- ", out);
    print_text(help, out);
    fputc('\n', out);
}

static void print_option(const struct option_row *row, FILE *out)
{
    fputs(".TP\n", out);
    if (row->letter)
        fprintf(out, "\\fB\\-%c\\fR, ", row->letter);
    fputs("\\fB\\-\\-", out);
    print_text(row->name, out);
    fputs("\\fR", out);
    if (row->value) {
        fputs(" \\fI", out);
        print_text(row->value, out);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    print_text(row->help, out);
    fputs(".\n", out);
}

static void print_exit(FILE *out)
{
    fputs(".SH EXIT STATUS\n", out);
    for (size_t i = 0; i < n_exit_meanings; i++) {
        fprintf(out, ".TP\n\\fB%d\\fR\n", exit_meanings[i].code);
        print_text(exit_meanings[i].meaning, out);
        fputs(".\n", out);
    }
}

static void print_see(const struct command *of, FILE *out)
{
    bool first = true;

    fputs(".SH SEE ALSO\n", out);
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        bool near = !of || (of->group && c->group && strcmp(of->group, c->group) == 0);
        if (c == of || !near)
            continue;
        _cleanup_free_ char *name = man_name(c);
        fprintf(out, "%s\\fB", first ? "" : ",\n");
        print_text(name, out);
        fputs("\\fR(1)", out);
        first = false;
    }
    fputs(first ? "\\fBcoffer\\fR(1)\n" : of ? ",\n\\fBcoffer\\fR(1)\n" : "\n", out);
}

void man_page(const struct command *c, FILE *out)
{
    _cleanup_free_ char *name = man_name(c);
    const struct option_row *rows[OPTIONS_MAX];
    size_t n = options_of(c, rows);

    print_head(name, c->help, out);
    fprintf(out, ".SH SYNOPSIS\n\\fBcoffer %s%s%s\\fR ", c->group ?: "", c->group ? " " : "",
            c->name);
    print_text(c->usage, out);
    fputs("\n.SH OPTIONS\n", out);
    for (size_t i = 0; i < n; i++)
        print_option(rows[i], out);
    print_exit(out);
    print_see(c, out);
}

static void print_environment(FILE *out)
{
    static const char *const rows[][2] = {
        {"COFFER_API_URL", "the gateway's address, in place of the context's"},
        {"COFFER_API_KEY", "the API key, in place of the context's"},
        {"COFFER_CA_FILE", "certificate authorities (PEM), in place of the context's"},
        {"COFFER_CONTEXT", "the context to use; --context NAME comes before all of these"},
        {"COFFER_ADMIN_KEY_FILE", "the file with the global admin's key"},
        {"COFFER_REGISTRY_PASSWORD", "for --registry of deploy"},
        {"NO_COLOR", "when set, no colours are used"},
        {"XDG_CONFIG_HOME", "where the folder coffer with the contexts is (default: ~/.config)"},
    };

    fputs(".SH ENVIRONMENT\n", out);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        fprintf(out, ".TP\n\\fB%s\\fR\n", rows[i][0]);
        print_text(rows[i][1], out);
        fputs(".\n", out);
    }
}

static void print_hints(FILE *out)
{
    fputs(".SH DIAGNOSTICS\n", out);
    for (size_t i = 0; i < n_problem_kinds; i++) {
        if (!problem_kinds[i].kind || !problem_kinds[i].hint)
            continue;
        fprintf(out, ".TP\n\\fB%s\\fR\n", problem_kinds[i].kind);
        print_text(problem_kinds[i].hint, out);
        fputs(".\n", out);
    }
}

void man_page_of_all(FILE *out)
{
    print_head("coffer", "run compose projects in confidential VMs, and prove what runs", out);
    fputs(".SH SYNOPSIS\n\\fBcoffer\\fR [\\fB\\-\\-context\\fR \\fINAME\\fR] \\fICOMMAND\\fR "
          "[\\fIoptions\\fR]\n.SH COMMANDS\n",
          out);
    for (size_t i = 0; i < n_commands; i++) {
        const struct command *c = &commands[i];
        fprintf(out, ".TP\n\\fB%s%s%s\\fR ", c->group ?: "", c->group ? " " : "", c->name);
        print_text(c->usage, out);
        fputc('\n', out);
        print_text(c->help, out);
        fputs(".\n", out);
    }
    print_environment(out);
    fputs(".SH FILES\n.TP\n\\fI~/.config/coffer/contexts/NAME/\\fR\n"
          "url, api\\-key and ca.pem of a context; nobody else may read them.\n"
          ".TP\n\\fI~/.config/coffer/current\\fR\nThe name of the context in use.\n",
          out);
    print_exit(out);
    print_hints(out);
    print_see(NULL, out);
}
