#include "cli/invocation.h"

static struct invocation current;

const struct invocation *invocation(void)
{
    return &current;
}

void invocation_set(const struct invocation *asked)
{
    current = *asked;
}
