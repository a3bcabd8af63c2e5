/* What `coffer verify` asks a key service for, whatever the answer carries, and what it tells. */
#include "shared/collateral/test_service.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "cli/verify_key_service.h"
#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/test_kit.h"
#include "shared/base/file.h"
#include "shared/collateral/cache.h"

#define HOUR_MS INT64_C(3600000)
#define YEAR_MS (365 * 24 * HOUR_MS)

static struct test_service service;
static char dir[64];
static struct tee_evidence evidence, other; /* of the service's two chips, complete */
static struct verify_reference reference;
static struct verify_answer answer;

static void start_reference(void)
{
    verify_reference_done(&reference);
    reference.arena = arena_new();
    expect_ok(trust_roots_load(service.fleet.root, &reference.roots));
    reference.policy = (struct verify_policy){
        .roots = reference.roots,
        .at_ms = clock_wall_ms(clock_system()),
    };
}

static void set_table(const struct certificate_table *table)
{
    buffer_done(&answer.certificates);
    certificate_table_write(table, &answer.certificates);
}

static struct certificate_table table_of(const struct tee_evidence *of)
{
    struct certificate_table table;

    expect_ok(certificate_table_parse(of->certificates.data, of->certificates.size, &table));
    return table;
}

static int start_service(void **state)
{
    (void)state;
    const struct processor_guest guest = test_guest();
    uint8_t report_data[64] = {};

    test_service_start(&service);
    expect_ok(processor_report(service.fleet.processors[0], &guest, report_data, &evidence));
    expect_ok(processor_report(service.fleet.processors[1], &guest, report_data, &other));
    return 0;
}

static int stop_service(void **state)
{
    (void)state;
    verify_reference_done(&reference);
    tee_evidence_done(&evidence);
    tee_evidence_done(&other);
    test_service_stop(&service);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    const struct certificate_table complete = table_of(&evidence);

    test_service_reset(&service);
    snprintf(dir, sizeof(dir), "/tmp/coffer-key-service-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(setenv("XDG_CACHE_HOME", dir, 1), 0);
    start_reference();
    verify_answer_from_report(evidence.report, &answer);
    set_table(&complete);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", dir);

    verify_answer_done(&answer);
    assert_int_equal(system(command), 0);
    return 0;
}

/* A run of the command over the same cache. url NULL: offline. */
static void ask(const char *url)
{
    const struct verify_key_service asked = {.url = url, .allow_http = true};

    start_reference();
    verify_key_service_ask(&reference, &answer, &asked);
}

/* Code of this step, "" when it passes, with what is there now. */
static const char *code_of(const char *id)
{
    static char code[64];
    struct verify_result result;

    reference.policy.collateral = &reference.extra.collateral;
    verify_result_init(&result);
    expect_ok(verify_snp(&reference.policy, answer.report, TEE_REPORT_SIZE,
                         answer.certificates.data, answer.certificates.size, &result));
    snprintf(code, sizeof(code), "%s", kit_step(&result, id)->code);
    verify_result_done(&result);
    return code;
}

static void *read_pem(const char *name, bool key)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", service.fleet.root, name);
    _cleanup_fclose_ FILE *file = fopen(path, "re");

    assert_non_null(file);
    void *object = key ? (void *)PEM_read_PrivateKey(file, NULL, NULL, NULL)
                       : (void *)PEM_read_X509(file, NULL, NULL, NULL);
    assert_non_null(object);
    return object;
}

/* The service's list, newer than all others, with the ASK on it. */
static void revoke_ask(void)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = read_pem("ark.key", true);
    _cleanup_(X509_freep) X509 *ark = read_pem("ark.pem", false), *ask = read_pem("ask.pem", false);
    _cleanup_(X509_CRL_freep) X509_CRL *crl = NULL;
    uint8_t *der = NULL;

    expect_ok(dev_certificate_crl(ark, key, UINT32_MAX, ask, &crl));
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    test_service_set_body(&service, TEST_CRL, der, (size_t)size);
    OPENSSL_free(der);
}

static void a_cached_list_revokes_although_the_answer_carries_an_older_one(void **state)
{
    (void)state;
    assert_non_null(table_of(&evidence).crl.data);
    assert_string_equal(code_of("revocation"), ""); /* all that the prover shows is in date */
    revoke_ask();
    ask(service.url);
    assert_string_equal(code_of("revocation"), "revocation_revoked");
    ask(service.url); /* within the period of freshness nobody is asked */
    assert_string_equal(code_of("revocation"), "revocation_revoked");
    assert_int_equal(test_service_asked(&service, TEST_CRL), 1);
    ask(NULL);
    assert_string_equal(code_of("revocation"), "revocation_revoked");
}

static void a_service_that_is_away_lets_the_carried_list_count(void **state)
{
    (void)state;
    const struct certificate_table complete = table_of(&evidence);
    struct certificate_table table = complete;

    ask("http://127.0.0.1:1");
    assert_string_equal(code_of("revocation"), "");
    assert_non_null(strstr(reference.extra.note, "key service: '/vcek/v1/Genoa/cert_chain'"));
    ask(NULL);
    assert_string_equal(code_of("revocation"), "");
    assert_string_equal(reference.extra.note, "collateral: '/vcek/v1/Genoa/cert_chain': offline");
    table.crl = (struct certificate_view){};
    set_table(&table);
    ask(NULL);
    assert_string_equal(code_of("revocation"), "revocation_no_crl");
}

static bool is_there(const struct certificate_view *views, size_t n,
                     const struct certificate_view *view)
{
    for (size_t i = 0; i < n; i++)
        if (views[i].size == view->size && memcmp(views[i].data, view->data, view->size) == 0)
            return true;
    return false;
}

/* Every combination of VCEK, ASK, ARK and list in the answer, and nothing else at hand. */
static void whatever_is_lacking_is_asked_for(void **state)
{
    (void)state;
    const struct certificate_table all = table_of(&evidence);
    const struct verify_collateral *extra = &reference.extra.collateral;

    for (unsigned mask = 0; mask < 16; mask++) {
        struct certificate_table table = {};

        tear_down(NULL);
        set_up(NULL);
        table.vcek = mask & 1 ? all.vcek : table.vcek;
        table.ask = mask & 2 ? all.ask : table.ask;
        table.ark = mask & 4 ? all.ark : table.ark;
        table.crl = mask & 8 ? all.crl : table.crl;
        set_table(&table);
        ask(service.url);
        assert_int_equal(is_there(extra->certificates, extra->n_certificates, &all.vcek),
                         !(mask & 1));
        assert_true(is_there(extra->certificates, extra->n_certificates, &all.ask));
        assert_true(is_there(extra->certificates, extra->n_certificates, &all.ark));
        assert_int_equal(extra->n_crls, 1);
        assert_int_equal(test_service_asked(&service, TEST_VCEK), !(mask & 1));
        assert_string_equal(code_of("chain"), "");
        assert_string_equal(code_of("revocation"), "");
        assert_string_equal(code_of("signature"), "");
    }
}

/* In the answer, or in a folder: it is not the report's. */
static void a_stale_certificate_is_no_reason_not_to_ask(void **state)
{
    (void)state;
    const struct certificate_table of_other = table_of(&other);
    const struct verify_key_service online = {.url = service.url, .allow_http = true};
    struct certificate_table table = table_of(&evidence);

    table.vcek = of_other.vcek;
    set_table(&table);
    assert_string_equal(code_of("extensions"), "extensions_chip");
    ask(service.url);
    assert_int_equal(test_service_asked(&service, TEST_VCEK), 1);
    assert_string_equal(code_of("extensions"), "");
    assert_string_equal(code_of("signature"), "");
    table.vcek = (struct certificate_view){};
    set_table(&table);
    for (int i = 0; i < 2; i++) {
        struct verify_extra *extra = &reference.extra;

        start_reference();
        extra->certificates[extra->collateral.n_certificates++] = of_other.vcek;
        extra->collateral.certificates = extra->certificates;
        assert_string_equal(code_of("chain"), "chain_no_vek");
        if (i == 1)
            verify_key_service_ask(&reference, &answer, &online);
    }
    assert_string_equal(code_of("chain"), "");
    assert_string_equal(code_of("signature"), "");
}

static void a_hidden_chip_gets_chain_and_list_all_the_same(void **state)
{
    (void)state;
    const struct certificate_table nothing = {};

    memset(answer.report + 0x1a0, 0, 64);
    set_table(&nothing);
    ask(service.url);
    assert_int_equal(reference.extra.collateral.n_certificates, 2);
    assert_int_equal(reference.extra.collateral.n_crls, 1);
    assert_string_equal(reference.extra.note,
                        "chain asked for now; no VCEK (the chip id is masked); "
                        "revocation list asked for now");
}

/* As AMD's: of the ARK, with a name of its own. */
static X509 *make_asvk(X509 *ark)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *ark_key = read_pem("ark.key", true);
    X509 *asvk = read_pem("ask.pem", false);
    X509_NAME *name = X509_get_subject_name(asvk);

    X509_NAME_ENTRY_free(
        X509_NAME_delete_entry(name, X509_NAME_get_index_by_NID(name, NID_commonName, -1)));
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const uint8_t *)"SEV-VLEK-Genoa", -1, -1, 0),
                     1);
    kit_sign_certificate(asvk, ark_key);
    assert_int_equal(X509_check_issued(ark, asvk), X509_V_OK);
    return asvk;
}

/* Its report names no chip. */
static void vlek_evidence_gets_its_chain_by_product(void **state)
{
    (void)state;
    _cleanup_(X509_freep) X509 *ark = read_pem("ark.pem", false), *asvk = make_asvk(ark);
    _cleanup_buffer_ struct buffer asvk_der = {}, ark_der = {};
    const struct verify_collateral *extra = &reference.extra.collateral;
    const struct certificate_table nothing = {};
    BIO *bio = BIO_new(BIO_s_mem());
    char *pem;

    assert_int_equal(PEM_write_bio_X509(bio, asvk) + PEM_write_bio_X509(bio, ark), 2);
    long size = BIO_get_mem_data(bio, &pem);
    test_service_set_body(&service, TEST_CHAIN, pem, (size_t)size);
    BIO_free(bio);
    memset(answer.report + 0x1a0, 0, 64);
    answer.report[0x48] = 0x04;
    set_table(&nothing);
    ask(service.url);
    kit_der(asvk, &asvk_der);
    kit_der(ark, &ark_der);
    assert_int_equal(extra->n_certificates, 2);
    assert_true(
        is_there(extra->certificates, 2, &(struct certificate_view){asvk_der.data, asvk_der.size}));
    assert_true(
        is_there(extra->certificates, 2, &(struct certificate_view){ark_der.data, ark_der.size}));
    assert_int_equal(extra->n_crls, 1);
    assert_int_equal(test_service_asked(&service, TEST_VCEK), 0);
    assert_string_equal(reference.extra.note, "chain asked for now; revocation list asked for now");
}

static struct error *accept(_unused_ void *data, _unused_ const void *body, _unused_ size_t size)
{
    return NULL;
}

static void put(const char *path, int64_t age_ms, enum test_object object)
{
    _cleanup_free_ char *cache_dir = xasprintf("%s/coffer/collateral", dir);
    _cleanup_(cache_freep) struct cache *cache = NULL;
    const struct cache_key key = {path, true};
    const struct cache_check check = {accept, NULL};
    const struct buffer *body = &service.answers[object].body;
    _cleanup_(item_done) struct item item = {.fetched_at_ms =
                                                 clock_wall_ms(clock_system()) - age_ms};

    buffer_add(&item.body, body->data, body->size);
    expect_ok(cache_open(cache_dir, 16, &cache));
    expect_ok(cache_write(cache, &key, &check, &item));
}

static void the_age_of_what_the_cache_serves_is_told(void **state)
{
    (void)state;
    static const char chain[] = "/vcek/v1/Genoa/cert_chain", list[] = "/vcek/v1/Genoa/crl";

    put(chain, 72 * HOUR_MS, TEST_CHAIN);
    ask(NULL);
    assert_string_equal(reference.extra.note,
                        "chain from the cache, 3 days old; no revocation list "
                        "('/vcek/v1/Genoa/crl': offline)");
    put(list, HOUR_MS, TEST_CRL);
    ask(NULL);
    assert_string_equal(reference.extra.note, "chain from the cache, 3 days old; "
                                              "revocation list from the cache, 60 min old");
    put(list, 13 * HOUR_MS, TEST_CRL);
    ask(NULL);
    assert_string_equal(reference.extra.note,
                        "chain from the cache, 3 days old; revocation list from the cache, "
                        "13 h old ('/vcek/v1/Genoa/crl': offline)");
    put(list, -HOUR_MS, TEST_CRL);
    ask(NULL);
    assert_non_null(strstr(reference.extra.note, "dated later than now"));
    ask(service.url);
    assert_string_equal(reference.extra.note,
                        "chain from the cache, 3 days old; revocation list asked for now");
}

/* --at says for when to judge, not when the service was asked. */
static void time_judged_for_is_not_the_time_of_fetching(void **state)
{
    (void)state;
    const struct verify_key_service online = {.url = service.url, .allow_http = true};

    reference.policy.at_ms += 2 * YEAR_MS;
    verify_key_service_ask(&reference, &answer, &online);
    ask(NULL);
    assert_string_equal(reference.extra.note, "chain from the cache, 0 min old; "
                                              "revocation list from the cache, 0 min old");
    start_reference();
    reference.policy.at_ms += 30 * YEAR_MS; /* longer than a root lives */
    verify_key_service_ask(&reference, &answer, &online);
    assert_non_null(strstr(reference.extra.note, "out of date"));
    assert_int_equal(reference.extra.collateral.n_certificates, 0);
}

static void malformed_evidence_is_for_the_verifier_to_refuse(void **state)
{
    (void)state;
    answer.certificates.size = 20;
    ask(service.url);
    assert_null(reference.extra.note);
    assert_int_equal(test_service_asked(&service, TEST_CHAIN), 0);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_cached_list_revokes_although_the_answer_carries_an_older_one),
        TEST(a_service_that_is_away_lets_the_carried_list_count),
        TEST(whatever_is_lacking_is_asked_for),
        TEST(a_stale_certificate_is_no_reason_not_to_ask),
        TEST(a_hidden_chip_gets_chain_and_list_all_the_same),
        TEST(vlek_evidence_gets_its_chain_by_product),
        TEST(the_age_of_what_the_cache_serves_is_told),
        TEST(time_judged_for_is_not_the_time_of_fetching),
        TEST(malformed_evidence_is_for_the_verifier_to_refuse),
    };

    return cmocka_run_group_tests_name("verify_key_service", tests, start_service, stop_service);
}
