#include "cli/verify_hint.h"

#include "cli/output.h"
#include "shared/base/alloc.h"
#include "shared/base/buffer.h"
#include "shared/base/encode.h"
#include "shared/manifest/manifest.h"

enum { HASH_HEX = 64 };

static bool is_hash(const char *text)
{
    return strlen(text) == HASH_HEX && strspn(text, "0123456789abcdef") == HASH_HEX;
}

/* In single quotes when it needs them. */
static void add_word(struct buffer *text, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-._~:/@%+,=[]";
    bool quote = word[strspn(word, plain)] || !*word;

    buffer_add_text(text, quote ? "'" : "");
    for (; *word; word++)
        if (*word == '\'')
            buffer_add_text(text, "'\\''");
        else
            buffer_add(text, word, 1);
    buffer_add_text(text, quote ? "'" : "");
}

/* Who signed the image's description: "" when that is not to be had. */
static void find_release_key(struct client *client, const char *version, char ret_key[HASH_HEX + 1])
{
    _cleanup_free_ char *path = xasprintf("/api/v1/images/%s", version);
    _cleanup_(json_decrefp) json_t *image = NULL;
    struct error *err = client_call(client, "GET", path, NULL, &image);
    const char *key =
        json_string_value(json_object_get(json_object_get(image, "signature"), "key"));

    error_free(err); /* a help, not a must */
    snprintf(ret_key, HASH_HEX + 1, "%s", key && is_hash(key) ? key : "");
}

char *verify_hint(struct client *client, const json_t *workload)
{
    const char *domain = output_text(workload, "domain");
    const char *hash = output_text(workload, "manifestHash");
    const char *version = output_text(workload, "artifactsVersion");
    json_int_t gpus = json_integer_value(json_object_get(workload, "gpus"));
    _cleanup_buffer_ struct buffer text = {0};
    char key[HASH_HEX + 1];

    if (!manifest_domain_is_valid(domain) || !is_hash(hash) || !manifest_version_is_valid(version))
        return NULL;
    find_release_key(client, version, key);
    buffer_add_text(&text, "curl -fsS ");
    if (client_ca(client)) {
        buffer_add_text(&text, "--cacert ");
        add_word(&text, client_ca(client));
        buffer_add_text(&text, " ");
    }
    buffer_add_text(&text, "-o image.json ");
    _cleanup_free_ char *url = xasprintf("%s/api/v1/images/%s", client_url(client), version);
    add_word(&text, url);
    buffer_printf(&text, " && coffer verify https://%s --manifest %s --image ./image.json", domain,
                  hash);
    if (key[0])
        buffer_printf(&text, " --release-key %s", key);
    if (gpus > 0)
        buffer_printf(&text, " --gpus %" JSON_INTEGER_FORMAT, gpus);
    return buffer_take_text(&text);
}
