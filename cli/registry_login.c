#include "cli/registry_login.h"

#include <jansson.h>

#include "cli/client.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

enum { CONFIG_MAX = 1024 * 1024, AUTH_MAX = 4096 };

static struct error *from_environment(const char *text, const char *equals, struct arena *arena,
                                      struct registry_login *ret_login)
{
    const char *password = getenv("COFFER_REGISTRY_PASSWORD");
    char *server = arena_strdup(arena, text);

    if (!password)
        return error_new(ERROR_INVALID_ARGUMENT,
                         "--registry %.*s=...: set "
                         "COFFER_REGISTRY_PASSWORD",
                         (int)(equals - text), text);
    server[equals - text] = '\0';
    *ret_login = (struct registry_login){server, arena_strdup(arena, equals + 1),
                                         arena_strdup(arena, password)};
    return NULL;
}

static struct error *split_auth(const char *auth, struct arena *arena,
                                struct registry_login *ret_login)
{
    uint8_t *data = NULL;
    size_t size = 0;
    struct error *err = base64_decode_new(auth, AUTH_MAX, &data, &size);

    if (err)
        return err;
    const char *colon = memchr(data, ':', size);
    if (colon) {
        ret_login->password = arena_strdup(arena, colon + 1);
        ret_login->username = arena_printf(arena, "%.*s", (int)(colon - (char *)data), data);
    }
    OPENSSL_cleanse(data, size);
    free(data);
    return colon ? NULL : error_new(ERROR_INVALID_ARGUMENT, "the stored login has no ':'");
}

static struct error *from_docker(const char *server, struct arena *arena,
                                 struct registry_login *ret_login)
{
    const char *folder = getenv("DOCKER_CONFIG");
    _cleanup_free_ char *path = folder ? xasprintf("%s/config.json", folder)
                                       : xasprintf("%s/.docker/config.json", getenv("HOME") ?: "");
    _cleanup_buffer_ struct buffer text = {0};
    struct error *err = file_read(path, CONFIG_MAX, &text);

    if (err)
        return error_wrap(err, "--registry %s: no stored login (docker login, or SERVER=USER)",
                          server);
    _cleanup_(json_decrefp) json_t *config = json_loadb(buffer_text(&text), text.size, 0, NULL);
    const json_t *entry = json_object_get(json_object_get(config, "auths"), server);
    const char *auth = json_string_value(json_object_get(entry, "auth"));
    if (!auth)
        return error_new(ERROR_NOT_FOUND, "--registry %s: '%s' has no login for it", server, path);
    ret_login->server = arena_strdup(arena, server);
    return error_wrap(split_auth(auth, arena, ret_login), "--registry %s", server);
}

struct error *registry_login_find(const char *text, struct arena *arena,
                                  struct registry_login *ret_login)
{
    const char *equals = strchr(text, '=');

    return equals ? from_environment(text, equals, arena, ret_login)
                  : from_docker(text, arena, ret_login);
}
