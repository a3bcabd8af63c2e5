/* Registry credentials, as a person who uses docker has them at hand. */
#pragma once

#include "shared/base/arena.h"
#include "shared/base/error.h"

struct registry_login {
    const char *server;
    const char *username;
    const char *password;
};

/*
 * "SERVER=USER": the password is COFFER_REGISTRY_PASSWORD. "SERVER": both come from the "auths"
 * of docker's config.json ($DOCKER_CONFIG or ~/.docker). Texts live in the arena, which wipes them.
 */
struct error *registry_login_find(const char *text, struct arena *arena,
                                  struct registry_login *ret_login) _must_check_;
