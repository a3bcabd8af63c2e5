/*
 * Which values this machine has sent to a workload. A gateway cannot tell whether an environment
 * value or a registry's password is the one that is there, so each counts as new, and a new one is
 * a new VM. So a keyed hash of what was sent is kept beside the contexts (sent/ID.json, 0600), and
 * what is the same is not sent again: it stays as it is. That holds while the workload's
 * generation, which each change raises, is the one of then; whatever somebody else did makes all
 * values new again.
 *
 * Nothing here fails: where something cannot be read or kept, values count as new.
 */
#pragma once

#include <jansson.h>

/* Takes out of the body of an update or its plan what present (the workload) has already. */
void sent_trim(const char *url, const json_t *present, json_t *body);

/* The body was taken: before (NULL: none) became after. */
void sent_keep(const char *url, const json_t *before, const json_t *body, const json_t *after);

/* It was started, stopped or restarted from here, with its values as they are. */
void sent_carry(const json_t *after);

void sent_forget(const char *workload_id);
