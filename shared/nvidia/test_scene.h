/* Devices, reference values and a policy of the tests' own making, for verify_gpus(). */
#pragma once

#include "shared/nvidia/test_gpu.h"
#include "shared/nvidia/test_mint.h"

extern struct mint mint; /* made once by a test program */
extern struct buffer driver_rim, vbios_rim;

#define SCENE_DEVICES 3

/* Devices, reference values and a policy, all of which fit together until a test changes them. */
struct scene {
    struct minted minted[SCENE_DEVICES];
    struct buffer json[SCENE_DEVICES];
    struct binding_bytes devices[SCENE_DEVICES];
    uint8_t nonces[SCENE_DEVICES][32];
    struct binding_bytes rims[4];
    struct gpu_policy policy;
    size_t n;
    struct verify_result result;
};

int scene_setup(void **state); /* of a group of tests */
int scene_teardown(void **state);

void scene_init(struct scene *s, const struct mint_device *devices, size_t n);
void scene_of_one(struct scene *s, const struct mint_device *device);
void scene_run(struct scene *s); /* as often as a test changes something */
void scene_done(struct scene *s);
