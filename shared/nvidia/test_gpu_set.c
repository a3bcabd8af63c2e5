/* Devices together: as many as there must be, all different, linked to each other only; and what
 * OCSP knows of their certificates. */
#include "shared/nvidia/test_scene.h"

#include <openssl/ocsp.h>

static void bug_10_repeated_missing_and_swapped_devices_are_refused(void **state)
{
    (void)state;
    const struct mint_device gpus[] = {mint_gpu(1), mint_gpu(2)};
    struct scene s;

    scene_init(&s, gpus, 2);
    scene_run(&s);
    s.devices[1] = s.devices[0];
    verify_result_done(&s.result);
    verify_result_init(&s.result);
    expect_ok(verify_gpus(&s.policy, s.devices, 2, &s.result));
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_distinct");

    s.policy.n_gpus = 3;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_count");
    s.policy.n_gpus = 2;

    struct buffer chain = s.minted[0].evidence.certificate;
    s.minted[0].evidence.certificate = s.minted[1].evidence.certificate;
    s.minted[1].evidence.certificate = chain;
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_signature");
    scene_done(&s);
}

static void run_two(const struct mint_device *first, const struct mint_device *second,
                    const char *actual)
{
    const struct mint_device both[] = {*first, *second};
    struct scene s;

    scene_init(&s, both, 2);
    scene_run(&s);
    EXPECT_ONLY(&s.result, actual[0] ? VERDICT_FAIL : VERDICT_PASS,
                actual[0] ? "gpu_distinct" : NULL);
    assert_string_equal(find_step(&s.result, "gpu_distinct")->actual, actual);
    scene_done(&s);
}

/* A device makes itself a new attestation key at will: it is still one device. */
static void two_keys_of_one_device_are_refused(void **state)
{
    (void)state;
    const struct mint_device first = mint_gpu(1), other = mint_gpu(2);
    struct mint_party firmware = {};
    struct mint_device a = first, b = first;

    run_two(&first, &other, "");
    run_two(&first, &b, "devices 0 and 1 have one identifier");
    a.no_pdi = b.no_pdi = true;
    run_two(&a, &b, "");
    run_two(&first, &b, ""); /* none is not equal to any, */
    memset(a.pdi, 0, sizeof(a.pdi));
    a.no_pdi = false;
    run_two(&a, &b, ""); /* not even to one of zeros */
    run_two(&b, &a, "");
    a = b;

    mint_certificate(&(struct mint_certificate){.name = "Test Firmware"}, NULL, &firmware);
    a.firmware_key = b.firmware_key = &firmware;
    run_two(&a, &b, "devices 0 and 1 have one firmware key");
    b = other;
    b.firmware_key = &firmware;
    run_two(&a, &b, "devices 0 and 1 have one firmware key");
    a = first;
    b = other;
    a.leaf_key = b.leaf_key = &firmware;
    run_two(&a, &b, "devices 0 and 1 are the same");
    mint_party_done(&firmware);
}

static void gpus_in_different_modes_are_refused(void **state)
{
    (void)state;
    struct mint_device gpus[] = {mint_gpu(1), mint_gpu(2)};
    struct scene s;

    gpus[1].mode = 1;
    scene_init(&s, gpus, 2);
    scene_run(&s);
    EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_mode");
    scene_done(&s);
}

/* Two GPUs and a switch, each linked to all of the other kind. */
static void protected_pcie(struct mint_device devices[3])
{
    devices[0] = mint_gpu(1);
    devices[1] = mint_gpu(2);
    devices[2] = mint_gpu(3);
    devices[2].is_switch = true;
    devices[2].chip_name = "LS_10 A01 FSP BROM";
    devices[2].driver = NULL;
    devices[2].mode = devices[2].protected_pcie = devices[2].nvdec = -1;
    for (size_t i = 0; i < 2; i++) {
        devices[i].mode = 2;
        devices[i].protected_pcie = SPDM_STATUS_ENABLED;
        devices[i].links_size = 16;
        for (size_t k = 0; k < 8; k++)
            devices[i].links[k] = devices[2].pdi[7 - k];
        memcpy(devices[2].links + 8 * i, devices[i].pdi, 8);
    }
}

static void run_topology(const struct mint_device devices[3], enum verdict verdict,
                         const char *actual)
{
    const struct mint_rim in = {"LS10", "96.10.55.00.01", 0, 16, NULL, NULL, NULL};
    _cleanup_buffer_ struct buffer rim = {};
    struct scene s;

    mint_rim(&mint, &in, &rim);
    scene_init(&s, devices, 3);
    s.policy.n_gpus = 2;
    s.rims[2] = (struct binding_bytes){rim.data, rim.size};
    s.policy.n_rims = 3;
    scene_run(&s);
    EXPECT_ONLY(&s.result, verdict, verdict == VERDICT_PASS ? NULL : "gpu_topology");
    assert_string_equal(find_step(&s.result, "gpu_topology")->actual, actual);
    scene_done(&s);
}

#define ALL_LINKED "protected PCIe, all links between these devices"

static void links_must_stay_between_the_devices(void **state)
{
    (void)state;
    struct mint_device d[3];

    protected_pcie(d);
    run_topology(d, VERDICT_PASS, ALL_LINKED);
    memset(d[0].links + 8, 0xff, 8); /* how else a device says that nothing is there */
    run_topology(d, VERDICT_PASS, ALL_LINKED);
    d[0].links[8] = 0x77; /* a second switch, which is not there */
    run_topology(d, VERDICT_FAIL, "device 0 is linked to a switch without evidence");
    for (size_t i = 0; i < 8; i++)
        d[0].links[8 + i] = d[1].pdi[7 - i]; /* a GPU is none */
    run_topology(d, VERDICT_FAIL, "device 0 is linked to a switch without evidence");
    protected_pcie(d);
    memset(d[1].links, 0, 16); /* a GPU without a link */
    run_topology(d, VERDICT_FAIL, "device 1 is not linked to all others");
    protected_pcie(d);
    d[1].links_size = 0; /* a GPU that does not say */
    run_topology(d, VERDICT_FAIL, "device 1 does not list its links");
    d[1].links_size = 7; /* or not in full */
    run_topology(d, VERDICT_FAIL, "device 1 does not list its links");
    protected_pcie(d);
    d[2].links[16] = 1; /* the switch has a third GPU */
    run_topology(d, VERDICT_FAIL, "device 2 is linked to a GPU without evidence");
    memcpy(d[2].links + 16, d[2].pdi, 8); /* a switch is none */
    run_topology(d, VERDICT_FAIL, "device 2 is linked to a GPU without evidence");
    protected_pcie(d);
    d[2].links_size = 56; /* it does not say of one port */
    run_topology(d, VERDICT_FAIL, "device 2 does not list its links");
    protected_pcie(d);
    memset(d[2].links + 8, 0xff, 8); /* the switch does not know the second GPU */
    run_topology(d, VERDICT_FAIL, "device 2 is not linked to all others");
    protected_pcie(d);
    d[2].wrong_own_pdi = true; /* the switch is not the one of its certificate */
    run_topology(d, VERDICT_FAIL, "device 2 is not the switch of its certificate");
    d[2].wrong_own_pdi = false;
    d[2].own_pdi_cut = 1;
    run_topology(d, VERDICT_FAIL, "device 2 is not the switch of its certificate");
    d[2].own_pdi_cut = 8;
    run_topology(d, VERDICT_FAIL, "device 2 is not the switch of its certificate");
    protected_pcie(d);
    d[1].no_pdi = true; /* a GPU that cannot be told from others */
    run_topology(d, VERDICT_FAIL, "device 2 is linked to a GPU without evidence");
    memset(d[2].links + 8, 0, 8); /* no link is not a link to it */
    run_topology(d, VERDICT_FAIL, "device 2 is not linked to all others");
    protected_pcie(d);
    d[0].mode = d[1].mode = 1; /* switches in a mode without them */
    d[0].protected_pcie = d[1].protected_pcie = SPDM_STATUS_DISABLED;
    run_topology(d, VERDICT_FAIL, "switches, in a mode that does not protect their links");
}

/* An OCSP response for each certificate that needs one, all good unless told otherwise. */
struct ocsp_set {
    struct buffer der[8];
    struct binding_bytes bytes[8];
    size_t n;
};

static void ocsp_add(struct ocsp_set *set, const struct mint_ocsp *in)
{
    struct buffer *der = &set->der[set->n];

    mint_ocsp(in, der);
    set->bytes[set->n++] = (struct binding_bytes){der->data, der->size};
}

static struct mint_ocsp good_answer(const struct mint_party *subject,
                                    const struct mint_party *issuer)
{
    return (struct mint_ocsp){.subject = subject,
                              .issuer = issuer,
                              .responder = issuer,
                              .status = V_OCSP_CERTSTATUS_GOOD,
                              .from_ms = MINT_NOW_MS - 9000,
                              .until_ms = MINT_NOW_MS + 9000};
}

static void ocsp_fill(struct ocsp_set *set, const struct minted *device)
{
    const struct mint_party *pairs[][2] = {
        {&device->firmware, &mint.provisioner}, {&mint.provisioner, &mint.identity},
        {&mint.identity, &mint.device_root},    {&mint.rim_ca, &mint.rim_root},
        {&mint.rim_signer, &mint.rim_ca},
    };

    *set = (struct ocsp_set){};
    for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
        const struct mint_ocsp good = good_answer(pairs[i][0], pairs[i][1]);
        ocsp_add(set, &good);
    }
}

static void ocsp_done(struct ocsp_set *set)
{
    for (size_t i = 0; i < set->n; i++)
        buffer_done(&set->der[i]);
}

static void run_ocsp(struct scene *s, struct ocsp_set *set, enum verdict verdict)
{
    s->policy.ocsp = set->bytes;
    s->policy.n_ocsp = set->n;
    scene_run(s);
    EXPECT_ONLY(&s->result, verdict, verdict == VERDICT_PASS ? NULL : "gpu_revocation");
}

static void replace_first_as(struct ocsp_set *set, struct mint_ocsp in,
                             const struct mint_ocsp_form *form)
{
    buffer_done(&set->der[0]);
    mint_ocsp_as(&in, form, &set->der[0]);
    set->bytes[0] = (struct binding_bytes){set->der[0].data, set->der[0].size};
}

static void replace_first(struct ocsp_set *set, struct mint_ocsp in)
{
    replace_first_as(set, in, &(struct mint_ocsp_form){});
}

static void revocation_is_told_as_far_as_responses_go(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct ocsp_set set;
    struct scene s;

    scene_of_one(&s, &gpu);
    s.policy.accept_no_revocation = false;
    ocsp_fill(&set, &s.minted[0]);
    const struct mint_ocsp first = good_answer(&s.minted[0].firmware, &mint.provisioner);
    run_ocsp(&s, &set, VERDICT_PASS);

    struct mint_ocsp changed = first;
    changed.status = V_OCSP_CERTSTATUS_REVOKED;
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_FAIL);
    s.policy.accept_no_revocation = true; /* forgives what is missing, not what is known */
    run_ocsp(&s, &set, VERDICT_FAIL);
    s.policy.accept_no_revocation = false;
    changed.status = V_OCSP_CERTSTATUS_UNKNOWN;
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);

    changed = first;
    changed.until_ms = MINT_NOW_MS - 5000; /* of yesterday */
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    changed = first;
    changed.from_ms = MINT_NOW_MS + 5000; /* of tomorrow */
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    changed = first;
    changed.responder = &mint.rim_root; /* by one who has no say */
    replace_first(&set, changed);
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.bytes[0].size--;
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    replace_first(&set, first);
    set.n = 4; /* none for a RIM's signer */
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.n = 0;
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.n = 5;
    ocsp_done(&set);
    scene_done(&s);
}

enum responder { ISSUER, DELEGATE, EXPIRED, CLERK, STRANGER, RESPONDERS };

/* Certificates of those who answer in the issuer's place; that one's own is not made here. */
static void make_responders(struct mint_party ret_parties[RESPONDERS])
{
    static const struct mint_certificate certificates[RESPONDERS] = {
        [DELEGATE] = {.name = "Delegate", .ocsp_signer = true},
        [EXPIRED] = {.name = "Expired", .ocsp_signer = true, .expired = true},
        [CLERK] = {.name = "Clerk"},
        [STRANGER] = {.name = "Stranger", .ocsp_signer = true},
    };

    for (size_t i = DELEGATE; i < RESPONDERS; i++)
        mint_certificate(&certificates[i], i == STRANGER ? &mint.identity : &mint.provisioner,
                         &ret_parties[i]);
}

static const struct answer_case {
    const char *name;
    enum verdict verdict;
    enum responder responder;
    const EVP_MD *(*hash)(void);
    int response_status;
    bool no_until;
    size_t n_copies;
} answer_cases[] = {
    {"id by SHA-256", VERDICT_PASS, ISSUER, EVP_sha256, 0, false, 0},
    {"id by SHA-384", VERDICT_PASS, ISSUER, EVP_sha384, 0, false, 0},
    {"id by another hash", VERDICT_UNKNOWN, ISSUER, EVP_sha512, 0, false, 0},
    {"without an end", VERDICT_UNKNOWN, ISSUER, EVP_sha1, 0, true, 0},
    {"that calls itself a failure", VERDICT_UNKNOWN, ISSUER, EVP_sha1,
     OCSP_RESPONSE_STATUS_TRYLATER, false, 0},
    {"of a delegate", VERDICT_PASS, DELEGATE, EVP_sha1, 0, false, 0},
    {"of one whose time is over", VERDICT_UNKNOWN, EXPIRED, EVP_sha1, 0, false, 0},
    {"of one who was not appointed", VERDICT_UNKNOWN, CLERK, EVP_sha1, 0, false, 0},
    {"of one appointed by another", VERDICT_UNKNOWN, STRANGER, EVP_sha1, 0, false, 0},
    {"with certificates of 40 KB", VERDICT_PASS, ISSUER, EVP_sha1, 0, false, 80},
    {"with certificates of 100 KB", VERDICT_UNKNOWN, ISSUER, EVP_sha1, 0, false, 200},
};

static void only_a_proper_answer_of_a_proper_responder_counts(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct mint_party parties[RESPONDERS] = {};
    struct ocsp_set set;
    struct scene s;

    make_responders(parties);
    scene_of_one(&s, &gpu);
    s.policy.accept_no_revocation = false;
    ocsp_fill(&set, &s.minted[0]);
    for (size_t i = 0; i < ELEMENTSOF(answer_cases); i++) {
        const struct answer_case *c = &answer_cases[i];
        struct mint_ocsp answer = good_answer(&s.minted[0].firmware, &mint.provisioner);

        print_message("an answer %s\n", c->name);
        if (c->responder != ISSUER)
            answer.responder = &parties[c->responder];
        const struct mint_ocsp_form form = {c->no_until, c->response_status, c->hash(), c->n_copies,
                                            false};
        replace_first_as(&set, answer, &form);
        run_ocsp(&s, &set, c->verdict);
    }
    replace_first(&set, good_answer(&s.minted[0].firmware, &mint.provisioner));
    buffer_add_u8(&set.der[0], 0); /* something behind it */
    set.bytes[0] = (struct binding_bytes){set.der[0].data, set.der[0].size};
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    set.bytes[0].size = 0;
    run_ocsp(&s, &set, VERDICT_UNKNOWN);
    ocsp_done(&set);
    scene_done(&s);
    for (size_t i = 0; i < RESPONDERS; i++)
        mint_party_done(&parties[i]);
}

/* Each certificate but the attestation key's, and whatever another response says. */
static void one_revoked_certificate_of_any_chain_is_enough(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct scene s;

    scene_of_one(&s, &gpu);
    s.policy.accept_no_revocation = false;
    const struct mint_party *pairs[][2] = {
        {&s.minted[0].firmware, &mint.provisioner}, {&mint.provisioner, &mint.identity},
        {&mint.identity, &mint.device_root},        {&mint.rim_ca, &mint.rim_root},
        {&mint.rim_signer, &mint.rim_ca},
    };
    for (size_t i = 0; i < ELEMENTSOF(pairs); i++) {
        struct ocsp_set set;
        struct mint_ocsp revoked = good_answer(pairs[i][0], pairs[i][1]);

        revoked.status = V_OCSP_CERTSTATUS_REVOKED;
        ocsp_fill(&set, &s.minted[0]);
        ocsp_add(&set, &revoked); /* behind the good one */
        run_ocsp(&s, &set, VERDICT_FAIL);
        struct binding_bytes good = set.bytes[i];
        set.bytes[i] = set.bytes[5];
        set.bytes[5] = good; /* before it */
        run_ocsp(&s, &set, VERDICT_FAIL);
        set.n = 5; /* in its place */
        run_ocsp(&s, &set, VERDICT_FAIL);
        s.policy.ocsp = &set.bytes[i]; /* and nothing known of the others */
        s.policy.n_ocsp = 1;
        scene_run(&s);
        EXPECT_ONLY(&s.result, VERDICT_FAIL, "gpu_revocation");
        set.n = 6;
        ocsp_done(&set);
    }
    scene_done(&s);
}

/* One verifier let an option that was meant for RIM files forgive a hold of device keys too. */
static void bug_10_a_certificate_on_hold_is_revoked(void **state)
{
    (void)state;
    const struct mint_device gpu = mint_gpu(1);
    struct ocsp_set set;
    struct scene s;

    scene_of_one(&s, &gpu);
    s.policy.accept_no_revocation = true; /* forgives what is missing only */
    ocsp_fill(&set, &s.minted[0]);
    struct mint_ocsp held = good_answer(&s.minted[0].firmware, &mint.provisioner);
    held.status = V_OCSP_CERTSTATUS_REVOKED;
    replace_first_as(&set, held, &(struct mint_ocsp_form){.on_hold = true});
    run_ocsp(&s, &set, VERDICT_FAIL);
    ocsp_done(&set);
    scene_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bug_10_repeated_missing_and_swapped_devices_are_refused),
        cmocka_unit_test(two_keys_of_one_device_are_refused),
        cmocka_unit_test(gpus_in_different_modes_are_refused),
        cmocka_unit_test(links_must_stay_between_the_devices),
        cmocka_unit_test(bug_10_a_certificate_on_hold_is_revoked),
        cmocka_unit_test(revocation_is_told_as_far_as_responses_go),
        cmocka_unit_test(only_a_proper_answer_of_a_proper_responder_counts),
        cmocka_unit_test(one_revoked_certificate_of_any_chain_is_enough),
    };

    return cmocka_run_group_tests_name("gpu set", tests, scene_setup, scene_teardown);
}
