#include "shared/nvidia/test_scene.h"

struct mint mint;
struct buffer driver_rim, vbios_rim;

int scene_setup(void **state)
{
    (void)state;
    mint_init(&mint);
    mint_driver_rim(&mint, &driver_rim);
    mint_vbios_rim(&mint, &vbios_rim);
    return 0;
}

int scene_teardown(void **state)
{
    (void)state;
    buffer_done(&driver_rim);
    buffer_done(&vbios_rim);
    mint_done(&mint);
    return 0;
}

void scene_init(struct scene *s, const struct mint_device *devices, size_t n)
{
    *s = (struct scene){.n = n};
    for (size_t i = 0; i < n; i++)
        mint_device(&mint, &devices[i], &s->minted[i]);
    s->rims[0] = (struct binding_bytes){driver_rim.data, driver_rim.size};
    s->rims[1] = (struct binding_bytes){vbios_rim.data, vbios_rim.size};
    s->policy = (struct gpu_policy){
        .roots = &mint.roots,
        .nonces = s->nonces,
        .rims = s->rims,
        .n_rims = 2,
        .n_gpus = n,
        .at_ms = MINT_NOW_MS,
        .accept_no_revocation = true,
    };
    for (size_t i = 0; i < n; i++)
        memcpy(s->nonces[i], devices[i].nonce, 32);
}

void scene_of_one(struct scene *s, const struct mint_device *device)
{
    scene_init(s, device, 1);
}

void scene_run(struct scene *s)
{
    for (size_t i = 0; i < s->n; i++) {
        buffer_done(&s->json[i]);
        gpu_evidence_write(&s->minted[i].evidence, &s->json[i]);
        s->devices[i] = (struct binding_bytes){s->json[i].data, s->json[i].size};
    }
    if (s->result.arena)
        verify_result_done(&s->result);
    verify_result_init(&s->result);
    expect_ok(verify_gpus(&s->policy, s->devices, s->n, &s->result));
    assert_int_equal(s->result.n_steps, GPU_STEPS);
}

void scene_done(struct scene *s)
{
    for (size_t i = 0; i < s->n; i++) {
        minted_done(&s->minted[i]);
        buffer_done(&s->json[i]);
    }
    verify_result_done(&s->result);
}
