/*
 * GPUs of a boot, end to end in process: a guest collects their evidence through NVML (a stand-in),
 * its report commits to it, and the release authority judges both; then every way to lie.
 */
#include "services/scheduler/test_kit.h"

#include "shared/attestation/binding.h"
#include "shared/base/alloc.h"
#include "shared/base/file.h"
#include "shared/nvidia/devices.h"
#include "shared/nvidia/test_guest_gpus.h"

enum { GPUS = 2, MORE_GPUS = 3 };

static struct test_guest_gpus gpus; /* three, of which the guest sees two unless a test says so */
static struct mint stranger;
static char *rims;

static void put_references(void)
{
    test_guest_gpus_put_rims(&gpus, rims);
    test_guest_gpus_put_ocsp(&gpus, rims, clock_wall_ms(clock_system()));
}

static int group_setup(void **state)
{
    int failed = kit_group_setup(state);
    struct kit *kit = kit_new();

    rims = xasprintf("%s/rims", kit->dir);
    test_guest_gpus_init(&gpus, FAKE_NVML, MORE_GPUS);
    test_guest_gpus_put_roots(&gpus, kit->config.trust_root_dir);
    mint_init(&stranger);
    put_references();
    kit_free(kit);
    return failed;
}

static int group_teardown(void **state)
{
    test_guest_gpus_done(&gpus);
    mint_done(&stranger);
    free(rims);
    return kit_group_teardown(state);
}

static int setup(void **state)
{
    int failed = kit_setup(state);
    struct kit *kit = *state;

    gpus.fake->count = GPUS;
    free(kit->config.gpu_rims);
    kit->config.gpu_rims = xstrdup(rims);
    kit_restart_scheduler(kit); /* which reads the folder once */
    return failed;
}

/* A workload with so many GPUs, and its guest with a challenge. */
static void begin(struct kit *kit, uint32_t n, struct kit_guest *ret_guest)
{
    Coffer__V1__WorkloadReply *reply;

    kit->hosts[0].total.gpus = kit->hosts[1].total.gpus = n;
    kit_tick(kit);
    Coffer__V1__CreateWorkloadRequest *request = kit_create_request(kit, "w1");
    request->resources->gpus = n;
    kit_ok(kit_call(kit, "svc.scheduler.workload.create", &request->base, &reply));
    kit_tick(kit);
    kit_guest_init(kit, ret_guest, "w1");
    kit_ok(kit_challenge(kit, ret_guest));
}

/* After an error: the owner's restart makes another boot. */
static void begin_again(struct kit *kit, struct kit_guest *guest)
{
    kit_ok(kit_wish(kit, "restart", "w1"));
    kit_tick(kit);
    guest->generation++;
    kit_ok(kit_challenge(kit, guest));
}

static void collect(const uint8_t nonce[32], const struct kit_guest *guest,
                    struct gpu_evidence_list *ret_list)
{
    struct devices *devices = NULL;
    uint8_t key_hash[32];

    binding_guest_keys(guest->box.public, guest->sign.public, key_hash);
    kit_ok(devices_open("nvml", FAKE_NVML, &devices));
    kit_ok(devices->ops->collect(devices, nonce, key_hash, ret_list));
    devices_free(devices);
}

static struct error *attest(struct kit *kit, struct kit_guest *guest,
                            const struct gpu_evidence_list *list)
{
    Coffer__V1__AttestReply *reply;

    guest->devices = list;
    return kit_attest(kit, guest, kit_attest_request(kit, guest), &reply);
}

static struct error *attest_honestly(struct kit *kit, struct kit_guest *guest)
{
    _cleanup_(gpu_evidence_list_done) struct gpu_evidence_list list;

    collect(guest->nonce, guest, &list);
    return attest(kit, guest, &list);
}

static void test_guests_gpus_are_appraised(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;

    begin(kit, GPUS, &guest);
    kit_ok(attest_honestly(kit, &guest));
    assert_int_equal(kit_workload(kit, "w1")->guest_sign_public.len, 32);
}

static void test_a_repeated_request_gets_its_answer_again(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    _cleanup_(gpu_evidence_list_done) struct gpu_evidence_list list;

    begin(kit, GPUS, &guest);
    collect(guest.nonce, &guest, &list);
    kit_ok(attest(kit, &guest, &list));
    kit_ok(attest(kit, &guest, &list));
}

/* What is wrong, and the code that says so. A lie about the evidence comes before the report,
 * which commits to it; one about the request comes after. */
struct lie {
    const char *code;
    void (*evidence)(struct kit_guest *guest, struct gpu_evidence_list *list);
    void (*request)(struct kit *kit, Coffer__V1__Evidence *evidence);
};

static void collect_again(struct kit_guest *guest, const uint8_t nonce[32],
                          struct gpu_evidence_list *list)
{
    gpu_evidence_list_done(list);
    collect(nonce, guest, list);
}

static void leave_one_out(_unused_ struct kit_guest *guest, struct gpu_evidence_list *list)
{
    buffer_done(&list->devices[--list->n]);
}

static void swap(_unused_ struct kit_guest *guest, struct gpu_evidence_list *list)
{
    struct buffer first = list->devices[0];

    list->devices[0] = list->devices[1];
    list->devices[1] = first;
}

static void answer_another_boot(struct kit_guest *guest, struct gpu_evidence_list *list)
{
    uint8_t nonce[32];

    memcpy(nonce, guest->nonce, sizeof(nonce));
    nonce[31] ^= 1;
    collect_again(guest, nonce, list);
}

static void answer_another_guest(struct kit_guest *guest, struct gpu_evidence_list *list)
{
    struct kit_guest other = *guest;

    other.box.public[0] ^= 1;
    collect_again(&other, guest->nonce, list);
}

static void answer_for_swapped_keys(struct kit_guest *guest, struct gpu_evidence_list *list)
{
    struct kit_guest other = *guest;

    memcpy(other.box.public, guest->sign.public, 32);
    memcpy(other.sign.public, guest->box.public, 32);
    collect_again(&other, guest->nonce, list);
}

/* The first one answers both questions. */
static void show_one_twice(struct kit_guest *guest, struct gpu_evidence_list *list)
{
    struct minted second = gpus.gpus[1];

    gpus.gpus[1] = gpus.gpus[0];
    collect_again(guest, guest->nonce, list);
    gpus.gpus[1] = second;
}

static void show_one_more(struct kit_guest *guest, struct gpu_evidence_list *list)
{
    gpus.fake->count = MORE_GPUS;
    collect_again(guest, guest->nonce, list);
    gpus.fake->count = GPUS;
}

static void forge_signature(_unused_ struct kit_guest *guest, struct gpu_evidence_list *list)
{
    _cleanup_(gpu_evidence_done) struct gpu_evidence evidence;

    kit_ok(gpu_evidence_parse(list->devices[1].data, list->devices[1].size, &evidence));
    evidence.exchange.data[evidence.exchange.size - 1] ^= 1;
    buffer_done(&list->devices[1]);
    gpu_evidence_write(&evidence, &list->devices[1]);
}

/* A device of a vendor of his own. */
static void show_a_strangers(struct kit_guest *guest, struct gpu_evidence_list *list)
{
    struct mint_device device = mint_gpu(9);
    struct minted minted;
    uint8_t key_hash[32];

    binding_guest_keys(guest->box.public, guest->sign.public, key_hash);
    gpu_nonce(guest->nonce, key_hash, 1, device.nonce);
    mint_device(&stranger, &device, &minted);
    buffer_done(&list->devices[1]);
    gpu_evidence_write(&minted.evidence, &list->devices[1]);
    minted_done(&minted);
}

static void show_rubbish(_unused_ struct kit_guest *guest, struct gpu_evidence_list *list)
{
    buffer_done(&list->devices[0]);
    buffer_add_text(&list->devices[0], "{}");
}

static void show_nothing(_unused_ struct kit_guest *guest, struct gpu_evidence_list *list)
{
    gpu_evidence_list_done(list);
}

static void show_too_much(_unused_ struct kit_guest *guest, struct gpu_evidence_list *list)
{
    _cleanup_free_ char *spaces = xcalloc(1, GPU_EVIDENCE_SIZE_MAX);

    memset(spaces, ' ', GPU_EVIDENCE_SIZE_MAX);
    buffer_add(&list->devices[1], spaces, GPU_EVIDENCE_SIZE_MAX);
}

static void send_seventeen(struct kit *kit, Coffer__V1__Evidence *evidence)
{
    ProtobufCBinaryData one = evidence->devices[0];

    evidence->n_devices = GPU_DEVICES_MAX + 1;
    evidence->devices = arena_alloc(kit->arena, evidence->n_devices * sizeof(one));
    for (size_t i = 0; i < evidence->n_devices; i++)
        evidence->devices[i] = one;
}

static void send_one_less(_unused_ struct kit *kit, Coffer__V1__Evidence *evidence)
{
    evidence->n_devices--;
}

static void send_none(_unused_ struct kit *kit, Coffer__V1__Evidence *evidence)
{
    evidence->n_devices = 0;
}

static void send_swapped(_unused_ struct kit *kit, Coffer__V1__Evidence *evidence)
{
    ProtobufCBinaryData first = evidence->devices[0];

    evidence->devices[0] = evidence->devices[1];
    evidence->devices[1] = first;
}

static void send_a_space_more(struct kit *kit, Coffer__V1__Evidence *evidence)
{
    ProtobufCBinaryData *last = &evidence->devices[evidence->n_devices - 1];
    uint8_t *longer = arena_alloc(kit->arena, last->len + 1);

    memcpy(longer, last->data, last->len);
    longer[last->len++] = ' ';
    last->data = longer;
}

static void expect_refused(struct kit *kit, struct error *err, const char *code)
{
    if (error_get_code(err) != ERROR_PERMISSION_DENIED || !strstr(error_text(err), code))
        fail_msg("not %s: %s", code, error_text(err));
    error_free(err);
    const Coffer__V1__Workload *workload = kit_workload(kit, "w1");
    assert_int_equal(workload->status, STATUS_ERROR);
    assert_string_equal(workload->status_code, code);
    assert_int_equal(workload->guest_sign_public.len, 0);
}

static void test_lies_are_refused_each_with_its_code(void **state)
{
    static const struct lie lies[] = {
        {"attest_gpu_count", leave_one_out, NULL},
        {"attest_gpu_count", show_one_more, NULL},
        {"attest_gpu_nonce", swap, NULL},
        {"attest_gpu_nonce", answer_another_boot, NULL},
        {"attest_gpu_nonce", answer_another_guest, NULL},
        {"attest_gpu_nonce", answer_for_swapped_keys, NULL},
        {"attest_gpu_distinct", show_one_twice, NULL},
        {"attest_gpu_signature", forge_signature, NULL},
        {"attest_gpu_chain", show_a_strangers, NULL},
        {"attest_gpu_format", show_rubbish, NULL},
        {"attest_devices", show_nothing, NULL},
        {"attest_devices", show_too_much, NULL},
        {"attest_devices", NULL, send_seventeen},
        {"attest_devices", NULL, send_none},
        {"attest_report_data", NULL, send_one_less},
        {"attest_report_data", NULL, send_swapped},
        {"attest_report_data", NULL, send_a_space_more},
    };
    struct kit *kit = *state;
    struct kit_guest guest;

    begin(kit, GPUS, &guest);
    for (size_t i = 0; i < ELEMENTSOF(lies); i++) {
        _cleanup_(gpu_evidence_list_done) struct gpu_evidence_list list;
        Coffer__V1__AttestReply *reply;

        collect(guest.nonce, &guest, &list);
        if (lies[i].evidence)
            lies[i].evidence(&guest, &list);
        guest.devices = list.n ? &list : NULL;
        Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
        if (lies[i].request)
            lies[i].request(kit, request->evidence);
        expect_refused(kit, kit_attest(kit, &guest, request, &reply), lies[i].code);
        begin_again(kit, &guest);
    }
    kit_ok(attest_honestly(kit, &guest));
}

static void test_devices_of_a_workload_without_gpus_are_refused(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;

    begin(kit, 0, &guest);
    expect_refused(kit, attest_honestly(kit, &guest), "attest_devices");
}

/* The development roots stand in for NVIDIA's only where the folder has them. */
static void test_without_development_roots_nvidias_count(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;

    kit->scheduler->gpu_development_roots = gpu_roots_nvidia;
    begin(kit, GPUS, &guest);
    expect_refused(kit, attest_honestly(kit, &guest), "attest_gpu_chain");
}

/* A guest of real hardware: a good report, whose GPUs need NVIDIA's roots whatever the folder has.
 */
static void test_development_gpus_count_for_the_software_tee_only(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    _cleanup_(gpu_evidence_list_done) struct gpu_evidence_list list;

    trust_roots_free(TAKE_PTR(kit->scheduler->roots)); /* the kit's chips stand in for AMD's */
    kit_ok(trust_roots_load(kit->config.trust_root_dir, &kit->scheduler->roots));
    begin(kit, GPUS, &guest);
    collect(guest.nonce, &guest, &list);
    guest.devices = &list;
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    request->evidence->provider = (char *)"configfs-tsm";
    expect_refused(kit, kit_attest(kit, &guest, request, &reply), "attest_gpu_chain");
}

static void take_away(const char *name)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", rims, name);

    assert_int_equal(remove(path), 0);
}

static void lose_driver_rim(void)
{
    take_away("driver.xml");
}

static void lose_vbios_rim(void)
{
    take_away("vbios.xml");
}

static void lose_ocsp(void)
{
    take_away("gpu1.ocsp");
}

static void let_ocsp_run_out(void)
{
    test_guest_gpus_put_ocsp(&gpus, rims, clock_wall_ms(clock_system()) - 7200000);
}

static void let_signer_run_out(void)
{
    const struct mint_certificate old = {.name = "Test RIM Signer of old", .expired = true};
    _cleanup_free_ char *path = xasprintf("%s/driver.xml", rims);
    struct mint_rim driver = {"GH100", "550.1", 7, 13, NULL, NULL, NULL};
    struct mint_party signer = {};
    _cleanup_buffer_ struct buffer rim = {};

    mint_certificate(&old, &gpus.mint.rim_ca, &signer);
    driver.signer = &signer;
    mint_rim(&gpus.mint, &driver, &rim);
    kit_ok(file_write_atomic(path, rim.data, rim.size, 0600));
    mint_party_done(&signer);
}

/* Strict unless the platform was told otherwise, setting by setting. */
static void test_reference_values_are_required(void **state)
{
    static const struct {
        void (*spoil)(void);
        const char *strict, *no_ocsp, *old_rims, *both; /* code; NULL: released */
    } rows[] = {
        {lose_driver_rim, "attest_gpu_driver", "attest_gpu_driver", "attest_gpu_driver",
         "attest_gpu_driver"},
        {lose_vbios_rim, "attest_gpu_vbios", "attest_gpu_vbios", "attest_gpu_vbios",
         "attest_gpu_vbios"},
        {lose_ocsp, "attest_gpu_revocation", NULL, "attest_gpu_revocation", NULL},
        {let_ocsp_run_out, "attest_gpu_revocation", NULL, "attest_gpu_revocation", NULL},
        /* Nobody answers for that signer either. */
        {let_signer_run_out, "attest_gpu_rim_validity", "attest_gpu_rim_validity",
         "attest_gpu_revocation", NULL},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const char *const codes[] = {rows[i].strict, rows[i].no_ocsp, rows[i].old_rims,
                                     rows[i].both};
        rows[i].spoil();
        for (size_t k = 0; k < ELEMENTSOF(codes); k++) {
            struct kit *kit = *state;
            struct kit_guest guest;

            kit->config.gpu_require_ocsp = !(k & 1);
            kit->config.gpu_require_current_rims = !(k & 2);
            begin(kit, GPUS, &guest);
            if (codes[k])
                expect_refused(kit, attest_honestly(kit, &guest), codes[k]);
            else
                kit_ok(attest_honestly(kit, &guest));
            kit_teardown(state);
            setup(state);
        }
        put_references();
    }
}

static void test_without_a_folder_there_are_no_reference_values(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;

    kit->config.gpu_rims[0] = '\0';
    begin(kit, GPUS, &guest);
    expect_refused(kit, attest_honestly(kit, &guest), "attest_gpu_driver");
}

/* What the operator must put right is no verdict: the guest may ask again. */
static void test_a_broken_folder_is_no_verdict(void **state)
{
    _cleanup_free_ char *path = xasprintf("%s/half.xml", rims);
    struct kit *kit = *state;
    struct kit_guest guest;

    begin(kit, GPUS, &guest);
    kit_ok(file_write_atomic(path, "<Software", 9, 0600));
    kit_code(attest_honestly(kit, &guest), ERROR_UNAVAILABLE);
    assert_int_equal(kit_workload(kit, "w1")->status, STATUS_STARTING);
    /* A report that is not good is one all the same, and then nobody looks at GPUs. */
    kit->measurement[0] ^= 1;
    expect_refused(kit, attest_honestly(kit, &guest), "attest_measurement");
    kit->measurement[0] ^= 1;
    begin_again(kit, &guest);
    _cleanup_(scheduler_freep) struct scheduler *second =
        scheduler_new(&kit->config, kit->bus, &kit->clock.base);
    kit_code(scheduler_open(second), ERROR_INVALID_ARGUMENT); /* said at a start */
    assert_int_equal(remove(path), 0);
    kit_ok(attest_honestly(kit, &guest));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_guests_gpus_are_appraised),
        TEST(test_a_repeated_request_gets_its_answer_again),
        TEST(test_lies_are_refused_each_with_its_code),
        TEST(test_devices_of_a_workload_without_gpus_are_refused),
        TEST(test_without_development_roots_nvidias_count),
        TEST(test_development_gpus_count_for_the_software_tee_only),
        TEST(test_reference_values_are_required),
        TEST(test_without_a_folder_there_are_no_reference_values),
        TEST(test_a_broken_folder_is_no_verdict),
    };

    return cmocka_run_group_tests_name("gpus at boot", tests, group_setup, group_teardown);
}
