#include "shared/base/config.h"

#include <ctype.h>
#include <inttypes.h>

#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/encode.h"

static void flag_of(const char *name, char *ret_flag, size_t size)
{
    size_t i = 0;

    for (; name[i] && i + 1 < size; i++)
        ret_flag[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    ret_flag[i] = '\0';
}

static const struct config_row *find_row(const struct config_row *rows, const char *flag,
                                         size_t length)
{
    char name[128];

    for (; rows->name; rows++) {
        flag_of(rows->name, name, sizeof(name));
        if (strlen(name) == length && strncmp(name, flag, length) == 0)
            return rows;
    }
    return NULL;
}

static size_t row_count(const struct config_row *rows)
{
    size_t n = 0;

    while (rows[n].name)
        n++;
    return n;
}

static struct error *read_flags(const struct config_row *rows, int argc, char **argv,
                                const char **values)
{
    for (int i = 1; i < argc; i++) {
        const char *flag = argv[i];
        if (strncmp(flag, "--", 2) != 0)
            return error_new(ERROR_INVALID_ARGUMENT, "unexpected operand '%s'", flag);
        flag += 2;
        size_t length = strcspn(flag, "=");
        const struct config_row *row = find_row(rows, flag, length);
        if (!row)
            return error_new(ERROR_INVALID_ARGUMENT, "unknown flag '%s'", argv[i]);
        if (flag[length] == '=')
            values[row - rows] = flag + length + 1;
        else if (i + 1 < argc)
            values[row - rows] = argv[++i];
        else
            return error_new(ERROR_INVALID_ARGUMENT, "flag '%s' needs a value", argv[i]);
    }
    return NULL;
}

static const char *parse_uint(const char *text, uint64_t *ret_value)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return "is not a whole number";
    errno = 0;
    *ret_value = strtoull(text, &end, 10);
    return errno || *end ? "is not a whole number in range" : NULL;
}

static const char *parse_text(const struct config_row *row, const char *text, char **ret_value)
{
    bool may_be_empty = row->default_value && row->default_value[0] == '\0';

    if (text[0] == '\0' && !may_be_empty)
        return "must not be empty";
    if (row->type == CONFIG_NAME && text[0] && !name_is_valid(text))
        return "must match [a-z0-9-]{1,63}";
    *ret_value = xstrdup(text);
    return NULL;
}

static const char *parse_bool(const char *text, bool *ret_value)
{
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return "must be true or false";
    *ret_value = strcmp(text, "true") == 0;
    return NULL;
}

static const char *parse_row(const struct config_row *row, const char *text, void *config)
{
    void *target = (char *)config + row->offset;

    switch (row->type) {
    case CONFIG_UINT:
        return parse_uint(text, target);
    case CONFIG_BOOL:
        return parse_bool(text, target);
    default:
        return parse_text(row, text, target);
    }
}

struct error *config_load(const struct config_row *rows, int argc, char **argv, void *config)
{
    _cleanup_free_ const char **values = xcalloc(row_count(rows), sizeof(char *));
    _cleanup_buffer_ struct buffer problems = {0};
    struct error *err = read_flags(rows, argc, argv, values);

    if (err)
        return err;
    for (const struct config_row *row = rows; row->name; row++) {
        const char *text = values[row - rows] ?: getenv(row->name) ?: row->default_value;
        const char *problem = text ? parse_row(row, text, config) : "is not set";
        if (problem)
            buffer_printf(&problems, "%s%s %s (%s)", problems.size ? "; " : "", row->name, problem,
                          row->help);
    }
    if (!problems.size)
        return NULL;
    config_done(rows, config);
    return error_new(ERROR_INVALID_ARGUMENT, "%s", buffer_text(&problems));
}

void config_done(const struct config_row *rows, void *config)
{
    for (; rows->name; rows++) {
        if (rows->type == CONFIG_UINT || rows->type == CONFIG_BOOL)
            continue;
        char **text = (char **)((char *)config + rows->offset);
        free(*text);
        *text = NULL;
    }
}

void config_print_help(const struct config_row *rows, FILE *out)
{
    char flag[128];

    for (; rows->name; rows++) {
        flag_of(rows->name, flag, sizeof(flag));
        fprintf(out, "  --%s\n      %s\n      environment %s, %s%s\n", flag, rows->help, rows->name,
                rows->default_value ? "default " : "must be given",
                rows->default_value ? (rows->default_value[0] ? rows->default_value : "empty")
                                    : "");
    }
}
