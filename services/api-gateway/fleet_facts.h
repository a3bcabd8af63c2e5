/* What the fleet publishes: keys from fleet.json, trust anchors from GATEWAY_TRUST_FILE, and guest
 * images that hosts have or that lie in GATEWAY_IMAGES_DIR. */
#pragma once

#include "services/api-gateway/gateway.h"

struct error *fleet_load(const char *dir, struct fleet *ret_fleet) _must_check_;
void fleet_done(struct fleet *fleet);

/* Read anew each time: anchors may change while we run. Everything lives in the arena. */
struct error *fleet_facts_load(const struct gateway *gateway, struct arena *arena,
                               struct fleet_facts *ret_facts) _must_check_;

/* Versions that a create may name: enabled and with a signed image.json, newest first, in the
 * arena. */
struct error *images_list(struct gateway *gateway, struct arena *arena, const char ***ret_versions,
                          size_t *ret_n) _must_check_;

/* The signed image.json; NOT_FOUND. Adds to *ret_json. */
struct error *image_load(struct gateway *gateway, const char *version, struct arena *arena,
                         struct buffer *ret_json) _must_check_;
