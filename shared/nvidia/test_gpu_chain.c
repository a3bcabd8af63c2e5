/* What the certificates of a device say of its firmware, well and badly written. */
#include "shared/nvidia/test_gpu.h"

#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/nvidia/gpu_chain.h"
#include "shared/nvidia/test_mint.h"

static struct mint mint;

static int setup(void **state)
{
    (void)state;
    mint_init(&mint);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    mint_done(&mint);
    return 0;
}

#define DIGEST_47                                                                                  \
    "5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f5f" \
    "5f"
#define SHA384 "0609608648016503040202"
#define FWID   "303d" SHA384 "0430" DIGEST_47 "5f"

static const struct fwid_case {
    const char *name;
    const char *hex;
    bool tcb_info, twice;
    bool is_read;
} fwid_cases[] = {
    {"composite device id",
     "3044"
     "020101"
     "3000" FWID,
     false, false, true},
    {"more behind it",
     "3046"
     "020101"
     "3000" FWID "0500",
     false, false, true},
    {"twice",
     "3044"
     "020101"
     "3000" FWID,
     false, true, false},
    {"nothing", "", false, false, false},
    {"header cut off", "30", false, false, false},
    {"longer than it is",
     "3045"
     "020101"
     "3000" FWID,
     false, false, false},
    {"indefinite length",
     "3080"
     "020101"
     "3000" FWID "0000",
     false, false, false},
    {"not a sequence",
     "3144"
     "020101"
     "3000" FWID,
     false, false, false},
    {"no version",
     "3041"
     "3000" FWID,
     false, false, false},
    {"version of another type",
     "3044"
     "040101"
     "3000" FWID,
     false, false, false},
    {"version of another class",
     "3044"
     "820101"
     "3000" FWID,
     false, false, false},
    {"no key",
     "3042"
     "020101" FWID,
     false, false, false},
    {"no fwid",
     "3005"
     "020101"
     "3000",
     false, false, false},
    {"fwid of another class",
     "3044"
     "020101"
     "3000"
     "b03d" SHA384 "0430" DIGEST_47 "5f",
     false, false, false},
    {"no algorithm",
     "3039"
     "020101"
     "3000"
     "3032"
     "0430" DIGEST_47 "5f",
     false, false, false},
    {"digest of another type",
     "3044"
     "020101"
     "3000"
     "303d" SHA384 "0c30" DIGEST_47 "5f",
     false, false, false},
    {"short digest",
     "3043"
     "020101"
     "3000"
     "303c" SHA384 "042f" DIGEST_47,
     false, false, false},
    {"long digest",
     "3045"
     "020101"
     "3000"
     "303e" SHA384 "0431" DIGEST_47 "5f5f",
     false, false, false},

    {"TcbInfo",
     "3044"
     "80014e"
     "a63f" FWID,
     true, false, true},
    {"TcbInfo, twice",
     "3044"
     "80014e"
     "a63f" FWID,
     true, true, false},
    {"TcbInfo, nothing else",
     "3041"
     "a63f" FWID,
     true, false, true},
    {"TcbInfo that is no sequence",
     "3141"
     "a63f" FWID,
     true, false, false},
    {"TcbInfo without fwids",
     "3003"
     "80014e",
     true, false, false},
    {"fwids of another class",
     "3041"
     "663f" FWID,
     true, false, false},
    {"fwids of another number",
     "3041"
     "a73f" FWID,
     true, false, false},
    {"an empty one",
     "3002"
     "a600",
     true, false, false},
    {"behind half a header",
     "3001"
     "80",
     true, false, false},
    {"behind an indefinite length",
     "3043"
     "a080"
     "a63f" FWID,
     true, false, false},
    {"behind one that is longer than the rest",
     "3043"
     "8042"
     "a63f" FWID,
     true, false, false},
};

/* Five certificates, of which this is the leaf; not signed by each other: that is not read here. */
static void make_chain(const struct mint_certificate *leaf, struct buffer *ret_pem)
{
    const struct mint_party *others[] = {&mint.provisioner, &mint.identity, &mint.device_root,
                                         &mint.rim_root};
    struct mint_party party = {};

    mint_certificate(leaf, &mint.provisioner, &party);
    mint_pem(&party, ret_pem);
    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        mint_pem(others[i], ret_pem);
    mint_party_done(&party);
}

static void only_a_well_formed_firmware_id_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(fwid_cases); i++) {
        const struct fwid_case *c = &fwid_cases[i];
        _cleanup_buffer_ struct buffer pem = {}, der = {};
        const struct mint_certificate leaf = {.name = "Test Attestation Key",
                                              .tcb_info = c->tcb_info,
                                              .fwid_twice = c->twice,
                                              .fwid_der = &der};
        struct gpu_chain chain;
        uint8_t bytes[128];

        expect_ok(hex_decode(c->hex, bytes, strlen(c->hex) / 2));
        buffer_add(&der, bytes, strlen(c->hex) / 2);
        make_chain(&leaf, &pem);
        expect_ok(gpu_chain_parse(pem.data, pem.size, &chain));
        if (chain.has_fwid != c->is_read)
            fail_msg("'%s' is %s", c->name, chain.has_fwid ? "read" : "not read");
        for (size_t k = 0; c->is_read && k < GPU_FWID_SIZE; k++)
            assert_int_equal(chain.fwid[k], 0x5f);
        gpu_chain_done(&chain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_well_formed_firmware_id_is_read),
    };

    return cmocka_run_group_tests_name("gpu chain", tests, setup, teardown);
}
