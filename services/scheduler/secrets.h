/*
 * A workload's secrets, sealed to the release authority at the edge: opened to be given to a
 * verified guest, and to be patched by an update. What is opened lives in the arena, which wipes
 * what it held; no name but the manifest's own and no value gets into an error.
 */
#pragma once

#include "services/scheduler/records.h"
#include "shared/manifest/manifest.h"

#define SECRETS_CONTEXT    "coffer/secrets/v1 "
#define SEALED_SECRETS_MAX (768 * 1024)

/* "" gives empty secrets. */
struct error *secrets_open(struct scheduler *scheduler, const char *workload_id,
                           ProtobufCBinaryData sealed, struct arena *arena,
                           Coffer__V1__Secrets **ret_secrets) _must_check_;

struct error *secrets_seal(struct scheduler *scheduler, const char *workload_id,
                           const Coffer__V1__Secrets *secrets, struct arena *arena,
                           ProtobufCBinaryData *ret_sealed) _must_check_;

/*
 * Exactly what the manifest names: from given, or else from stored. INVALID_ARGUMENT names what is
 * in neither, or is not what the manifest commits to. Parts are shared, not copied.
 */
struct error *secrets_overlay(const struct manifest *manifest, const Coffer__V1__Secrets *stored,
                              const Coffer__V1__Secrets *given, struct arena *arena,
                              Coffer__V1__Secrets **ret_secrets) _must_check_;
