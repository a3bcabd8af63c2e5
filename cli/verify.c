#include "cli/verify.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/evidence_file.h"
#include "cli/verify_answer.h"
#include "cli/verify_appraise.h"
#include "cli/verify_fetch.h"
#include "cli/verify_key_service.h"
#include "cli/verify_nothing.h"
#include "cli/verify_options.h"
#include "cli/verify_page.h"
#include "cli/verify_reference.h"
#include "shared/base/alloc.h"
#include "shared/collateral/collateral.h"

#define MEASUREMENT_AT 0x90
#define HOST_DATA_AT   0xc0

/* One run, from options to page. */
struct run {
    struct verify_options options;
    struct verify_reference reference;
    struct verify_result result;
    struct verify_answer answer;
    bool have_answer;
};

static void run_done(struct run *run)
{
    verify_answer_done(&run->answer);
    verify_reference_done(&run->reference);
    verify_result_done(&run->result);
    verify_options_done(&run->options);
}

static void add_tls(struct run *run, enum verdict verdict, const char *actual)
{
    verify_step_add(
        &run->result, "tls", verdict,
        arena_printf(run->result.arena, "a certificate valid for %s", run->options.host), actual,
        "anyone could pretend to be the name");
}

static void add_evidence(struct run *run, enum verdict verdict, const char *actual)
{
    verify_step_add(&run->result, "evidence", verdict, "an attester's answer", actual,
                    "without evidence there is nothing to verify");
}

/* false: no answer to appraise; the step says why. */
static bool judge_connection(struct run *run, const struct verify_fetched *fetched)
{
    if (fetched->status >= 300 && fetched->status < 400) {
        add_tls(run, VERDICT_FAIL,
                arena_printf(run->result.arena, "redirect to '%s', which is not followed",
                             fetched->redirect ? fetched->redirect : ""));
        add_evidence(run, VERDICT_UNKNOWN, "a redirect is none");
        return false;
    }
    add_tls(run, VERDICT_PASS, "");
    if (fetched->status == 200)
        return true;
    add_evidence(run, VERDICT_UNKNOWN,
                 arena_printf(run->result.arena, "HTTP status %ld", fetched->status));
    return false;
}

static void parse_answer(struct run *run, const struct buffer *body)
{
    struct error *err =
        verify_answer_parse(body->data, body->size, run->reference.arena, &run->answer);

    run->have_answer = !err;
    if (err)
        add_evidence(run, VERDICT_FAIL, error_text(err));
    error_free(err);
}

static void take_answer_of_server(struct run *run)
{
    _cleanup_(verify_fetched_done) struct verify_fetched fetched = {};
    struct error *err =
        verify_fetch(&run->options, run->reference.nonce, VERIFY_FETCH_MS, &fetched);

    if (err) {
        bool bad = error_get_code(err) == ERROR_PERMISSION_DENIED;
        add_tls(run, bad ? VERDICT_FAIL : VERDICT_UNKNOWN, error_text(err));
        add_evidence(run, VERDICT_UNKNOWN, "there is no answer");
        error_free(err);
        return;
    }
    if (!judge_connection(run, &fetched))
        return;
    run->reference.spki_sha256 = arena_memdup(run->reference.arena, fetched.spki_sha256, 32);
    parse_answer(run, &fetched.body);
}

/* What a bare report cannot show must not look as if it had been looked at. */
static struct error *check_bare_options(const struct verify_options *options)
{
    const struct {
        const char *name;
        bool given;
    } cannot[] = {{"--nonce", options->nonce != NULL},
                  {"--peer", options->peer != NULL},
                  {"--gpus", options->gpus != NULL},
                  {"--rims", options->rims != NULL}};

    for (size_t i = 0; i < ELEMENTSOF(cannot); i++)
        if (cannot[i].given)
            return error_new(ERROR_INVALID_ARGUMENT,
                             "'%s' is a bare report, which cannot be judged by %s: give the "
                             "attester's whole answer, or say with --report-data what the report "
                             "must carry",
                             options->report, cannot[i].name);
    return NULL;
}

static struct error *take_answer_of_file(struct run *run)
{
    _cleanup_buffer_ struct buffer bytes = {};
    bool is_answer = false;

    struct error *err = evidence_file_read(run->options.report, &bytes, &is_answer);
    if (err)
        return error_wrap(err, "--report");
    if (is_answer) {
        parse_answer(run, &bytes);
        return NULL;
    }
    err = check_bare_options(&run->options);
    if (err)
        return err;
    verify_answer_from_report(bytes.data, &run->answer);
    run->have_answer = true;
    return NULL;
}

/* What a report says is nobody's word before a trusted chip is known to have signed it. */
static bool is_signed(const struct verify_result *result)
{
    return verify_result_passed(result, "chain") && verify_result_passed(result, "signature");
}

static int print_page(struct run *run)
{
    struct verify_page page = {
        .result = &run->result,
        .policy = run->reference.policy.name ? run->reference.policy.name : "strict",
        .gives_up = run->reference.policy.gives_up,
        .at_ms = run->reference.policy.at_ms,
    };

    bool known = is_signed(&run->result);
    verify_page_add_hex(&page, "measurement", "measurement",
                        known ? run->answer.report + MEASUREMENT_AT : NULL, 48);
    verify_page_add_hex(&page, "manifest_sha256", "manifest hash",
                        known ? run->answer.report + HOST_DATA_AT : NULL, 32);
    if (run->reference.extra.note)
        verify_page_add(&page, "collateral", "key service", run->reference.extra.note);
    return verify_page_print(&page, run->options.json);
}

static int fail(struct error *err, int code)
{
    fprintf(stderr, "coffer verify: %s\n", error_text(err));
    error_free(err);
    return code;
}

static void ask_key_service(struct run *run)
{
    const struct verify_key_service service = {
        .url = run->options.offline ? NULL : COLLATERAL_KDS_URL,
    };

    if (!run->options.trust_root)
        verify_key_service_ask(&run->reference, &run->answer, &service);
}

static int verify(struct run *run)
{
    struct error *err = verify_reference_load(&run->options, &run->reference);

    if (!err && run->options.report)
        err = take_answer_of_file(run);
    if (err) /* a file that is not there, or not what it should be */
        return fail(err, EXIT_USAGE);
    if (!run->options.report)
        take_answer_of_server(run);
    if (run->have_answer)
        ask_key_service(run);
    if (run->have_answer)
        err = verify_appraise(&run->reference, &run->reference.extra.collateral, &run->answer,
                              &run->result);
    else
        err = verify_nothing(&run->reference, &run->result);
    return err ? fail(err, EXIT_CANNOT_TELL) : print_page(run);
}

int verify_main(int argc, char **argv)
{
    _cleanup_(run_done) struct run run = {};
    int code = verify_options_parse(argc, argv, &run.options);

    if (code != EXIT_OK)
        return code;
    verify_result_init(&run.result);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    code = verify(&run);
    curl_global_cleanup();
    return code;
}
