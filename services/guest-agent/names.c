#include "services/guest-agent/names.h"

#include <string.h>

#include "shared/base/cleanup.h"
#include "shared/manifest/manifest.h"

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool label_is_valid(const char *label, size_t length)
{
    return length >= 1 && length <= 63 && label[0] != '-' && label[length - 1] != '-';
}

static bool host_is_valid(const char *text, size_t length, size_t *ret_labels)
{
    size_t labels = 0;

    for (size_t start = 0; start <= length; labels++) {
        size_t n = 0;
        while (start + n < length && text[start + n] != '.')
            n++;
        if (!label_is_valid(text + start, n))
            return false;
        start += n + 1;
    }
    *ret_labels = labels;
    return true;
}

bool domain_is_valid(const char *text)
{
    size_t length = strlen(text);
    size_t labels = 0;

    if (length == 0 || length > 253 || strspn(text, LOWER DIGITS ".-") != length)
        return false;
    return host_is_valid(text, length, &labels) && labels >= 2;
}

bool variable_name_is_valid(const char *text)
{
    return manifest_env_is_valid(text) && !manifest_env_is_reserved(text);
}

bool registry_is_docker_hub(const char *server)
{
    static const char *const names[] = {"", "docker.io", "index.docker.io", "registry-1.docker.io",
                                        "https://index.docker.io/v1/"};

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        if (strcmp(server, names[i]) == 0)
            return true;
    }
    return false;
}

bool registry_server_is_valid(const char *text)
{
    static const char scheme[] = "https://";
    const char *host = strncmp(text, scheme, strlen(scheme)) == 0 ? text + strlen(scheme) : text;
    size_t size = strcspn(host, ":/");
    const char *rest = host + size;
    size_t labels;

    if (registry_is_docker_hub(text))
        return true;
    if (strlen(text) > 253 || strspn(host, LOWER UPPER DIGITS ".-") != size)
        return false;
    if (!host_is_valid(host, size, &labels))
        return false;
    if (*rest == ':') {
        size_t digits = strspn(rest + 1, DIGITS);
        if (digits < 1 || digits > 5)
            return false;
        rest += 1 + digits;
    }
    return *rest == '\0' ||
           (*rest == '/' && strspn(rest, LOWER UPPER DIGITS "._/-") == strlen(rest));
}

bool service_name_is_valid(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > 63 || strspn(text, UPPER LOWER DIGITS "._-") != length)
        return false;
    return strchr("._-", text[0]) == NULL;
}
