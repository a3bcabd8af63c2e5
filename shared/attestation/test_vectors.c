/*
 * The files are not ours to ship: COFFER_VECTORS names their folder (../shared/vectors); without
 * it the tests are skipped.
 */
#include "shared/attestation/test_vectors.h"

#include <glob.h>
#include <sys/stat.h>
#include <time.h>

#include "shared/base/file.h"

static struct vectors vectors;

struct vectors *vectors_find(void)
{
    struct stat st;

    vectors.dir = getenv("COFFER_VECTORS") ? getenv("COFFER_VECTORS") : "../shared/vectors";
    _cleanup_free_ char *snp = xasprintf("%s/snp", vectors.dir);
    if (stat(snp, &st) == 0)
        return &vectors;
    printf("skipped: no attestation vectors at '%s' (set COFFER_VECTORS)\n", vectors.dir);
    return NULL;
}

void vectors_read(struct buffer *ret, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    _cleanup_free_ char *path = xvasprintf(fmt, args);
    va_end(args);
    expect_ok(file_read(path, 1024 * 1024, ret));
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    assert_non_null(text);
    return text;
}

/* "2025-02-10 16:32:02+00:00": when the certificate was made; a second later it is valid. */
static int64_t parse_time(const char *text)
{
    struct tm tm = {};

    assert_non_null(strptime(text, "%Y-%m-%d %H:%M:%S", &tm));
    return ((int64_t)timegm(&tm) + 1) * 1000;
}

static void load_leaves(struct vector *v)
{
    size_t i;
    json_t *certificate;

    json_array_foreach(json_object_get(v->manifest, "certificates"), i, certificate)
    {
        assert_true(v->n_leaves < LEAVES_MAX);
        struct leaf *leaf = &v->leaves[v->n_leaves++];
        leaf->file = text_of(certificate, "file");
        leaf->at_ms = parse_time(text_of(certificate, "not_before"));
        vectors_read(&leaf->der, "%s/%s", v->dir, leaf->file);
    }
}

static void load_vector(struct vector *v, const char *path)
{
    v->dir = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    v->manifest = json_load_file(path, 0, NULL);
    assert_non_null(v->manifest);
    v->name = text_of(v->manifest, "name");
    vectors_read(&v->report, "%s/report.bin", v->dir);
    _cleanup_free_ char *product = xstrdup(text_of(v->manifest, "product"));
    for (char *c = product; *c; c++)
        *c |= 0x20;
    vectors_read(&v->ask, "%s/snp/_roots/%s_ask.der", vectors.dir, product);
    vectors_read(&v->asvk, "%s/snp/_roots/%s_asvk.der", vectors.dir, product);
    vectors_read(&v->ark, "%s/snp/_roots/%s_ark.der", vectors.dir, product);
    v->at_ms = parse_time(text_of(v->manifest, "verify_at_hint"));
    load_leaves(v);
}

static void load_roots(void)
{
    static const char *const products[] = {"milan", "genoa", "turin"};
    static const char *const kinds[] = {"ask", "asvk", "ark"};

    expect_ok(trust_roots_amd(&vectors.roots));
    for (size_t i = 0; i < VECTORS_OF_ROOTS; i++) {
        struct buffer *file = &vectors.root_files[i];

        vectors_read(file, "%s/snp/_roots/%s_%s.der", vectors.dir, products[i / 3], kinds[i % 3]);
        vectors.collateral[i] = (struct certificate_view){file->data, file->size};
    }
}

int vectors_load(void **state)
{
    (void)state;
    _cleanup_free_ char *pattern = xasprintf("%s/snp/[a-z]*/manifest.json", vectors.dir);
    glob_t found;

    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_true(found.gl_pathc <= VECTORS_MAX);
    for (size_t i = 0; i < found.gl_pathc; i++)
        load_vector(&vectors.list[vectors.n++], found.gl_pathv[i]);
    globfree(&found);
    load_roots();
    return 0;
}

int vectors_free(void **state)
{
    (void)state;
    for (size_t i = 0; i < vectors.n; i++) {
        struct vector *v = &vectors.list[i];

        free(v->dir);
        json_decref(v->manifest);
        buffer_done(&v->report);
        buffer_done(&v->ask);
        buffer_done(&v->asvk);
        buffer_done(&v->ark);
        for (size_t k = 0; k < v->n_leaves; k++)
            buffer_done(&v->leaves[k].der);
    }
    for (size_t i = 0; i < VECTORS_OF_ROOTS; i++)
        buffer_done(&vectors.root_files[i]);
    trust_roots_free(vectors.roots);
    return 0;
}

const struct vector *vectors_get(const char *name)
{
    for (size_t i = 0; i < vectors.n; i++)
        if (strcmp(vectors.list[i].name, name) == 0)
            return &vectors.list[i];
    fail_msg("no vector '%s'", name);
    return NULL;
}

bool vector_is_vlek(const struct leaf *leaf)
{
    return strncmp(leaf->file, "vlek", 4) == 0;
}

void vector_table(const struct vector *v, const struct leaf *leaf, struct buffer *ret_table)
{
    struct certificate_view view = {leaf->der.data, leaf->der.size};
    const struct buffer *ask = vector_is_vlek(leaf) ? &v->asvk : &v->ask;
    struct certificate_table table = {
        .ask = {ask->data, ask->size},
        .ark = {v->ark.data, v->ark.size},
    };

    *(vector_is_vlek(leaf) ? &table.vlek : &table.vcek) = view;
    certificate_table_write(&table, ret_table);
}

bool vector_has_finding(const struct vector *v, const char *text)
{
    size_t i;
    json_t *finding;

    json_array_foreach(json_object_get(v->manifest, "strict_policy_findings"), i, finding)
    {
        if (strstr(json_string_value(finding), text))
            return true;
    }
    return false;
}

struct verify_policy vector_policy(const struct vector *v, const struct leaf *leaf)
{
    return (struct verify_policy){
        .roots = vectors.roots,
        .at_ms = leaf->at_ms,
        .report_data = v->report.data + 0x50,
        .measurements = (const uint8_t(*)[48])(v->report.data + 0x90),
        .n_measurements = 1,
        .host_data = v->report.data + 0xc0,
        .any_chip_id = true,
        .vmpl = v->report.data[0x30],
        .report_versions = 1u << 2 | 1u << 3 | 1u << 5,
        .accept_vlek = true,
        .any_csp_id = true,
        .crl = POLICY_CRL_SOFT, /* no list of AMD's is among the files */
        .any_tcb = true,
        .accept_provisional_firmware = true,
        .guest_policy = {.allow = vector_has_finding(v, "DEBUG") ? 1u << 19 : 0},
        .platform_info = {.allow = vector_has_finding(v, "ALIAS") ? 1u << 5 : 0},
    };
}

void vector_appraise(const struct verify_policy *policy, const struct buffer *report,
                     const struct buffer *table, struct verify_result *ret_result)
{
    verify_result_init(ret_result);
    expect_ok(verify_snp(policy, report->data, report->size, table->data, table->size, ret_result));
}

const struct verify_step *vector_step(const struct verify_result *result, const char *id)
{
    for (size_t i = 0; i < result->n_steps; i++)
        if (strcmp(result->steps[i].id, id) == 0)
            return &result->steps[i];
    fail_msg("no step '%s'", id);
    return NULL;
}

static const char *code_for(const char *const codes[], const char *step)
{
    for (size_t i = 0; codes[i]; i++)
        if (strcmp(verify_code_find(codes[i])->step, step) == 0)
            return codes[i];
    return "";
}

void vector_expect(const struct verify_policy *policy, const struct buffer *report,
                   const struct buffer *table, const char *name, const char *const codes[])
{
    struct verify_result result;

    vector_appraise(policy, report, table, &result);
    for (size_t i = 0; i < result.n_steps; i++) {
        const struct verify_step *step = &result.steps[i];
        const char *code = code_for(codes, step->id);

        if (strcmp(step->code, code) != 0)
            fail_msg("%s: step '%s' says '%s', not '%s': expected '%s', actual '%s'", name,
                     step->id, step->code, code, step->expected, step->actual);
    }
    assert_false(result.development);
    verify_result_done(&result);
}
