/*
 * The GPUs of a guest for tests: minted, behind the stand-in for NVML, so that they are asked as
 * real ones are; each signs what it is asked. With the reference values that they are right for.
 */
#pragma once

#include "shared/nvidia/fake_nvml.h"
#include "shared/nvidia/test_mint.h"

#define TEST_GUEST_GPUS_MAX 8

struct test_guest_gpus {
    void *library;
    struct fake_nvml *fake; /* inside it */
    struct mint mint;
    struct minted gpus[TEST_GUEST_GPUS_MAX];
    size_t n;
};

/* library: the stand-in, loaded from here as nvml_open() does. */
void test_guest_gpus_init(struct test_guest_gpus *gpus, const char *library, size_t n);
void test_guest_gpus_done(struct test_guest_gpus *gpus);

/* gpu-device.pem and gpu-rim.pem into a folder. */
void test_guest_gpus_put_roots(const struct test_guest_gpus *gpus, const char *dir);
/* driver.xml and vbios.xml. */
void test_guest_gpus_put_rims(const struct test_guest_gpus *gpus, const char *dir);
/* OCSP responses for every certificate, good from an hour before to an hour after. */
void test_guest_gpus_put_ocsp(const struct test_guest_gpus *gpus, const char *dir, int64_t at_ms);
