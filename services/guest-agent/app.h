/*
 * The compose project in memory (a tmpfs folder): the user's file byte by byte, their plain and
 * secret files below ${FILES}, our overlay, Caddy's configuration, the manifest.
 */
#pragma once

#include "services/guest-agent/config_disk.h"
#include "services/guest-agent/engine.h"
#include "services/guest-agent/release.h"

struct app {
    char *root;  /* <run>/app */
    char *files; /* ${FILES}, also the project directory */
    char *compose;
    char *overlay; /* written by app_write_overlay() */
    char *manifest;
    char *collateral; /* NULL: the config disk has none */
    char *caddy_config;
    char *acme_ca;      /* NULL: public roots */
    char **environment; /* NULL-terminated "NAME=value"; wiped by app_forget_secrets() */
    struct scrub scrub; /* the released secrets */
};

/* Writes everything but the overlay. */
struct error *app_create(const char *run_dir, const struct guest_config *config,
                         const struct release *release, struct app **ret_app) _must_check_;
void app_forget_secrets(struct app *app); /* once the containers are up */
void app_free(struct app *app);
DEFINE_CLEANUP(struct app *, app_free)

struct error *app_write_overlay(struct app *app, const void *json, size_t size) _must_check_;

/* Registry CAs of the manifest as <folder>/<server>/ca.crt, where dockerd looks. */
struct error *app_write_registry_cas(const char *folder,
                                     const struct manifest *manifest) _must_check_;
