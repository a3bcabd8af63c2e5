#include "services/api-gateway/time_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shared/base/clock.h"

bool time_parse(const char *text, int64_t *ret_ms)
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
    int64_t at_ms = (int64_t)timegm(&parts) * 1000 + ms;
    clock_format(at_ms, again);
    if (strncmp(again, text, strlen("2030-01-31T12:00:00")) != 0) /* no 30 February */
        return false;
    *ret_ms = at_ms;
    return true;
}
