/* The stage's hosts; only the stage includes it. */
#pragma once

#include "tests/bench/stage.h"

void stage_hosts_init(struct stage *stage);  /* makes them, silent */
void stage_hosts_start(struct stage *stage); /* they connect, and are heard of from then on */
void stage_hosts_end(struct stage *stage);

/* Lives with the stage. */
const char *stage_host_id(const struct stage *stage, size_t i);
