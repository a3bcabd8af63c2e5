/* The recipes of docs/webhooks.md, run as they stand there. */
#include "services/api-gateway/test_webhook_kit.h"

#include <unistd.h>

#include "shared/base/alloc.h"
#include "shared/base/file.h"

static char *recipe(void)
{
    static const char start[] = "```python\n";
    char *text = NULL;

    assert_null(file_read_text("docs/webhooks.md", 256 * 1024, &text));
    _cleanup_free_ char *owned = text;
    char *from = strstr(text, start);
    assert_non_null(from);
    char *to = strstr(from + strlen(start), "```");
    assert_non_null(to);
    return xstrndup(from + strlen(start), (size_t)(to - from) - strlen(start));
}

static void save(const char *dir, const char *name, const void *data, size_t size)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    assert_null(file_write_atomic(path, data, size, 0600));
}

static int run(const char *dir, const char *command)
{
    _cleanup_free_ char *line = xasprintf("cd '%s' && %s", dir, command);

    return system(line);
}

/* On the bytes that came. */
bool signature_is_by(const char *secret, const struct received *item)
{
    char dir[] = "/tmp/coffer-webhook-XXXXXX";
    _cleanup_free_ char *code = recipe();
    _cleanup_free_ char *driver =
        xasprintf("%s\n"
                  "secret, signature = (open(n).read() for n in ('secret', 'signature'))\n"
                  "body = open('body', 'rb').read()\n"
                  "now = int(signature[2:].split(',')[0])\n"
                  "assert not verify(secret, signature, body + b' ', now)\n"
                  "assert not verify(secret, signature, body, now + 301)\n"
                  "assert not verify(secret, signature.replace('t=', 't=1'), body, now)\n"
                  "assert not verify(secret, 'v1=00', body, now)\n"
                  "raise SystemExit(0 if verify(secret, signature, body, now) else 3)\n",
                  code);

    assert_non_null(mkdtemp(dir));
    save(dir, "verify.py", driver, strlen(driver));
    save(dir, "secret", secret, strlen(secret));
    save(dir, "signature", item->signature, strlen(item->signature));
    save(dir, "body", item->body.data, item->body.size);
    int by_python = run(dir, "python3 verify.py");
    int by_hand = run(dir, "T=$(sed 's/^t=//; s/,.*//' signature) && SECRET=$(cat secret) && "
                           "{ printf '%s.' \"$T\"; cat body; } | "
                           "openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/.* //' > mac && "
                           "grep -qF \"$(cat mac)\" signature");
    assert_int_equal(run(dir, "rm verify.py secret signature body mac"), 0);
    rmdir(dir);
    assert_int_equal(by_python == 0, by_hand == 0);
    return by_python == 0;
}
