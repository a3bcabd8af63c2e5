#include "cli/spelling.h"

#include <string.h>

enum { WORD_MAX = 32 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: like Levenshtein's, and two swapped letters count once. */
static size_t distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t d[WORD_MAX + 1][WORD_MAX + 1];

    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            size_t changed = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, changed);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

const char *spelling_nearest(const char *word, const char *const *first, size_t n, size_t stride)
{
    size_t size = strlen(word);
    size_t best = (size + 2) / 3 + 1; /* farther than what counts */
    const char *found = NULL;

    if (size == 0 || size > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *known = *(const char *const *)((const char *)first + i * stride);
        size_t known_size = strlen(known);
        if (known_size > WORD_MAX)
            continue;
        size_t far = distance(word, size, known, known_size);
        if (far < best && far < known_size) {
            best = far;
            found = known;
        }
    }
    return found;
}
