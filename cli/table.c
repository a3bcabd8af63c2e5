/* Lists as tables. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"

enum { COLUMNS_MAX = 16, GAP = 2, NARROWEST = 8 };

struct table {
    const struct column *columns[COLUMNS_MAX]; /* those shown */
    size_t n_columns;
    char **cells; /* n_rows * n_columns; clean */
    size_t n_rows;
    size_t widths[COLUMNS_MAX];
    bool exact; /* times as they are */
    bool colours;
    size_t room; /* columns of the terminal; 0: as many as needed */
    int64_t now_ms;
};

static void table_done(struct table *table)
{
    for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
        free(table->cells[i]);
    free(table->cells);
}

/* "actor.keyId": of the object in the object. */
static const json_t *member_of(const json_t *row, const char *path)
{
    const char *dot = strchr(path, '.');

    if (!dot)
        return json_object_get(row, path);
    _cleanup_free_ char *first = xstrndup(path, (size_t)(dot - path));
    return json_object_get(json_object_get(row, first), dot + 1);
}

static const char *text_of(const struct table *table, const struct column *column,
                           const json_t *row, char text[COLUMN_TEXT_MAX])
{
    if (column->make)
        return column->make(row, text);
    const json_t *value = member_of(row, column->member);
    const char *string = json_string_value(value);
    switch (column->kind) {
    case COLUMN_INT:
        snprintf(text, COLUMN_TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return text;
    case COLUMN_USD:
        snprintf(text, COLUMN_TEXT_MAX, "%.6f", json_number_value(value));
        return text;
    case COLUMN_TIME:
        return table->exact ? string : output_age(string, table->now_ms, text);
    default:
        return string;
    }
}

static char *make_cell(const struct table *table, const struct column *column, const json_t *row)
{
    char text[COLUMN_TEXT_MAX];
    const char *raw = text_of(table, column, row, text);

    return terminal_text(raw && raw[0] ? raw : "-", TERMINAL_LINE);
}

static void measure(struct table *table)
{
    bool titles = !invocation()->no_headers;

    for (size_t c = 0; c < table->n_columns; c++) {
        table->widths[c] = titles ? terminal_width(table->columns[c]->title) : 0;
        for (size_t r = 0; r < table->n_rows; r++) {
            size_t width = terminal_width(table->cells[r * table->n_columns + c]);
            if (width > table->widths[c])
                table->widths[c] = width;
        }
    }
}

/* Takes from the widest column, never from the first: that one is to be copied. */
static void fit(struct table *table)
{
    size_t total = GAP * (table->n_columns - 1);

    for (size_t c = 0; c < table->n_columns; c++)
        total += table->widths[c];
    while (table->room && total > table->room) {
        size_t widest = 0;
        for (size_t c = 1; c < table->n_columns; c++)
            if (table->widths[c] > NARROWEST &&
                (widest == 0 || table->widths[c] > table->widths[widest]))
                widest = c;
        if (widest == 0)
            return;
        table->widths[widest]--;
        total--;
    }
}

static const char *colour_of(const struct table *table, const struct column *column,
                             const char *text)
{
    static const struct {
        const char *text;
        const char *colour; /* ECMA-48: SGR */
    } rows[] = {
        {"running", "\x1b[32m"},  {"ready", "\x1b[32m"}, {"active", "\x1b[32m"},
        {"ok", "\x1b[32m"},       {"error", "\x1b[31m"}, {"failed", "\x1b[31m"},
        {"fail", "\x1b[31m"},     {"lost", "\x1b[31m"},  {"refused", "\x1b[31m"},
        {"disabled", "\x1b[33m"}, {"warn", "\x1b[33m"},  {"stopped", "\x1b[33m"},
        {"cordoned", "\x1b[33m"},
    };

    for (size_t i = 0; table->colours && column->kind == COLUMN_STATUS && i < ELEMENTSOF(rows); i++)
        if (strcmp(rows[i].text, text) == 0)
            return rows[i].colour;
    return NULL;
}

static void print_cell(const struct table *table, size_t c, const char *text, const char *colour)
{
    const struct column *column = table->columns[c];
    bool right = column->kind == COLUMN_INT || column->kind == COLUMN_USD;
    _cleanup_free_ char *cut =
        table->room && c ? terminal_cut(text, table->widths[c]) : xstrdup(text);
    size_t width = terminal_width(cut);
    size_t pad = width < table->widths[c] ? table->widths[c] - width : 0;
    bool last = c + 1 == table->n_columns;

    printf("%*s%s%s%s%*s", right ? (int)pad : 0, "", colour ?: "", cut, colour ? "\x1b[0m" : "",
           right || last ? 0 : (int)pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

static void print(const struct table *table)
{
    for (size_t c = 0; !invocation()->no_headers && c < table->n_columns; c++)
        print_cell(table, c, table->columns[c]->title, table->colours ? "\x1b[1m" : NULL);
    for (size_t i = 0; i < table->n_rows * table->n_columns; i++) {
        size_t c = i % table->n_columns;
        print_cell(table, c, table->cells[i], colour_of(table, table->columns[c], table->cells[i]));
    }
}

static void print_table(const json_t *rows, const struct column *columns, size_t n)
{
    bool wide = invocation()->format == OUTPUT_WIDE;
    _cleanup_(table_done) struct table table = {
        .exact = wide,
        .colours = terminal_has_colours(stdout),
        .room = wide ? 0 : terminal_columns(stdout),
        .now_ms = clock_wall_ms(clock_system()),
    };
    const json_t *row;
    size_t i;

    for (size_t c = 0; c < n && table.n_columns < COLUMNS_MAX; c++)
        if (wide || !columns[c].wide)
            table.columns[table.n_columns++] = &columns[c];
    table.cells = xnew_array(char *, json_array_size(rows) * table.n_columns + 1);
    json_array_foreach(rows, i, row)
    {
        for (size_t c = 0; c < table.n_columns; c++)
            table.cells[i * table.n_columns + c] = make_cell(&table, table.columns[c], row);
        table.n_rows++;
    }
    measure(&table);
    fit(&table);
    print(&table);
}

int output_list(const json_t *rows, const struct column *columns, size_t n)
{
    const struct table plain = {.exact = true};
    const json_t *row;
    size_t i;

    if (invocation()->format == OUTPUT_JSON)
        return output_json(rows);
    if (invocation()->format != OUTPUT_NAME) {
        print_table(rows, columns, n);
        return EXIT_OK;
    }
    json_array_foreach(rows, i, row)
    {
        _cleanup_free_ char *name = make_cell(&plain, &columns[0], row);
        puts(name);
    }
    return EXIT_OK;
}
