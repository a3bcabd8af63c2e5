/* The scene of test_bad_input.c: two accounts with something of everything, and what each bad
 * request is held against. */
#pragma once

#include <pthread.h>

#include "services/api-gateway/test_bad_input.h"

struct bad_scene {
    struct scene *scene;
    char secrets[CALLERS_][96]; /* as http_call takes them */
    char member[64];
    char webhook[64];
    char alien_member[64];
    char alien_webhook[64];
    char *before;      /* all that can be read */
    unsigned commands; /* the scheduler got so far */
    size_t n;          /* requests that were sent */
    size_t failures;

    pthread_mutex_t lock;
    struct buffer told; /* keys that were written, each in a line */
    struct store_watch *watch;
};

struct bad_scene *bad_scene_new(void);
void bad_scene_free(struct bad_scene *bad);
DEFINE_CLEANUP(struct bad_scene *, bad_scene_free)

struct answer bad_send(const struct bad_scene *bad, const struct bad_row *row);

/* That the answer is the row's, tells no secret, that nothing was written and nobody asked. */
void bad_check(struct bad_scene *bad, const struct bad_row *row);
void bad_check_raw(struct bad_scene *bad, const struct bad_raw *row);

/* Says how many requests there were; fails when one was not as it should be, or anything that can
 * be read is another than before. */
void bad_end(struct bad_scene *bad, const char *what);
