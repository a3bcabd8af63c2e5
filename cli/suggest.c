#include "cli/suggest.h"

#include <string.h>

enum { LENGTH_MAX = 40 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters to put in, take out, change, or swap with the next (optimal string alignment).
 */
static size_t distance(const char *a, const char *b)
{
    size_t costs[LENGTH_MAX + 1][LENGTH_MAX + 1];
    size_t n = strlen(a);
    size_t m = strlen(b);

    for (size_t i = 0; i <= n; i++) {
        for (size_t k = 0; k <= m; k++) {
            if (i == 0 || k == 0) {
                costs[i][k] = i + k;
                continue;
            }
            costs[i][k] = least(least(costs[i - 1][k], costs[i][k - 1]) + 1,
                                costs[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                costs[i][k] = least(costs[i][k], costs[i - 2][k - 2] + 1);
        }
    }
    return costs[n][m];
}

const char *suggest(const char *text, const char *const *names, size_t n)
{
    size_t best = strlen(text) / 3 + 1;
    const char *found = NULL;

    if (!text[0] || strlen(text) > LENGTH_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t far = strlen(names[i]) > LENGTH_MAX ? best : distance(text, names[i]);
        if (far < best || (far == best && !found && far < strlen(text))) {
            best = far;
            found = names[i];
        }
    }
    return found;
}
