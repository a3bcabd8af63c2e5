#include "cli/output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/command.h"

const char *output_text(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text && text[0] ? text : "-";
}

/* JSON escapes only C0: a terminal obeys C1 too, so there all but ASCII is escaped. */
static size_t for_terminal(void)
{
    return isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0;
}

int output_json(const json_t *json)
{
    size_t flags = JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(15);

    json_dumpf(json, stdout, flags | for_terminal());
    putchar('\n');
    return EXIT_OK;
}

void output_json_line(const json_t *json)
{
    json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY | for_terminal());
    putchar('\n');
    fflush(stdout);
}

bool output_time(const char *text, int64_t *ret_ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

    if (!end)
        return false;
    if (*end == '.')
        end += 1 + strspn(end + 1, "0123456789");
    if (strcmp(end, "Z") != 0)
        return false;
    *ret_ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

const char *output_age(const char *time, int64_t now_ms, char ret_text[COLUMN_TEXT_MAX])
{
    static const struct {
        int64_t seconds;
        char unit;
        int64_t until; /* exclusive, in seconds */
    } units[] = {
        {1, 's', 120}, {60, 'm', 120 * 60}, {3600, 'h', 48 * 3600}, {86400, 'd', INT64_MAX}};
    int64_t then;
    size_t i = 0;

    if (!time || !time[0])
        return "-";
    if (!output_time(time, &then))
        return time;
    int64_t age = (now_ms - then) / 1000;
    int64_t far = age < 0 ? -age : age;
    while (far >= units[i].until)
        i++;
    snprintf(ret_text, COLUMN_TEXT_MAX, "%s%" PRId64 "%c", age < 0 ? "in " : "",
             far / units[i].seconds, units[i].unit);
    return ret_text;
}
