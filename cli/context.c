/* Which context is in use, and what the environment says in its place. */
#include "cli/context.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/invocation.h"
#include "shared/base/alloc.h"
#include "shared/base/cleanup.h"
#include "shared/base/encode.h"
#include "shared/base/file.h"

static const char default_name[] = "default";

void context_done(struct context *context)
{
    if (context->key)
        OPENSSL_cleanse(context->key, strlen(context->key));
    free(context->key);
    free(context->name);
    free(context->url);
    free(context->ca);
    *context = (struct context){0};
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);

    return value && value[0] ? value : NULL;
}

struct error *context_folder(char **ret_path)
{
    const char *config = environment("XDG_CONFIG_HOME");
    const char *home = environment("HOME");

    if (config && config[0] == '/') /* a relative one is to be ignored, says its specification */
        *ret_path = xasprintf("%s/coffer", config);
    else if (home)
        *ret_path = xasprintf("%s/.config/coffer", home);
    else
        return error_new(ERROR_UNAUTHENTICATED, "there is no HOME to look for contexts in");
    return NULL;
}

static bool is_folder(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* contexts/NAME, or for the default one the folder itself as before there were contexts. */
struct error *context_path(const char *name, char **ret_path)
{
    _cleanup_free_ char *root = NULL;
    struct error *err = context_check_name(name);

    if (!err)
        err = context_folder(&root);
    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("%s/contexts/%s", root, name);
    if (is_folder(path)) {
        *ret_path = TAKE_PTR(path);
        return NULL;
    }
    _cleanup_free_ char *old = xasprintf("%s/url", root);
    if (strcmp(name, default_name) != 0 || access(old, F_OK) != 0)
        return error_new(ERROR_NOT_FOUND, "there is no context '%s'\n  try: coffer context ls",
                         name);
    *ret_path = TAKE_PTR(root);
    return NULL;
}

struct error *context_check_name(const char *name)
{
    if (name_is_valid(name))
        return NULL;
    return error_new(ERROR_INVALID_ARGUMENT,
                     "'%s' is no name for a context: a-z, 0-9 and '-', at most 63", name);
}

struct error *context_check_key(const char *key)
{
    size_t length = strlen(key);

    if (length < 8)
        return error_new(ERROR_INVALID_ARGUMENT, "that is no API key: it is too short");
    for (size_t i = 0; i < length; i++)
        if (key[i] <= ' ' || key[i] > '~')
            return error_new(ERROR_INVALID_ARGUMENT,
                             "that is no API key: byte %zu of it is no visible ASCII", i + 1);
    return NULL;
}

struct error *context_check_url(const char *url)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  ".-:[]/_~%";
    const char *host = strncmp(url, "https://", 8) == 0  ? url + 8
                       : strncmp(url, "http://", 7) == 0 ? url + 7
                                                         : NULL;

    if (!host || !host[0] || host[0] == '/' || host[0] == ':' || host[strspn(host, allowed)])
        return error_new(ERROR_INVALID_ARGUMENT,
                         "'%s' is no address of a gateway: it is like https://api.example.com",
                         url);
    return NULL;
}

bool context_is_plain(const char *url)
{
    static const char scheme[] = "http://";
    struct in_addr address;
    char host[64];

    if (strncmp(url, scheme, strlen(scheme)) != 0)
        return false;
    const char *from = url + strlen(scheme);
    size_t size = from[0] == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/");
    if (size >= sizeof(host))
        return true;
    snprintf(host, sizeof(host), "%.*s", (int)size, from);
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return false;
    /* 127/8; "127.example.com" is not of it */
    return inet_pton(AF_INET, host, &address) != 1 || ntohl(address.s_addr) >> 24 != 127;
}

struct error *context_read_secret(const char *path, char **ret_text)
{
    struct stat info;

    if (stat(path, &info) < 0)
        return error_errno(errno, "'%s'", path);
    if (info.st_mode & 077)
        return error_new(ERROR_PERMISSION_DENIED,
                         "others may read or write '%s' (mode %03o)\n  try: chmod 600 '%s'", path,
                         info.st_mode & 0777U, path);
    return file_read_text(path, CONTEXT_KEY_MAX, ret_text);
}

/* A file that need not be there. */
static struct error *read_optional(struct error *(*read)(const char *, char **), const char *folder,
                                   const char *name, char **ret_text)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", folder, name);
    struct error *err = read(path, ret_text);

    if (error_get_code(err) != ERROR_NOT_FOUND)
        return err;
    error_free(err);
    return NULL;
}

static struct error *read_text(const char *path, char **ret_text)
{
    return file_read_text(path, CONTEXT_KEY_MAX, ret_text);
}

static struct error *find_ca(const char *folder, char **ret_path)
{
    _cleanup_free_ char *path = xasprintf("%s/ca.pem", folder);

    if (access(path, F_OK) == 0)
        *ret_path = TAKE_PTR(path);
    return NULL;
}

static void trim_slashes(char *url)
{
    for (size_t n = url ? strlen(url) : 0; n && url[n - 1] == '/'; n--)
        url[n - 1] = '\0';
}

static struct error *load(const char *name, bool with_key, struct context *context)
{
    _cleanup_free_ char *folder = NULL;
    struct error *err = context_path(name, &folder);

    context->name = xstrdup(name);
    if (!err)
        err = read_optional(read_text, folder, "url", &context->url);
    if (!err && with_key)
        err = read_optional(context_read_secret, folder, "api-key", &context->key);
    if (!err)
        err = find_ca(folder, &context->ca);
    trim_slashes(context->url);
    return err;
}

struct error *context_load_named(const char *name, struct context *ret_context)
{
    struct context context = {0};
    struct error *err = load(name, true, &context);

    if (err)
        context_done(&context);
    else
        *ret_context = context;
    return err;
}

struct error *context_current(char **ret_name)
{
    const char *asked = invocation()->context ?: environment("COFFER_CONTEXT");
    _cleanup_free_ char *folder = NULL;

    if (asked) {
        *ret_name = xstrdup(asked);
        return NULL;
    }
    struct error *err = context_folder(&folder);
    if (err)
        return err;
    err = read_optional(read_text, folder, "current", ret_name);
    if (!err && !*ret_name)
        *ret_name = xstrdup(default_name);
    return err;
}

static void replace(char **text, const char *value)
{
    if (!value)
        return;
    free(*text);
    *text = xstrdup(value);
}

/* Without any context the environment alone must do, so the lack of one is no error here. */
static struct error *load_current(bool with_key, struct context *context)
{
    _cleanup_free_ char *name = NULL;
    bool asked = invocation()->context || environment("COFFER_CONTEXT");
    struct error *err = context_current(&name);

    if (!err)
        err = load(name, with_key, context);
    if (asked || !err || error_get_code(err) == ERROR_PERMISSION_DENIED)
        return error_get_code(err) == ERROR_NOT_FOUND ? error_recode(err, ERROR_INVALID_ARGUMENT)
                                                      : err;
    error_free(err);
    context_done(context);
    return NULL;
}

struct error *context_load(struct context *ret_context)
{
    struct context context = {0};
    bool by_option = invocation()->context != NULL;
    const char *url = by_option ? NULL : environment("COFFER_API_URL");
    const char *key = by_option ? NULL : environment("COFFER_API_KEY");
    struct error *err = url && key ? NULL : load_current(!key, &context);

    if (err) {
        context_done(&context);
        return err;
    }
    replace(&context.url, url);
    replace(&context.key, key);
    replace(&context.ca, by_option ? NULL : environment("COFFER_CA_FILE"));
    trim_slashes(context.url);
    *ret_context = context;
    return NULL;
}
