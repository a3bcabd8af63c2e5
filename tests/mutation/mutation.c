#include "mutation.h"

#include <stdio.h>
#include <stdlib.h>

#define POINTS_MAX 65536

static unsigned char reached[POINTS_MAX];
static int mutant = -1;

int coffer_mutation(int n)
{
    reached[n] = 1;
    return n == mutant;
}

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("COFFER_MUTANT");

    if (text)
        mutant = atoi(text);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("COFFER_REACHED");
    FILE *file = path ? fopen(path, "a") : NULL;

    for (int n = 0; file && n < POINTS_MAX; n++)
        if (reached[n])
            fprintf(file, "%d\n", n);
    if (file)
        fclose(file);
}
