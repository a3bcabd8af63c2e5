/*
 * How fast evidence is judged, on one thread: the raw signature beside verify_snp() with a cached
 * chain and without one, and a launch measurement. Figures, not a test.
 *
 * bench_attest FIRMWARE: an OVMF file; a shorter one is filled up to 4 MiB at its front.
 */
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "shared/attestation/certificates.h"
#include "shared/attestation/chain.h"
#include "shared/attestation/launch.h"
#include "shared/attestation/processor.h"
#include "shared/attestation/report.h"
#include "shared/base/alloc.h"
#include "shared/base/clock.h"
#include "shared/base/file.h"

#define SPAN_MS       1000
#define SPANS         3
#define FIRMWARE_SIZE (4 * 1024 * 1024)
#define VCPUS         64

DEFINE_CLEANUP(EVP_MD_CTX *, EVP_MD_CTX_free)

struct bench {
    char dir[64];
    struct trust_roots *roots;
    struct verify_cache *cache;
    struct tee_evidence evidence;
    struct verify_policy policy;
    uint8_t report_data[64];
    X509 *vek;
    uint8_t *signature; /* DER */
    int signature_size;
    struct buffer firmware;
};

static void stop_if(bool failed, const char *what)
{
    if (!failed)
        return;
    fprintf(stderr, "bench_attest: %s\n", what);
    exit(1);
}

static void ok(struct error *err)
{
    stop_if(err != NULL, error_text(err));
}

static void read_signature(struct bench *bench)
{
    const uint8_t *r = bench->evidence.report + REPORT_SIGNED_SIZE, *s = r + REPORT_SCALAR_SIZE;
    struct certificate_table table;
    ECDSA_SIG *signature = ECDSA_SIG_new();

    ok(certificate_table_parse(bench->evidence.certificates.data, bench->evidence.certificates.size,
                               &table));
    bench->vek = chain_parse_der(&table.vcek);
    stop_if(ECDSA_SIG_set0(signature, BN_lebin2bn(r, 48, NULL), BN_lebin2bn(s, 48, NULL)) != 1,
            "no signature");
    bench->signature_size = i2d_ECDSA_SIG(signature, &bench->signature);
    ECDSA_SIG_free(signature);
}

static void make_evidence(struct bench *bench)
{
    struct processor_guest guest = {.policy = 0x30000, .measurement = {1}};
    _cleanup_(processor_freep) struct processor *processor = NULL;

    snprintf(bench->dir, sizeof(bench->dir), "/tmp/coffer-bench-XXXXXX");
    stop_if(!mkdtemp(bench->dir), "no temporary folder");
    _cleanup_free_ char *root = xasprintf("%s/root", bench->dir);
    _cleanup_free_ char *host = xasprintf("%s/host", bench->dir);
    ok(tee_dev_init_root(root));
    ok(tee_dev_init_host(root, host));
    ok(processor_open(host, &processor));
    ok(processor_report(processor, &guest, bench->report_data, &bench->evidence));
    ok(trust_roots_load(root, &bench->roots));
    bench->cache = verify_cache_new(bench->roots);
    bench->policy = (struct verify_policy){
        .roots = bench->roots,
        .report_data = bench->report_data,
        .any_host_data = true,
        .any_measurement = true,
        .any_chip_id = true,
        .at_ms = clock_wall_ms(clock_system()),
        .crl = POLICY_CRL_SOFT,
    };
    read_signature(bench);
}

static void fill_firmware(struct bench *bench, const char *path)
{
    _cleanup_buffer_ struct buffer file = {};
    static const uint8_t zeros[4096];

    ok(file_read(path, FIRMWARE_SIZE, &file));
    while (bench->firmware.size + file.size + sizeof(zeros) <= FIRMWARE_SIZE)
        buffer_add(&bench->firmware, zeros, sizeof(zeros));
    buffer_add(&bench->firmware, file.data, file.size);
}

static void run_raw(struct bench *bench)
{
    _cleanup_(EVP_MD_CTX_freep) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY *key = X509_get0_pubkey(bench->vek);

    stop_if(EVP_DigestVerifyInit(ctx, NULL, EVP_sha384(), NULL, key) != 1 ||
                EVP_DigestVerify(ctx, bench->signature, (size_t)bench->signature_size,
                                 bench->evidence.report, REPORT_SIGNED_SIZE) != 1,
            "the signature does not verify");
}

static void run_verify(struct bench *bench)
{
    struct verify_result result;

    verify_result_init(&result);
    ok(verify_snp(&bench->policy, bench->evidence.report, TEE_REPORT_SIZE,
                  bench->evidence.certificates.data, bench->evidence.certificates.size, &result));
    const struct verify_step *problem = verify_result_first_problem(&result);
    stop_if(problem != NULL, problem ? problem->actual : "");
    verify_result_done(&result);
}

static void run_cached(struct bench *bench)
{
    bench->policy.cache = bench->cache;
    run_verify(bench);
}

static void run_cold(struct bench *bench)
{
    bench->policy.cache = NULL;
    run_verify(bench);
}

static void run_launch(struct bench *bench)
{
    static const uint8_t hash[32];
    uint8_t digest[LAUNCH_DIGEST_SIZE];
    const struct launch_input input = {
        .firmware = bench->firmware.data,
        .firmware_size = bench->firmware.size,
        .kernel_sha256 = hash,
        .initrd_sha256 = hash,
        .cmdline = "console=ttyS0",
        .vcpus = VCPUS,
        .cpu_model = "EPYC-v4",
        .guest_features = 1,
    };

    ok(launch_measure(&input, digest));
}

static double cpu_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* Milliseconds of the processor for one, as `openssl speed` counts. */
static double measure_span(struct bench *bench, void (*run)(struct bench *))
{
    double start = cpu_ms(), now = start;
    int n = 0;

    for (; now - start < SPAN_MS; now = cpu_ms(), n++)
        run(bench);
    return (now - start) / n;
}

/* The best of some spans each, in turn: what else the machine does then slows all of them alike. */
static void measure(struct bench *bench, void (*const *runs)(struct bench *), size_t n,
                    double *ret_best)
{
    for (size_t i = 0; i < n; i++)
        runs[i](bench);
    for (int span = 0; span < SPANS; span++) {
        for (size_t i = 0; i < n; i++) {
            double each = measure_span(bench, runs[i]);
            ret_best[i] = span == 0 || each < ret_best[i] ? each : ret_best[i];
        }
    }
}

static void print_figures(struct bench *bench)
{
    static void (*const runs[])(struct bench *) = {run_raw, run_cached, run_cold};
    static void (*const launch[])(struct bench *) = {run_launch};
    double raw_cached_cold[ELEMENTSOF(runs)], launched;
    struct rusage usage;

    measure(bench, runs, ELEMENTSOF(runs), raw_cached_cold);
    printf("  P-384 signature alone                    %8.0f /s\n", 1000 / raw_cached_cold[0]);
    printf("  verify, chain cached                     %8.0f /s   %.1f %% of it\n",
           1000 / raw_cached_cold[1], 100 * raw_cached_cold[0] / raw_cached_cold[1]);
    printf("  verify, cold (chain, CRL, extensions)    %8.3f ms\n", raw_cached_cold[2]);
    getrusage(RUSAGE_SELF, &usage);
    printf("  peak memory so far                       %8.1f MiB\n",
           (double)usage.ru_maxrss / 1024 - (double)bench->firmware.size / (1024 * 1024));
    measure(bench, launch, ELEMENTSOF(launch), &launched);
    printf("  measure %.0f MiB of firmware, %d vCPUs      %8.3f ms\n",
           (double)bench->firmware.size / (1024 * 1024), VCPUS, launched);
}

static void done(struct bench *bench)
{
    _cleanup_free_ char *command = xasprintf("rm -r '%s'", bench->dir);

    verify_cache_free(bench->cache);
    trust_roots_free(bench->roots);
    tee_evidence_done(&bench->evidence);
    X509_free(bench->vek);
    OPENSSL_free(bench->signature);
    buffer_done(&bench->firmware);
    stop_if(system(command) != 0, "the temporary folder stays");
}

int main(int argc, char **argv)
{
    struct bench bench = {};

    stop_if(argc != 2, "usage: bench_attest FIRMWARE");
    fill_firmware(&bench, argv[1]);
    make_evidence(&bench);
    print_figures(&bench);
    done(&bench);
    return 0;
}
