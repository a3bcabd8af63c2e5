#include "services/api-gateway/time_text.h"

#include <string.h>
#include <time.h>

#include "shared/base/cleanup.h"
#include "shared/base/clock.h"

bool time_text_parse(const char *text, int64_t *ret_ms)
{
    struct tm parts = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    unsigned ms = 0;
    int size = 0;

    if (end && *end == '.') {
        if (strspn(end + 1, "0123456789") != 3 || sscanf(end, ".%3u%n", &ms, &size) != 1)
            return false;
        end += size;
    }
    if (!end || strcmp(end, "Z") != 0)
        return false;
    char again[CLOCK_TEXT_SIZE];
    *ret_ms = (int64_t)timegm(&parts) * 1000 + ms;
    clock_format(*ret_ms, again);
    return strncmp(again, text, strlen("2030-01-31T12:00:00")) == 0; /* no 30 February */
}

bool time_text_since(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    static const struct {
        char unit;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 6 || strlen(text) != digits + 1)
        return time_text_parse(text, ret_ms);
    for (size_t i = 0; i < ELEMENTSOF(units); i++)
        if (text[digits] == units[i].unit) {
            *ret_ms = now_ms - strtoll(text, NULL, 10) * units[i].ms;
            return true;
        }
    return false;
}
