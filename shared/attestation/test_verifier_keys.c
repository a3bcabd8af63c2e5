/* Keys other than a Genoa chip's: a cloud's (VLEK), and Turin's with its own layouts. No such key
 * is ours to sign with, so these chains are minted, under a development root. */
#include "shared/attestation/test_kit.h"

#include <openssl/pem.h>

#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/report.h"
#include "shared/attestation/roots.h"
#include "shared/attestation/vek.h"

static struct kit kit;

/* A VEK under an intermediate of another name, and the roots that know both. */
struct minted {
    struct trust_roots *roots;
    struct buffer vek, ask, ark;
};

static int set_up(void **state)
{
    (void)state;
    kit_init(&kit);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kit_done(&kit);
    return 0;
}

static void rename_to(X509_NAME *name, const char *common_name)
{
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);

    X509_NAME_ENTRY_free(X509_NAME_delete_entry(name, at));
    assert_int_equal(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
                                                (const uint8_t *)common_name, -1, -1, 0),
                     1);
}

static void write_pem(const char *dir, const char *name, X509 *certificate)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate), 1);
    fclose(file);
}

static struct trust_roots *load_roots(X509 *ark, X509 *ask)
{
    _cleanup_free_ char *dir = xasprintf("%s/minted", kit.fleet.dir);
    struct trust_roots *roots = NULL;

    expect_ok(dir_make(dir, 0700));
    write_pem(dir, "ark.pem", ark);
    write_pem(dir, "ask.pem", ask);
    expect_ok(trust_roots_load(dir, &roots));
    return roots;
}

struct recipe {
    const char *ask_name;
    void (*change)(X509 *vek);               /* NULL: a Genoa chip's */
    EVP_PKEY *ark_key, *ask_key, *vek_key;   /* NULL: the kit's */
    void (*sign_ask)(X509 *ask, EVP_PKEY *); /* NULL: as AMD signs */
    void (*sign_vek)(X509 *vek, EVP_PKEY *);
};

static X509 *mint_ark(const struct recipe *recipe)
{
    X509 *ark = X509_dup(kit.ark);

    if (recipe->ark_key) {
        assert_int_equal(X509_set_pubkey(ark, recipe->ark_key), 1);
        kit_sign_certificate(ark, recipe->ark_key);
    }
    return ark;
}

static void mint(const struct recipe *recipe, struct minted *ret)
{
    _cleanup_(X509_freep) X509 *ark = mint_ark(recipe), *ask = X509_dup(kit.ask), *vek = NULL;
    EVP_PKEY *ark_key = recipe->ark_key ? recipe->ark_key : kit.ark_key;
    EVP_PKEY *ask_key = recipe->ask_key ? recipe->ask_key : kit.ask_key;

    *ret = (struct minted){};
    rename_to(X509_get_subject_name(ask), recipe->ask_name);
    assert_int_equal(X509_set_pubkey(ask, ask_key), 1);
    (recipe->sign_ask ? recipe->sign_ask : kit_sign_certificate)(ask, ark_key);
    expect_ok(dev_certificate_vcek(recipe->vek_key ? recipe->vek_key : kit.vcek_key,
                                   processor_chip_id(kit.fleet.processors[0]), ask, ask_key, &vek));
    if (recipe->change)
        recipe->change(vek);
    (recipe->sign_vek ? recipe->sign_vek : kit_sign_certificate)(vek, ask_key);
    ret->roots = load_roots(ark, ask);
    kit_der(vek, &ret->vek);
    kit_der(ask, &ret->ask);
    kit_der(ark, &ret->ark);
}

static void minted_done(struct minted *minted)
{
    trust_roots_free(minted->roots);
    buffer_done(&minted->vek);
    buffer_done(&minted->ask);
    buffer_done(&minted->ark);
}

static void take_out(X509 *certificate, const char *oid)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = X509_get_ext_by_OBJ(certificate, object, -1);

    if (at >= 0)
        X509_EXTENSION_free(X509_delete_ext(certificate, at));
    ASN1_OBJECT_free(object);
}

static void put_raw(X509 *certificate, const char *oid, const char *bytes, int size)
{
    ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

    take_out(certificate, oid);
    ASN1_OCTET_STRING_set(value, (const uint8_t *)bytes, size);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, object, 0, value);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(object);
}

/* --- VLEK --- */

static void make_vlek(X509 *vek)
{
    rename_to(X509_get_subject_name(vek), "SEV-VLEK");
    take_out(vek, VEK_OID_HWID);
    put_raw(vek, VEK_OID_CSP_ID,
            "\x16\x08"
            "CN=cloud",
            10);
}

static void accept_none(struct verify_policy *policy)
{
    policy->any_chip_id = true;
}
static void accept_any_cloud(struct verify_policy *policy)
{
    policy->accept_vlek = policy->any_csp_id = policy->any_chip_id = true;
}
static void name_no_cloud(struct verify_policy *policy)
{
    policy->accept_vlek = policy->any_chip_id = true;
}
static void accept_other_clouds(struct verify_policy *policy)
{
    static const char *const clouds[] = {"CN=cloud.example", "CN=clou", "cn=cloud"};

    name_no_cloud(policy);
    policy->csp_ids = clouds;
    policy->n_csp_ids = ELEMENTSOF(clouds);
}
static void accept_this_cloud(struct verify_policy *policy)
{
    static const char *const clouds[] = {"CN=other", "CN=cloud"};

    name_no_cloud(policy);
    policy->csp_ids = clouds;
    policy->n_csp_ids = ELEMENTSOF(clouds);
}
static void ask_for_a_chip(struct verify_policy *policy)
{
    accept_any_cloud(policy);
    policy->any_chip_id = false;
}
static void deny_a_chip(struct verify_policy *policy)
{
    accept_any_cloud(policy);
    policy->denied_chip_ids = policy->chip_ids;
    policy->n_denied_chip_ids = 1;
}

static void vlek_evidence(const struct minted *minted, struct tee_evidence *ret)
{
    static const struct certificate_view none;
    const struct certificate_view vlek = {minted->vek.data, minted->vek.size};
    const struct certificate_view asvk = {minted->ask.data, minted->ask.size};

    kit_evidence(&kit, ret);
    ret->report[0x048] |= 1 << 2; /* SIGNING_KEY: VLEK */
    memset(ret->report + 0x1a0, 0, 64);
    kit_sign(&kit, ret->report);
    kit_replace(ret, &(struct kit_table){.vcek = &none, .vlek = &vlek, .ask = &asvk});
}

static void a_vlek_counts_for_the_clouds_that_are_listed(void **state)
{
    (void)state;
    static const struct {
        void (*tweak)(struct verify_policy *);
        const char *code;
    } rows[] = {
        {accept_none, "signing_key_vlek"},
        {name_no_cloud, "signing_key_csp_id_not_given"},
        {accept_other_clouds, "signing_key_csp_id"},
        {accept_this_cloud, NULL},
        {accept_any_cloud, NULL},
        {ask_for_a_chip, "chip_not_listed"},
        {deny_a_chip, "chip_not_named"},
    };
    struct minted minted;
    struct tee_evidence evidence;

    mint(&(struct recipe){"SEV-VLEK-Genoa", .change = make_vlek}, &minted);
    vlek_evidence(&minted, &evidence);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct verify_policy policy = kit_policy(&kit);

        policy.roots = minted.roots;
        rows[i].tweak(&policy);
        kit_expect(&policy, &evidence, rows[i].code);
    }
    tee_evidence_done(&evidence);
    minted_done(&minted);
}

/* A VLEK says nothing of the chip, so there is nothing that CHIP_ID could contradict. */
static void a_vlek_fits_any_chip(void **state)
{
    (void)state;
    struct minted minted;
    struct tee_evidence evidence;
    struct verify_policy policy = kit_policy(&kit);

    mint(&(struct recipe){"SEV-VLEK-Genoa", .change = make_vlek}, &minted);
    vlek_evidence(&minted, &evidence);
    policy.roots = minted.roots;
    accept_any_cloud(&policy);
    memset(evidence.report + 0x1a0, 0xc1, 64);
    kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, NULL);
    evidence.report[0x180]++; /* but of the firmware level it does */
    evidence.report[0x038]++;
    evidence.report[0x1e0]++;
    kit_sign(&kit, evidence.report);
    kit_expect(&policy, &evidence, "extensions_tcb");
    tee_evidence_done(&evidence);

    /* and it may be at hand beside the evidence, whose CHIP_ID it does not name */
    static const struct certificate_view none;
    const struct certificate_view vlek = {minted.vek.data, minted.vek.size};
    const struct verify_collateral collateral = {
        .certificates = &vlek, .n_certificates = 1, .crls = kit.crls, .n_crls = 1};
    vlek_evidence(&minted, &evidence);
    memset(evidence.report + 0x1a0, 0xc1, 64);
    kit_sign(&kit, evidence.report);
    kit_replace(&evidence, &(struct kit_table){.vlek = &none});
    policy.collateral = &collateral;
    kit_expect(&policy, &evidence, NULL);
    tee_evidence_done(&evidence);
    minted_done(&minted);
}

/* --- Turin --- */

#define TURIN_CHIP "\x01\x23\x45\x67\x89\xab\xcd\xef"

static void make_turin(X509 *vek)
{
    put_raw(vek, VEK_OID_STRUCT_VERSION, "\x02\x01\x01", 3);
    put_raw(vek, VEK_OID_PRODUCT_NAME,
            "\x16\x08"
            "Turin-C1",
            10);
    put_raw(vek, VEK_OID_SPL "9", "\x02\x01\x01", 3);
    put_raw(vek, VEK_OID_SPL "1", "\x02\x01\x03", 3);
    put_raw(vek, VEK_OID_SPL "2", "\x02\x01\x02", 3);
    put_raw(vek, VEK_OID_SPL "3", "\x02\x01\x05", 3);
    put_raw(vek, VEK_OID_SPL "8", "\x02\x01\x61", 3);
    put_raw(vek, VEK_OID_HWID, TURIN_CHIP, 8);
}

static void turin_evidence(const struct minted *minted, struct tee_evidence *ret)
{
    static const uint8_t tcb[] = {1, 3, 2, 5, 0, 0, 0, 0x61};
    static const size_t levels[] = {0x038, 0x180, 0x1e0, 0x1f0};
    const struct certificate_view vcek = {minted->vek.data, minted->vek.size};
    const struct certificate_view ask = {minted->ask.data, minted->ask.size};

    kit_evidence(&kit, ret);
    ret->report[0x188] = 0x1a;
    ret->report[0x189] = 0x02;
    memset(ret->report + 0x1a0, 0, 64);
    memcpy(ret->report + 0x1a0, TURIN_CHIP, 8);
    for (size_t i = 0; i < ELEMENTSOF(levels); i++)
        memcpy(ret->report + levels[i], tcb, sizeof(tcb));
    kit_sign(&kit, ret->report);
    kit_replace(ret, &(struct kit_table){.vcek = &vcek, .ask = &ask});
}

struct turin_row {
    const char *code;
    size_t at;
    uint8_t flip;
};

static void bug_7_turin_is_judged_by_its_own_layout(void **state)
{
    (void)state;
    static const struct turin_row rows[] = {
        {NULL, 0x050, 0}, /* as it is */
        {"extensions_tcb", 0x180, 0x01},
        {"extensions_tcb", 0x181, 0x01},
        {"extensions_tcb", 0x182, 0x02},
        {"extensions_tcb", 0x183, 0x01},
        {"extensions_tcb", 0x187, 0x01},
        {"extensions_chip", 0x1a0, 0x01},
        {"extensions_chip", 0x1a7, 0x01},
        {"extensions_chip", 0x1a8, 0x01},
        {"extensions_chip", 0x1df, 0x80},
        {"tcb_minimum_below", 0x1f0, 0x01},
        {"tcb_minimum_below", 0x1f1, 0x02},
        {"tcb_minimum_below", 0x1f2, 0x02},
        {"tcb_minimum_below", 0x1f3, 0x05},
        {"tcb_minimum_below", 0x1f7, 0x60},
    };
    static const struct policy_minimum minimum[] = {
        {0x1a,
         0,
         15,
         0,
         255,
         "the test",
         {{0, 2, 0, 4, 0x50}, {0, 2, 0, 4, 0x50}, {0, 2, 0, 4, 0x50}, {1, 2, 1, 4, 0x50}}}};
    struct minted minted;

    mint(&(struct recipe){"SEV-Turin", .change = make_turin}, &minted);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct verify_policy policy = kit_policy(&kit);
        struct tee_evidence evidence;

        policy.roots = minted.roots;
        policy.any_chip_id = true;
        policy.minimums = minimum;
        policy.n_minimums = 1;
        turin_evidence(&minted, &evidence);
        evidence.report[rows[i].at] ^= rows[i].flip;
        kit_sign(&kit, evidence.report);
        kit_expect(&policy, &evidence, rows[i].code);
        tee_evidence_done(&evidence);
    }
    minted_done(&minted);
}

/* --- AMD's profile: chains that OpenSSL is content with, and AMD never makes --- */

static void sign_with(X509 *certificate, EVP_PKEY *key, const EVP_MD *hash, int salt)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;

    assert_int_equal(EVP_DigestSignInit(ctx, &how, hash, NULL, key), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, salt), 1);
    assert_true(X509_sign_ctx(certificate, ctx) > 0);
    EVP_MD_CTX_free(ctx);
}
static void sign_pkcs1(X509 *certificate, EVP_PKEY *key)
{
    assert_true(X509_sign(certificate, key, EVP_sha384()) > 0);
}
static void sign_sha256(X509 *certificate, EVP_PKEY *key)
{
    sign_with(certificate, key, EVP_sha256(), 48);
}
static void sign_short_salt(X509 *certificate, EVP_PKEY *key)
{
    sign_with(certificate, key, EVP_sha384(), 32);
}

static void expect_chain(const struct minted *minted, const char *code)
{
    const struct certificate_view vek = {minted->vek.data, minted->vek.size};
    const struct certificate_view ask = {minted->ask.data, minted->ask.size};
    const struct certificate_view ark = {minted->ark.data, minted->ark.size};
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;

    policy.roots = minted->roots;
    kit_evidence(&kit, &evidence);
    kit_replace(&evidence, &(struct kit_table){.vcek = &vek, .ask = &ask, .ark = &ark});
    kit_appraise(&policy, &evidence, &result);
    tee_evidence_done(&evidence);
    assert_string_equal(kit_step(&result, "chain")->code, code);
    verify_result_done(&result);
}

static void chains_that_amd_never_makes_are_refused(void **state)
{
    (void)state;
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *small = EVP_RSA_gen(2048), *p256 = EVP_EC_gen("P-256");
    const struct recipe recipes[] = {
        {.ask_name = "SEV-Genoa"}, /* the control */
        {.ask_name = "SEV-Genoa", .sign_vek = sign_pkcs1},
        {.ask_name = "SEV-Genoa", .sign_vek = sign_sha256},
        {.ask_name = "SEV-Genoa", .sign_vek = sign_short_salt},
        {.ask_name = "SEV-Genoa", .sign_ask = sign_pkcs1},
        {.ask_name = "SEV-Genoa", .sign_ask = sign_sha256},
        {.ask_name = "SEV-Genoa", .ask_key = small},
        {.ask_name = "SEV-Genoa", .ark_key = small},
        {.ask_name = "SEV-Genoa", .vek_key = p256},
    };

    for (size_t i = 0; i < ELEMENTSOF(recipes); i++) {
        struct minted minted;

        mint(&recipes[i], &minted);
        expect_chain(&minted, i == 0 ? "" : "chain_profile");
        minted_done(&minted);
    }
}

static void no_hwid(X509 *vek)
{
    take_out(vek, VEK_OID_HWID);
}

/* What cannot be read says nothing of its kind, its level or its chip. */
static void an_unreadable_vek_says_nothing(void **state)
{
    (void)state;
    struct verify_policy policy = kit_policy(&kit);
    struct tee_evidence evidence;
    struct verify_result result;
    struct minted minted;

    mint(&(struct recipe){"SEV-Genoa", .change = no_hwid}, &minted);
    const struct certificate_view vek = {minted.vek.data, minted.vek.size};
    policy.roots = minted.roots;
    kit_evidence(&kit, &evidence);
    kit_replace(&evidence, &(struct kit_table){.vcek = &vek});
    kit_appraise(&policy, &evidence, &result);
    assert_string_equal(kit_step(&result, "signing_key")->code, "signing_key_no_certificate");
    assert_string_equal(kit_step(&result, "extensions")->code, "extensions_malformed");
    assert_string_equal(kit_step(&result, "signature")->code, "");
    assert_int_equal(verify_result_verdict(&result), VERDICT_FAIL);
    verify_result_done(&result);
    tee_evidence_done(&evidence);
    minted_done(&minted);
}

/* A product's root counts for that product; of a certificate that says no product, its own step
 * says so. */
static void a_products_root_is_of_no_other_product(void **state)
{
    (void)state;
    static const struct {
        enum snp_product product;
        void (*change)(X509 *);
        const char *code;
    } rows[] = {
        {SNP_PRODUCT_UNKNOWN, NULL, ""},
        {SNP_PRODUCT_GENOA, NULL, ""},
        {SNP_PRODUCT_MILAN, NULL, "chain_product"},
        {SNP_PRODUCT_TURIN, NULL, "chain_product"},
        {SNP_PRODUCT_MILAN, no_hwid, ""},
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        struct minted minted;

        mint(&(struct recipe){"SEV-Genoa", .change = rows[i].change}, &minted);
        minted.roots->roots[0].product = rows[i].product;
        expect_chain(&minted, rows[i].code);
        minted_done(&minted);
    }
}

/* Intermediates of the folder's root, of which there may be four; those of others are left out. */
static void a_folder_gives_its_own_intermediates(void **state)
{
    (void)state;
    _cleanup_free_ char *dir = xasprintf("%s/several", kit.fleet.dir);
    _cleanup_free_ char *path = xasprintf("%s/ask.pem", dir);
    X509 *foreign = X509_dup(kit.ask);

    rename_to(X509_get_issuer_name(foreign), "ARK-Elsewhere");
    kit_sign_certificate(foreign, kit.ark_key);
    expect_ok(dir_make(dir, 0700));
    write_pem(dir, "ark.pem", kit.ark);
    for (size_t n = 1; n <= 5; n++) {
        struct trust_roots *roots = NULL;
        FILE *file = fopen(path, "w");

        assert_int_equal(PEM_write_X509(file, foreign), 1);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(PEM_write_X509(file, kit.ask), 1);
        fclose(file);
        struct error *err = trust_roots_load(dir, &roots);
        assert_int_equal(err == NULL, n <= 4);
        if (!err) {
            assert_int_equal(roots->roots[0].n_asks, n);
            assert_int_equal(roots->roots[0].n_known_asks, n);
            assert_true(trust_root_knows(&roots->roots[0], kit.ask));
            assert_false(trust_root_knows(&roots->roots[0], foreign));
        }
        error_free(err);
        trust_roots_free(roots);
    }
    X509_free(foreign);
}

/* Without intermediates the evidence brings them; without a root there is nothing. */
static void a_folder_needs_a_root_and_no_more(void **state)
{
    (void)state;
    _cleanup_free_ char *dir = xasprintf("%s/bare", kit.fleet.dir);
    _cleanup_free_ char *ark = xasprintf("%s/ark.pem", dir);
    _cleanup_free_ char *ask = xasprintf("%s/ask.pem", dir);
    struct trust_roots *roots = NULL;

    expect_ok(dir_make(dir, 0700));
    expect_code(trust_roots_load(dir, &roots), ERROR_NOT_FOUND);
    expect_ok(file_write_atomic(ark, "no certificate", 14, 0600));
    expect_code(trust_roots_load(dir, &roots), ERROR_INVALID_ARGUMENT);
    write_pem(dir, "ark.pem", kit.ark);
    expect_ok(trust_roots_load(dir, &roots));
    assert_int_equal(roots->roots[0].n_asks, 0);
    assert_true(trust_root_knows(&roots->roots[0], kit.ask)); /* any that it signed */
    assert_ptr_equal(trust_roots_issuer_of(roots, kit.ask), &roots->roots[0]);
    assert_ptr_equal(trust_roots_issuer_of(roots, kit.ark), &roots->roots[0]);
    assert_null(trust_roots_issuer_of(kit.amd, kit.ask)); /* pinned, not at hand */
    trust_roots_free(roots);
    trust_roots_free(NULL);
    expect_ok(file_write_atomic(ask, "", 0, 0600));
    expect_code(trust_roots_load(dir, &roots), ERROR_INVALID_ARGUMENT);
}

static void roots_are_development_when_all_are(void **state)
{
    (void)state;
    struct trust_roots two = {.n = 2};

    assert_true(trust_roots_are_development(kit.roots));
    assert_false(trust_roots_are_development(kit.amd));
    assert_false(trust_roots_are_development(&two));
    two.roots[0].development = true;
    assert_false(trust_roots_are_development(&two));
    two.roots[1].development = true;
    assert_true(trust_roots_are_development(&two));
    two.n = 0;
    assert_false(trust_roots_are_development(&two));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vlek_counts_for_the_clouds_that_are_listed),
        cmocka_unit_test(a_vlek_fits_any_chip),
        cmocka_unit_test(bug_7_turin_is_judged_by_its_own_layout),
        cmocka_unit_test(chains_that_amd_never_makes_are_refused),
        cmocka_unit_test(an_unreadable_vek_says_nothing),
        cmocka_unit_test(a_products_root_is_of_no_other_product),
        cmocka_unit_test(a_folder_gives_its_own_intermediates),
        cmocka_unit_test(a_folder_needs_a_root_and_no_more),
        cmocka_unit_test(roots_are_development_when_all_are),
    };

    return cmocka_run_group_tests_name("verifier keys", tests, set_up, tear_down);
}
