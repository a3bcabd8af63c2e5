/* The release authority: revocation lists, which do not get older. */
#include <openssl/pem.h>

#include "services/scheduler/test_kit_release.h"
#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/base/alloc.h"

/* A platform may be told to go on without a revocation list; nobody else does. */
static void test_a_crl_is_required_unless_said_otherwise(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;

    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    kit_drop_crl(kit, &guest, &request);
    kit->config.require_crl = false;
    kit_ok(kit_attest(kit, &guest, request, &reply));
}

static void read_pem(struct kit *kit, const char *name, X509 **certificate, EVP_PKEY **key)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", kit->config.trust_root_dir, name);
    _cleanup_fclose_ FILE *file = fopen(path, "re");

    assert_non_null(file);
    if (certificate)
        *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    else
        *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
}

/* The request with another revocation list: by the root's key, or by the intermediate's, which has
 * no say. */
static void put_crl(struct kit *kit, Coffer__V1__AttestRequest *request, const char *signer,
                    uint64_t number, bool revoked)
{
    ProtobufCBinaryData *certificates = &request->evidence->certificates;
    _cleanup_buffer_ struct buffer bytes = {0};
    struct certificate_table table;
    X509 *ark, *ask;
    EVP_PKEY *key;
    X509_CRL *crl;
    uint8_t *der = NULL;

    read_pem(kit, "ark.pem", &ark, NULL);
    read_pem(kit, "ask.pem", &ask, NULL);
    read_pem(kit, signer, NULL, &key);
    kit_ok(dev_certificate_crl(ark, key, number, revoked ? ask : NULL, &crl));
    kit_ok(certificate_table_parse(certificates->data, certificates->len, &table));
    int size = i2d_X509_CRL(crl, &der);
    table.crl = (struct certificate_view){der, (size_t)size};
    certificate_table_write(&table, &bytes);
    *certificates = arena_bytes(kit->arena, bytes.data, bytes.size);
    OPENSSL_free(der);
    X509_CRL_free(crl);
    EVP_PKEY_free(key);
    X509_free(ask);
    X509_free(ark);
}

static void boot_again(struct kit *kit, struct kit_guest *guest)
{
    kit_ok(kit_wish(kit, "restart", "w1"));
    kit_tick(kit);
    guest->generation++;
    kit_ok(kit_challenge(kit, guest));
}

#define NEWER ((uint64_t)INT32_MAX * 4) /* than the folder's own list */

/* Once a list has named the intermediate, an older one that does not is of no help any more, also
 * with the next scheduler; without a list at all it never was. */
static void test_an_older_revocation_list_does_not_help(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    put_crl(kit, request, "ark.key", NEWER, true);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_revocation");
    kit_restart_scheduler(kit);
    boot_again(kit, &guest);
    kit_code(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply),
             ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_revocation");
    assert_non_null(strstr(kit_workload(kit, "w1")->status_reason, "seen before"));
    kit->config.require_crl = false;
    boot_again(kit, &guest);
    request = kit_attest_request(kit, &guest);
    kit_drop_crl(kit, &guest, &request);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    assert_string_equal(kit_workload(kit, "w1")->status_code, "attest_revocation");
}

/* Hosts fetch at different times: an older list that is in date will do, but does not count back.
 */
static void test_hosts_with_lists_of_different_age(void **state)
{
    struct kit *kit = *state;
    static const struct {
        uint64_t number;
        bool none; /* the evidence has no list, whatever is remembered */
        enum error_code code;
    } rows[] = {
        {NEWER + 1, false, ERROR_OK}, {NEWER, false, ERROR_OK},
        {NEWER + 2, false, ERROR_OK}, {NEWER, true, ERROR_PERMISSION_DENIED},
        {NEWER, false, ERROR_OK},
    };
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
        put_crl(kit, request, "ark.key", rows[i].number, false);
        if (rows[i].none)
            kit_drop_crl(kit, &guest, &request);
        kit_code(kit_attest(kit, &guest, request, &reply), rows[i].code);
        boot_again(kit, &guest);
    }
}

/* Nobody but the root is remembered: else any guest could have all others refused. */
static void test_a_forged_revocation_list_is_not_remembered(void **state)
{
    struct kit *kit = *state;
    struct kit_guest guest;
    Coffer__V1__AttestReply *reply;
    kit_begin_boot(kit, &guest);
    Coffer__V1__AttestRequest *request = kit_attest_request(kit, &guest);
    put_crl(kit, request, "ask.key", NEWER, true);
    kit_code(kit_attest(kit, &guest, request, &reply), ERROR_PERMISSION_DENIED);
    boot_again(kit, &guest);
    kit_ok(kit_attest(kit, &guest, kit_attest_request(kit, &guest), &reply));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(test_a_crl_is_required_unless_said_otherwise),
        KIT_TEST(test_an_older_revocation_list_does_not_help),
        KIT_TEST(test_hosts_with_lists_of_different_age),
        KIT_TEST(test_a_forged_revocation_list_is_not_remembered),
    };

    return cmocka_run_group_tests(tests, kit_group_setup, kit_group_teardown);
}
