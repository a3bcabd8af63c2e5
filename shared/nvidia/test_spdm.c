/* Exchanges that are cut, stretched or bent. */
#include "shared/nvidia/test_gpu.h"

#include "shared/base/alloc.h"
#include "shared/nvidia/gpu_chain.h"
#include "shared/nvidia/spdm.h"
#include "shared/nvidia/test_mint.h"

static struct mint mint;
static struct minted gpu;

static int setup(void **state)
{
    (void)state;
    struct mint_device device = mint_gpu(1);

    device.nonce[0] = 0x77;
    mint_init(&mint);
    mint_device(&mint, &device, &gpu);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    minted_done(&gpu);
    mint_done(&mint);
    return 0;
}

static void good_exchange_is_read(void **state)
{
    (void)state;
    const struct buffer *exchange = &gpu.evidence.exchange;
    struct spdm_transcript t;
    uint8_t value[48];

    expect_ok(spdm_parse(exchange->data, exchange->size, &t));
    assert_int_equal(t.n_measurements, 16);
    mint_value(15, value);
    assert_memory_equal(t.measurements[15].data, value, sizeof(value));
    assert_null(t.measurements[16].data);
    assert_int_equal(t.nonce[0], 0x77);
    assert_string_equal(t.driver_version, "550.1");
    assert_string_equal(t.vbios_version, "96.00.5E.00.01");
    assert_string_equal(t.project, "");
    assert_int_equal(spdm_opaque_byte(&t, SPDM_OPAQUE_PROTECTED_PCIE), SPDM_STATUS_DISABLED);
    assert_int_equal(spdm_opaque_u16(&t, SPDM_OPAQUE_VERSION), 1);
    assert_int_equal(spdm_opaque_byte(&t, SPDM_OPAQUE_VERSION), -1);
    assert_int_equal(spdm_opaque_u16(&t, SPDM_OPAQUE_PROTECTED_PCIE), -1);
    assert_true(spdm_signature_is_valid(&t, gpu.leaf.key));
    assert_false(spdm_signature_is_valid(&t, gpu.firmware.key));
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    const struct buffer *exchange = &gpu.evidence.exchange;
    struct spdm_transcript t;

    for (size_t size = 0; size < exchange->size; size++) {
        _cleanup_free_ uint8_t *copy = xmemdup(exchange->data, size); /* exact, for ASan */

        expect_error(spdm_parse(copy, size, &t), ERROR_INVALID_ARGUMENT);
    }
    expect_error(spdm_parse(NULL, 0, &t), ERROR_INVALID_ARGUMENT);
}

static void what_stands_behind_the_signature_is_refused_but_measured(void **state)
{
    (void)state;
    const struct buffer *exchange = &gpu.evidence.exchange;
    _cleanup_buffer_ struct buffer longer = {};
    struct spdm_transcript t;
    size_t size = 0;

    buffer_add(&longer, exchange->data, exchange->size);
    buffer_add_u8(&longer, 0);
    expect_error(spdm_parse(longer.data, longer.size, &t), ERROR_INVALID_ARGUMENT);
    expect_ok(spdm_measure(longer.data, longer.size, &size));
    assert_int_equal(size, exchange->size);
}

#define RECORD (37 + 8)
#define OPAQUE (RECORD + 16 * 55 + 32 + 2)

/* One byte, and the exchange is no exchange any more. */
static const struct {
    size_t offset;
    uint8_t value;
    const char *what;
} bends[] = {
    {0, 0x12, "request version"},
    {1, 0xe1, "request code"},
    {2, 0x00, "a request without signature"},
    {3, 0x01, "a request for one measurement"},
    {36, 0x01, "another slot than the response's"},
    {37, 0x10, "response version"},
    {38, 0x7f, "an error response"},
    {41, 15, "fewer blocks than bytes"},
    {41, 17, "more blocks than bytes"},
    {42, 0x6f, "a shorter record"},
    {44, 0x01, "a longer record"},
    {RECORD, 0, "block index 0"},
    {RECORD, 65, "block index 65"},
    {RECORD, 2, "block index twice"},
    {RECORD + 1, 2, "not a DMTF measurement"},
    {RECORD + 2, 50, "a shorter block"},
    {RECORD + 5, 47, "a shorter value"},
    {RECORD + 6, 0xff, "a longer value"},
    {OPAQUE - 2, 1, "less opaque data"},
    {OPAQUE - 1, 0xff, "more opaque data"},
    {OPAQUE + 2, 0xff, "a longer field"},
    {OPAQUE, SPDM_OPAQUE_VBIOS_VERSION, "a field twice"},
    {OPAQUE + 4, '"', "a version that is no plain text"},
    {OPAQUE + 4, 0x1b, "a version with a control character"},
};

static void bent_exchanges_are_refused(void **state)
{
    (void)state;
    _cleanup_buffer_ struct buffer copy = {};
    struct spdm_transcript t;

    buffer_add(&copy, gpu.evidence.exchange.data, gpu.evidence.exchange.size);
    for (size_t i = 0; i < ELEMENTSOF(bends); i++) {
        uint8_t before = copy.data[bends[i].offset];

        copy.data[bends[i].offset] = bends[i].value;
        struct error *err = spdm_parse(copy.data, copy.size, &t);
        if (!err)
            fail_msg("accepted: %s", bends[i].what);
        expect_error(err, ERROR_INVALID_ARGUMENT);
        copy.data[bends[i].offset] = before;
    }
    expect_ok(spdm_parse(copy.data, copy.size, &t));
}

static void chain_needs_five_certificates_in_order(void **state)
{
    (void)state;
    const struct mint_party *const order[] = {&gpu.leaf, &gpu.firmware, &mint.provisioner,
                                              &mint.identity, &mint.device_root};
    static const size_t cases[][6] = {{1, 0, 2, 3, 4}, {0, 2, 1, 3, 4}, {0, 1, 2, 2, 4}};
    static const char empty_pem[] =
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    const char *const texts[] = {"", "no certificate", empty_pem};
    struct gpu_chain chain;

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_buffer_ struct buffer pem = {};

        for (size_t k = 0; k < GPU_CHAIN_LENGTH; k++)
            mint_pem(order[cases[i][k]], &pem);
        expect_ok(gpu_chain_parse(pem.data, pem.size, &chain));
        assert_non_null(x509_path_problem(&chain.path, mint.roots.device));
        gpu_chain_done(&chain);
        mint_pem(order[0], &pem); /* six */
        expect_error(gpu_chain_parse(pem.data, pem.size, &chain), ERROR_INVALID_ARGUMENT);
    }
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        expect_error(gpu_chain_parse(texts[i], strlen(texts[i]), &chain), ERROR_INVALID_ARGUMENT);
}

static void only_whole_certificates_on_p384_are_taken(void **state)
{
    (void)state;
    const struct mint_certificate in = {.name = "Test Key", .p256 = true};
    _cleanup_(x509_path_done) struct x509_path path = {};
    struct mint_party party = {};
    uint8_t der[4096] = {}, *end = der;

    mint_certificate(&in, &mint.device_root, &party);
    size_t size = (size_t)i2d_X509(party.certificate, &end);
    expect_error(x509_path_add_der(&path, der, size + 1), ERROR_INVALID_ARGUMENT);
    expect_error(x509_path_add_der(&path, der, size - 1), ERROR_INVALID_ARGUMENT);
    assert_int_equal(path.n, 0);
    expect_ok(x509_path_add_der(&path, der, size));
    end = der;
    size = (size_t)i2d_X509(mint.device_root.certificate, &end);
    expect_ok(x509_path_add_der(&path, der, size));
    assert_string_equal(x509_path_problem(&path, mint.roots.device),
                        "a certificate is not on P-384 with SHA-384");
    mint_party_done(&party);
}

static void chain_tells_chip_firmware_and_identifier(void **state)
{
    (void)state;
    const struct buffer *pem = &gpu.evidence.certificate;
    static const uint8_t pdi[] = {0xa0, 1, 2, 3, 4, 5, 6, 1};
    _cleanup_(gpu_chain_done) struct gpu_chain chain = {};

    expect_ok(gpu_chain_parse(pem->data, pem->size, &chain));
    assert_null(x509_path_problem(&chain.path, mint.roots.device));
    assert_string_equal(chain.chip, "GH100");
    assert_false(chain.is_switch);
    assert_true(chain.has_fwid);
    assert_int_equal(chain.fwid[47], 0x5f);
    assert_true(chain.has_pdi);
    assert_memory_equal(chain.pdi, pdi, sizeof(pdi));
    assert_true(x509_path_in_date(&chain.path, MINT_NOW_MS));
    assert_true(x509_path_in_date(&chain.path, INT64_C(250000000000000))); /* the year 9892 */
    assert_false(x509_path_in_date(&chain.path, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_exchange_is_read),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(what_stands_behind_the_signature_is_refused_but_measured),
        cmocka_unit_test(bent_exchanges_are_refused),
        cmocka_unit_test(chain_needs_five_certificates_in_order),
        cmocka_unit_test(only_whole_certificates_on_p384_are_taken),
        cmocka_unit_test(chain_tells_chip_firmware_and_identifier),
    };

    return cmocka_run_group_tests_name("spdm", tests, setup, teardown);
}
