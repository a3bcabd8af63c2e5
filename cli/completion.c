/* `coffer completion bash|zsh`: both shells share the tables, as functions of plain shell. */
#include "cli/completion.h"

#include <string.h>

#include "cli/options.h"
#include "shared/base/alloc.h"

static size_t word_of(const char *value)
{
    return strcspn(value, " ");
}

/* "read|deploy", not "FILE|HASH": words as they are typed have a small letter. */
static bool are_words(const char *text, size_t size)
{
    static const char small[] = "abcdefghijklmnopqrstuvwxyz";
    size_t at = 0;

    while (at < size) {
        size_t length = strcspn(text + at, "| ");
        if (strcspn(text + at, small) >= length)
            return false;
        at += length + 1;
    }
    return memchr(text, '|', size) != NULL;
}

struct completion completion_of(const char *value)
{
    static const struct {
        const char *value;
        struct completion completion;
    } rows[] = {
        {"FILE", {COMPLETION_FILES, NULL}},
        {"FILE|HASH", {COMPLETION_FILES, NULL}},
        {"FILE|VERSION", {COMPLETION_FILES, NULL}},
        {"FILE|NAME", {COMPLETION_FILES, NULL}},
        {"HEX|FILE", {COMPLETION_FILES, NULL}},
        {"PATH", {COMPLETION_FILES, NULL}},
        {"COMPOSE|FOLDER", {COMPLETION_FILES, NULL}},
        {"[COMPOSE|FOLDER]", {COMPLETION_FILES, NULL}},
        {"MEMBER", {COMPLETION_ASK, "members"}},
        {"WEBHOOK", {COMPLETION_ASK, "webhooks"}},
        {"DIR|--ovmf", {COMPLETION_FILES, NULL}},
        {"DIR", {COMPLETION_FOLDERS, NULL}},
        {"WORKLOAD", {COMPLETION_ASK, "workloads"}},
        {"[WORKLOAD]", {COMPLETION_ASK, "workloads"}},
        {"CONTEXT", {COMPLETION_ASK, "contexts"}},
        {"HOST", {COMPLETION_ASK, "hosts"}},
        {"VERSION", {COMPLETION_ASK, "images"}},
        {"TIER", {COMPLETION_ASK, "tiers"}},
        {"KEY", {COMPLETION_ASK, "keys"}},
    };
    size_t size = value ? word_of(value) : 0;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (strlen(rows[i].value) == size && strncmp(rows[i].value, value, size) == 0)
            return rows[i].completion;
    if (size && are_words(value, size))
        return (struct completion){COMPLETION_WORDS, value};
    return (struct completion){0};
}

struct completion completion_of_operands(const struct command *command)
{
    bool context =
        (command->group && strcmp(command->group, "context") == 0) || command_is(command, "logout");

    return completion_of(context ? "CONTEXT" : command->usage);
}

/* As __complete of the functions below reads it. */
static void print_source(struct completion source, FILE *out)
{
    switch (source.kind) {
    case COMPLETION_WORDS:
        fputs("words:", out);
        for (size_t i = 0; i < word_of(source.text); i++)
            fputc(source.text[i] == '|' ? ' ' : source.text[i], out);
        break;
    case COMPLETION_FILES:
        fputs("files", out);
        break;
    case COMPLETION_FOLDERS:
        fputs("folders", out);
        break;
    case COMPLETION_ASK:
        fprintf(out, "ask:%s", source.text);
        break;
    case COMPLETION_NOTHING:
        break;
    }
}

static bool is_first_of_group(size_t at)
{
    const char *group = commands[at].group;

    for (size_t i = 0; i < at; i++)
        if (commands[i].group && strcmp(commands[i].group, group) == 0)
            return false;
    return true;
}

static void print_group(const char *group, FILE *out)
{
    fprintf(out, "    '%s') echo '", group);
    for (size_t i = 0; i < n_commands; i++)
        if (commands[i].group && strcmp(commands[i].group, group) == 0)
            fprintf(out, "%s ", commands[i].name);
    fputs("' ;;\n", out);
}

static void print_commands(FILE *out)
{
    fputs("_coffer_commands() {\n    case \"$1\" in\n    ''|help) echo '", out);
    for (size_t i = 0; i < n_commands; i++)
        if (!commands[i].group || is_first_of_group(i))
            fprintf(out, "%s ", commands[i].group ?: commands[i].name);
    fputs("help' ;;\n", out);
    for (size_t i = 0; i < n_commands; i++)
        if (commands[i].group && is_first_of_group(i))
            print_group(commands[i].group, out);
    fputs("    esac\n}\n\n", out);
}

static void print_name(const struct command *c, FILE *out)
{
    fprintf(out, "%s%s%s", c->group ?: "", c->group ? " " : "", c->name);
}

static void print_options(FILE *out)
{
    const struct option_row *rows[OPTIONS_MAX];

    fputs("_coffer_options() {\n    case \"$1\" in\n", out);
    for (size_t i = 0; i < n_commands; i++) {
        size_t n = options_of(&commands[i], rows);
        fputs("    '", out);
        print_name(&commands[i], out);
        fputs("') echo '", out);
        for (size_t k = 0; k < n; k++)
            fprintf(out, "--%s ", rows[k]->name);
        fputs("' ;;\n", out);
    }
    fputs("    *) echo '--help --version --context' ;;\n    esac\n}\n\n", out);
}

static void print_value(const struct command *c, const struct option_row *row, FILE *out)
{
    if (!row->value)
        return;
    fputs("    '", out);
    print_name(c, out);
    fprintf(out, " --%s'", row->name);
    if (row->letter) {
        fputs("|'", out);
        print_name(c, out);
        fprintf(out, " -%c'", row->letter);
    }
    fputs(") echo 'value ", out);
    print_source(completion_of(strcmp(row->name, "context") == 0 ? "CONTEXT" : row->value), out);
    fputs("' ;;\n", out);
}

/* For an option that takes a value "value SOURCE", for a command's operands "operand SOURCE". */
static void print_sources(FILE *out)
{
    const struct option_row *rows[OPTIONS_MAX];

    fputs("_coffer_source() {\n    case \"$1\" in\n", out);
    for (size_t i = 0; i < n_commands; i++) {
        size_t n = options_of(&commands[i], rows);
        for (size_t k = 0; k < n; k++)
            print_value(&commands[i], rows[k], out);
        fputs("    '", out);
        print_name(&commands[i], out);
        fputs("') echo 'operand ", out);
        print_source(completion_of_operands(&commands[i]), out);
        fputs("' ;;\n", out);
    }
    fputs("    ' --context') echo 'value ask:contexts' ;;\n    esac\n}\n\n", out);
}

/* The command in the words before the cursor: "", a group, or a whole command. */
static const char find_command[] =
    "_coffer_find() {\n"
    "    local command='' word skip=''\n"
    "    for word in \"$@\"; do\n"
    "        if [ -n \"$skip\" ]; then skip=''; continue; fi\n"
    "        case \"$word\" in\n"
    "        --context) skip=1 ;;\n"
    "        -*|=) ;;\n"
    "        *)\n"
    "            if [ -z \"$command\" ]; then command=$word\n"
    "            elif [ -n \"$(_coffer_commands \"$command\")\" ]; then\n"
    "                command=\"$command $word\"; break\n"
    "            else break; fi ;;\n"
    "        esac\n"
    "    done\n"
    "    echo \"$command\"\n"
    "}\n\n"
    /* What may stand at the cursor, one a line. Words of the server are never evaluated. */
    "_coffer_words() {\n"
    "    local current=\"$1\" previous=\"$2\" command=\"$3\" source=''\n"
    "    case \"$previous\" in -*) source=$(_coffer_source \"$command $previous\") ;; esac\n"
    "    if [ -z \"$source\" ] && [ \"${current#-}\" != \"$current\" ]; then\n"
    "        _coffer_options \"$command\" | tr ' ' '\\n'; return\n"
    "    fi\n"
    "    if [ -z \"$source\" ] && [ -n \"$(_coffer_commands \"$command\")\" ]; then\n"
    "        _coffer_commands \"$command\" | tr ' ' '\\n'; return\n"
    "    fi\n"
    "    [ -n \"$source\" ] || source=$(_coffer_source \"$command\")\n"
    "    source=${source#* }\n"
    "    case \"$source\" in\n"
    "    words:*) echo \"${source#words:}\" | tr ' ' '\\n' ;;\n"
    "    ask:*) coffer __complete \"${source#ask:}\" 2>/dev/null ;;\n"
    "    files|folders) echo \"@$source\" ;;\n"
    "    esac\n"
    "}\n\n";

static const char bash_end[] =
    "_coffer() {\n"
    "    local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
    "    local line command\n"
    "    COMPREPLY=()\n"
    "    if [ \"$current\" = '=' ]; then current=''; \n"
    "    elif [ \"$previous\" = '=' ]; then previous=\"${COMP_WORDS[COMP_CWORD-2]}\"; fi\n"
    "    command=$(_coffer_find \"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n"
    "    while IFS= read -r line; do\n"
    "        case \"$line\" in\n"
    "        @files) compopt -o filenames 2>/dev/null\n"
    "            while IFS= read -r line; do COMPREPLY+=(\"$line\"); done "
    "< <(compgen -f -- \"$current\") ;;\n"
    "        @folders) compopt -o filenames 2>/dev/null\n"
    "            while IFS= read -r line; do COMPREPLY+=(\"$line\"); done "
    "< <(compgen -d -- \"$current\") ;;\n"
    "        '') ;;\n"
    "        \"$current\"*) COMPREPLY+=(\"$line\") ;;\n"
    "        esac\n"
    "    done < <(_coffer_words \"$current\" \"$previous\" \"$command\")\n"
    "}\n"
    "complete -F _coffer coffer\n";

static const char zsh_end[] =
    "_coffer() {\n"
    "    local current=\"${words[CURRENT]}\" previous=\"${words[CURRENT-1]}\" command line\n"
    "    local -a found\n"
    "    if [[ \"$current\" == --*=* ]]; then\n"
    "        previous=\"${current%%=*}\"; current=\"${current#*=}\"; compset -P '*='\n"
    "    fi\n"
    "    command=$(_coffer_find \"${(@)words[2,CURRENT-1]}\")\n"
    "    for line in \"${(@f)$(_coffer_words \"$current\" \"$previous\" \"$command\")}\"; do\n"
    "        case \"$line\" in\n"
    "        @files) _files; return ;;\n"
    "        @folders) _files -/; return ;;\n"
    "        '') ;;\n"
    "        *) found+=(\"$line\") ;;\n"
    "        esac\n"
    "    done\n"
    "    compadd -a found\n"
    "}\n"
    "compdef _coffer coffer\n";

bool completion_print(const char *shell, FILE *out)
{
    bool bash = strcmp(shell, "bash") == 0;

    if (strcmp(shell, "fish") == 0) {
        completion_print_fish(out);
        return true;
    }
    if (!bash && strcmp(shell, "zsh") != 0)
        return false;
    fputs(bash ? "# source <(coffer completion bash), or save as "
                 "/usr/share/bash-completion/completions/coffer\n\n"
               : "#compdef coffer\n# save as _coffer in a folder of $fpath\n\n",
          out);
    print_commands(out);
    print_options(out);
    print_sources(out);
    fputs(find_command, out);
    fputs(bash ? bash_end : zsh_end, out);
    return true;
}

int completion_main(int argc, char **argv)
{
    if (argc == 2 && completion_print(argv[1], stdout))
        return EXIT_OK;
    return command_usage("completion takes the name of a shell: bash, zsh or fish");
}
