#include "services/guest-agent/caddy_words.h"

#include <jansson.h>

#include "shared/base/alloc.h"

char *caddy_problem(const char *line, size_t size)
{
    json_t *json = json_loadb(line, size, 0, NULL);
    const char *level = json_string_value(json_object_get(json, "level"));
    const char *msg = json_string_value(json_object_get(json, "msg"));
    const char *error = json_string_value(json_object_get(json, "error"));
    char *problem = NULL;

    if (level && msg && error && strcmp(level, "error") == 0)
        problem = xasprintf("%.200s: %.800s", msg, error);
    json_decref(json);
    return problem;
}
