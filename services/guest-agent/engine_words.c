#include "services/guest-agent/engine_words.h"

enum { LAST_WORDS_MAX = 3000 };

static const struct {
    const char *words;
    enum error_code code;
} table[] = {
    {"unauthorized", ERROR_UNAUTHENTICATED},
    {"incorrect username or password", ERROR_UNAUTHENTICATED},
    {"authentication required", ERROR_UNAUTHENTICATED},
    {"no basic auth credentials", ERROR_UNAUTHENTICATED},
    {"manifest unknown", ERROR_NOT_FOUND},
    {"repository does not exist", ERROR_NOT_FOUND},
    {"pull access denied", ERROR_NOT_FOUND},
    {"no matching manifest", ERROR_NOT_FOUND},
    {"name unknown", ERROR_NOT_FOUND},
    {"no such image", ERROR_NOT_FOUND},
    {"not found: manifest", ERROR_NOT_FOUND},
    {"invalid reference format", ERROR_INVALID_ARGUMENT},
    {"certificate signed by unknown authority", ERROR_FAILED_PRECONDITION},
    {"tls: failed to verify certificate", ERROR_FAILED_PRECONDITION},
    {"http response to https client", ERROR_FAILED_PRECONDITION},
    {"toomanyrequests", ERROR_UNAVAILABLE},
    {"connection refused", ERROR_UNAVAILABLE},
    {"connection reset", ERROR_UNAVAILABLE},
    {"i/o timeout", ERROR_UNAVAILABLE},
    {"timeout exceeded", ERROR_UNAVAILABLE},
    {"deadline exceeded", ERROR_UNAVAILABLE},
    {"no such host", ERROR_UNAVAILABLE},
    {"server misbehaving", ERROR_UNAVAILABLE},
    {"temporary failure", ERROR_UNAVAILABLE},
    {"network is unreachable", ERROR_UNAVAILABLE},
    {"bad gateway", ERROR_UNAVAILABLE},
    {"service unavailable", ERROR_UNAVAILABLE},
    {"unexpected eof", ERROR_UNAVAILABLE},
    {"cannot connect to the docker daemon", ERROR_UNAVAILABLE},
    {"no space left on device", ERROR_RESOURCE_EXHAUSTED},
};

enum error_code engine_words_code(const char *errors)
{
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        if (strcasestr(errors, table[i].words))
            return table[i].code;
    }
    return ERROR_INTERNAL;
}

/* Where the tool comes to the point: its last line that starts with "Error"; NULL: none does. */
static const char *find_point(const char *errors)
{
    const char *point = NULL;

    for (const char *line = errors; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncasecmp(line, "error", 5) == 0)
            point = line;
    }
    return point;
}

const char *engine_last_words(const char *errors)
{
    size_t length = strlen(errors);
    const char *words = length > LAST_WORDS_MAX ? errors + length - LAST_WORDS_MAX : errors;
    const char *line = words == errors ? NULL : strchr(words, '\n');
    const char *point;

    if (line && line[1])
        words = line + 1;
    point = find_point(words);
    if (point)
        words = point;
    while (*words == '\n' || *words == ' ')
        words++;
    return *words ? words : "the tool said nothing";
}
