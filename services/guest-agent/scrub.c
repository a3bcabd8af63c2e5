#include "services/guest-agent/scrub.h"

#include "shared/base/alloc.h"
#include "shared/base/buffer.h"

enum { WORD_MIN = 4 };

static void add_word(struct scrub *scrub, const char *word, size_t length)
{
    if (length < WORD_MIN)
        return;
    scrub->words = xrealloc_array(scrub->words, scrub->n + 1, sizeof(char *));
    scrub->words[scrub->n++] = xstrndup(word, length);
}

void scrub_add(struct scrub *scrub, const char *value)
{
    add_word(scrub, value, strlen(value));
    /* Tools print line by line, so a value of several lines is looked for line by line too. */
    if (!strchr(value, '\n'))
        return;
    for (const char *line = value; *line;) {
        size_t n = strcspn(line, "\r\n");
        add_word(scrub, line, n);
        line += n;
        line += strspn(line, "\r\n");
    }
}

/* The longest word that starts here, so that no part of a longer secret stays behind. */
static size_t match_at(const struct scrub *scrub, const char *text)
{
    size_t best = 0;

    for (size_t i = 0; i < scrub->n; i++) {
        size_t n = strlen(scrub->words[i]);
        if (n > best && strncmp(text, scrub->words[i], n) == 0)
            best = n;
    }
    return best;
}

char *scrub_text(const struct scrub *scrub, const char *text)
{
    struct buffer clean = {0};

    if (!scrub || !scrub->n)
        return xstrdup(text);
    while (*text) {
        size_t n = match_at(scrub, text);
        if (n)
            buffer_add_text(&clean, "[secret]");
        else
            buffer_add(&clean, text, 1);
        text += n ? n : 1;
    }
    return buffer_take_text(&clean);
}

void scrub_done(struct scrub *scrub)
{
    for (size_t i = 0; i < scrub->n; i++) {
        OPENSSL_cleanse(scrub->words[i], strlen(scrub->words[i]));
        free(scrub->words[i]);
    }
    free(scrub->words);
    *scrub = (struct scrub){0};
}
