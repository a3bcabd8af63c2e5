#include "cli/stream_gap.h"

#include <jansson.h>
#include <string.h>

#include "cli/command.h"

bool stream_gap(const char *name, const char *text, FILE *out)
{
    if (strcmp(name, STREAM_GAP) != 0)
        return false;
    _cleanup_(json_decrefp) json_t *gap = json_loads(text, 0, NULL);
    const json_t *from = json_object_get(gap, "from");
    const json_t *to = json_object_get(gap, "to");
    json_int_t missing = json_integer_value(to) - json_integer_value(from) + 1;

    /* The numbers are those of everybody's stream: ours are among them. */
    if (json_is_integer(from) && json_is_integer(to) && missing > 0)
        fprintf(out,
                "coffer: up to %" JSON_INTEGER_FORMAT " entries are missing here "
                "(%" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
                "): expired before they were read\n",
                missing, json_integer_value(from), json_integer_value(to));
    else
        fputs("coffer: entries are missing here: expired before they were read\n", out);
    fflush(out);
    return true;
}
