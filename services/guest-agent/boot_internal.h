/* What the stages share; only boot*.c include it. */
#pragma once

#include <pthread.h>

#include "services/guest-agent/boot.h"
#include "shared/nvidia/nvml_collect.h"

struct boot {
    struct boot_ports ports;
    const char *code;         /* set by a stage that fails; NULL: the stage's usual one */
    const char *failed_stage; /* when what failed belongs to another stage; NULL: it does not */

    struct arena *arena; /* owns config and its copies */
    struct guest_config *config;
    bool config_checked; /* the config is what the hardware says it is */
    struct bus *bus;

    uint64_t boot_number;
    uint8_t nonce[32];
    struct arena *answer_arena;
    struct release_answer answer;
    struct release *release;
    char *domain;

    struct app *app;
    pthread_t loader;
    bool has_loader;
    bool image_loaded;
    struct error *loader_error;
    pthread_t lint;
    bool has_lint;
    struct error *lint_error;
    struct arena *lint_arena; /* of the thread, then of what it found */
    const char **networks;    /* of the public service, in lint_arena */
    size_t n_networks;

    int64_t up_ms;         /* monotonic, when the containers were started */
    bool certificate_told; /* certificate_failed was told */
    const char *failure_code;
};

typedef struct error *(*boot_stage_fn)(struct boot *boot);

struct error *boot_config(struct boot *boot) _must_check_;
struct error *boot_leaf(struct boot *boot) _must_check_;
struct error *boot_challenge(struct boot *boot) _must_check_;
struct error *boot_attest(struct boot *boot) _must_check_;
struct error *boot_release(struct boot *boot) _must_check_;
struct error *boot_login(struct boot *boot) _must_check_;
struct error *boot_pull(struct boot *boot) _must_check_;
struct error *boot_lint(struct boot *boot) _must_check_;
struct error *boot_up(struct boot *boot) _must_check_;
struct error *boot_certificate(struct boot *boot) _must_check_;
struct error *boot_running(struct boot *boot) _must_check_;

/* Before the report, which commits to them; and once the release is opened. Both fail with
 * gpu_failed. */
struct error *boot_collect_gpus(struct boot *boot, struct gpu_evidence_list *ret_list) _must_check_;
struct error *boot_allow_gpus(struct boot *boot) _must_check_;

/* Worth another try by itself. */
bool boot_may_go_away(const struct error *err);

/* Connects if not yet, without waiting; needs the hints only. */
struct error *boot_connect(struct boot *boot) _must_check_;
/* Starts to load our container images beside the other stages. */
void boot_start_loader(struct boot *boot);
struct error *boot_join_loader(struct boot *boot) _must_check_;
/* The rules on the text, before compose reads it the first time: what compose reads by itself
 * (env_file, include, extends) and what it replaces ("$") does not stand in its model. */
struct error *boot_lint_text(struct boot *boot) _must_check_;
/* The lint of compose's model needs neither the engine nor the images: it runs while those are
 * fetched. */
void boot_start_lint(struct boot *boot);
struct error *boot_join_lint(struct boot *boot) _must_check_;

/* Tells a stage that failed. */
void boot_tell_failure(struct boot *boot, const char *stage, const char *code, const char *detail,
                       int64_t began_ms);
