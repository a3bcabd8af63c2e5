#include "shared/collateral/test_service.h"

#include <microhttpd.h>
#include <openssl/pem.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/dev_certificate.h"
#include "shared/attestation/roots.h"
#include "shared/base/file.h"

DEFINE_CLEANUP(BIO *, BIO_free)

static enum test_object object_of(const char *url)
{
    return strstr(url, "cert_chain") ? TEST_CHAIN : strstr(url, "/crl") ? TEST_CRL : TEST_VCEK;
}

/* Lock held; true while the answer is one of the failures. */
static bool fails(struct test_answer *answer)
{
    answer->asked++;
    if (answer->status == 0 || answer->failures == 0)
        return false;
    answer->failures--;
    return true;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
                                  _unused_ const char *method, _unused_ const char *version,
                                  _unused_ const char *upload, _unused_ size_t *upload_size,
                                  void **con_data)
{
    struct test_service *service = data;
    struct test_answer *answer = &service->answers[object_of(url)];
    struct MHD_Response *response;
    unsigned status = 200;

    if (!*con_data) {
        *con_data = data;
        return MHD_YES;
    }
    pthread_mutex_lock(&service->lock);
    bool failing = fails(answer);
    while (answer->held)
        pthread_cond_wait(&service->changed, &service->lock);
    if (failing)
        status = answer->status;
    response = MHD_create_response_from_buffer(failing ? 4 : answer->body.size,
                                               failing ? "fail" : (void *)answer->body.data,
                                               MHD_RESPMEM_MUST_COPY);
    if (failing && answer->retry_after)
        MHD_add_response_header(response, "Retry-After", answer->retry_after);
    if (status == 302)
        MHD_add_response_header(response, "Location", "/vcek/v1/Genoa/cert_chain");
    pthread_mutex_unlock(&service->lock);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void load_chips(struct test_service *service)
{
    const struct processor_guest guest = test_guest();
    uint8_t report_data[64] = {};

    for (size_t i = 0; i < 2; i++) {
        struct tee_evidence evidence = {};
        struct certificate_table table;
        struct snp_report report;

        expect_ok(processor_report(service->fleet.processors[i], &guest, report_data, &evidence));
        expect_ok(snp_report_parse(evidence.report, sizeof(evidence.report), &report));
        expect_ok(certificate_table_parse(evidence.certificates.data, evidence.certificates.size,
                                          &table));
        service->vceks[i] = xmemdup(table.vcek.data, table.vcek.size);
        service->vcek_sizes[i] = table.vcek.size;
        expect_ok(
            kds_chip_init(DEV_PRODUCT, report.chip_id, report.reported_tcb, &service->chips[i]));
        tee_evidence_done(&evidence);
    }
}

static void add_file(const char *dir, const char *name, struct buffer *ret)
{
    _cleanup_free_ char *path = xasprintf("%s/%s", dir, name);

    expect_ok(file_read(path, CERTIFICATE_SIZE_MAX, ret));
}

void test_service_reset(struct test_service *service)
{
    pthread_mutex_lock(&service->lock);
    for (size_t i = 0; i < TEST_OBJECTS; i++) {
        buffer_done(&service->answers[i].body);
        service->answers[i] = (struct test_answer){};
    }
    add_file(service->fleet.root, "ask.pem", &service->answers[TEST_CHAIN].body);
    add_file(service->fleet.root, "ark.pem", &service->answers[TEST_CHAIN].body);
    add_file(service->fleet.root, "crl.der", &service->answers[TEST_CRL].body);
    buffer_add(&service->answers[TEST_VCEK].body, service->vceks[0], service->vcek_sizes[0]);
    pthread_mutex_unlock(&service->lock);
}

void test_service_start(struct test_service *service)
{
    *service = (struct test_service){};
    pthread_mutex_init(&service->lock, NULL);
    pthread_cond_init(&service->changed, NULL);
    test_fleet_init(&service->fleet);
    expect_ok(trust_roots_load(service->fleet.root, &service->roots));
    load_chips(service);
    test_service_reset(service);
    service->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD |
                                           MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL,
                                       0, NULL, NULL, on_request, service, MHD_OPTION_END);
    assert_non_null(service->daemon);
    snprintf(service->url, sizeof(service->url), "http://127.0.0.1:%u",
             MHD_get_daemon_info(service->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
}

void test_service_stop(struct test_service *service)
{
    MHD_stop_daemon(service->daemon);
    for (size_t i = 0; i < TEST_OBJECTS; i++)
        buffer_done(&service->answers[i].body);
    free(service->vceks[0]);
    free(service->vceks[1]);
    trust_roots_free(service->roots);
    test_fleet_done(&service->fleet);
    pthread_cond_destroy(&service->changed);
    pthread_mutex_destroy(&service->lock);
}

void test_service_set_body(struct test_service *service, enum test_object object, const void *data,
                           size_t size)
{
    struct buffer *body = &service->answers[object].body;

    pthread_mutex_lock(&service->lock);
    buffer_done(body);
    buffer_add(body, data, size);
    pthread_mutex_unlock(&service->lock);
}

unsigned test_service_asked(struct test_service *service, enum test_object object)
{
    pthread_mutex_lock(&service->lock);
    unsigned asked = service->answers[object].asked;
    pthread_mutex_unlock(&service->lock);
    return asked;
}

void test_service_hold(struct test_service *service, enum test_object object, bool held)
{
    pthread_mutex_lock(&service->lock);
    service->answers[object].held = held;
    pthread_cond_broadcast(&service->changed);
    pthread_mutex_unlock(&service->lock);
}

static void *read_pem(const char *dir, const char *name, bool key)
{
    _cleanup_buffer_ struct buffer text = {};

    add_file(dir, name, &text);
    _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    void *object = key ? (void *)PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL)
                       : (void *)PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_non_null(object);
    return object;
}

void test_service_crl(struct test_service *service, uint64_t number, struct buffer *ret_der)
{
    _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = read_pem(service->fleet.root, "ark.key", true);
    _cleanup_(X509_freep) X509 *ark = read_pem(service->fleet.root, "ark.pem", false);
    _cleanup_(X509_CRL_freep) X509_CRL *crl = NULL;
    uint8_t *der = NULL;

    expect_ok(dev_certificate_crl(ark, key, number, NULL, &crl));
    int size = i2d_X509_CRL(crl, &der);
    assert_true(size > 0);
    buffer_add(ret_der, der, (size_t)size);
    OPENSSL_free(der);
}
