#include "cli/plan.h"

#include <stdio.h>

#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/project_body.h"
#include "cli/project_salt.h"
#include "cli/resolve.h"
#include "cli/sent.h"
#include "cli/terminal.h"
#include "shared/base/alloc.h"
#include "shared/base/encode.h"
#include "shared/seal/seal.h"

struct error *plan_ask(struct client *client, const json_t *body, json_t **ret_plan)
{
    return client_call(client, "POST", "/api/v1/workloads/plan", body, ret_plan);
}

bool plan_is_accepted(const json_t *plan)
{
    return json_is_true(json_object_get(plan, "valid")) &&
           json_is_true(json_object_get(plan, "admitted"));
}

bool plan_changes_nothing(const json_t *plan)
{
    return json_array_size(json_object_get(plan, "changes")) == 0;
}

static const json_t *manifest_of(const json_t *plan)
{
    return json_object_get(plan, "manifest");
}

const char *plan_hash(const json_t *plan)
{
    return json_string_value(json_object_get(manifest_of(plan), "hash")) ?: "";
}

static void hash_hex(const void *data, size_t size, char ret_text[2 * SHA256_SIZE + 1])
{
    uint8_t digest[SHA256_SIZE];

    sha256(data, size, digest);
    hex_encode(digest, sizeof(digest), ret_text);
}

struct error *plan_check(const json_t *plan, const struct project *project)
{
    const json_t *document = json_object_get(plan, "manifestDocument");
    _cleanup_buffer_ struct buffer bytes = {0};
    char computed[2 * SHA256_SIZE + 1];

    if (!json_is_object(document))
        return error_new(ERROR_DATA_LOSS, "the plan does not show its manifest");
    struct error *err = canonical_json(document, &bytes);
    if (err)
        return error_recode(error_wrap(err, "the plan's manifest"), ERROR_DATA_LOSS);
    hash_hex(bytes.data, bytes.size, computed);
    if (strcmp(computed, plan_hash(plan)) != 0)
        return error_new(ERROR_DATA_LOSS, "the plan's manifest has the hash %s, and it says %s",
                         computed, plan_hash(plan));
    if (!project || !project->compose)
        return NULL;
    hash_hex(project->compose, project->compose_size, computed);
    if (strcmp(computed, output_text(document, "compose_sha256")) != 0)
        return error_new(ERROR_DATA_LOSS, "the plan's manifest is of another compose file");
    return NULL;
}

static void print_findings(const json_t *findings)
{
    const json_t *finding;
    size_t i;

    if (json_array_size(findings))
        terminal_printf("findings       %zu\n", json_array_size(findings));
    json_array_foreach(findings, i, finding)
    {
        json_int_t line = json_integer_value(json_object_get(finding, "line"));
        const char *where = output_text(finding, "where");
        terminal_printf("  ");
        if (line > 0)
            terminal_printf("line %" JSON_INTEGER_FORMAT ": ", line);
        terminal_printf("%s%s%s\n", strcmp(where, "-") ? where : "", strcmp(where, "-") ? ": " : "",
                        output_text(finding, "what"));
        terminal_printf("      why: %s\n      fix: %s\n", output_text(finding, "why"),
                        output_text(finding, "fix"));
    }
}

/* A value of any type, on one line. */
static void print_value(const json_t *value)
{
    bool is_text = json_is_string(value);
    bool is_other = value && !is_text && !json_is_null(value);
    _cleanup_free_ char *json = is_other ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    _cleanup_free_ char *clean =
        terminal_text(is_text ? json_string_value(value) : json ?: "-", TERMINAL_LINE);

    fputs(clean, stdout);
}

static void print_changes(const json_t *plan)
{
    const json_t *change;
    size_t i;

    json_array_foreach(json_object_get(plan, "changes"), i, change)
    {
        terminal_printf("%-14s %s: ", i == 0 ? "changes" : "", output_text(change, "field"));
        print_value(json_object_get(change, "from"));
        fputs(" -> ", stdout);
        print_value(json_object_get(change, "to"));
        putchar('\n');
    }
    if (json_is_true(json_object_get(manifest_of(plan), "unchanged")))
        puts("changes        none: unchanged");
}

static void print_manifest(const json_t *plan)
{
    const json_t *manifest = manifest_of(plan);
    const char *previous = json_string_value(json_object_get(manifest, "previousHash"));

    if (!plan_hash(plan)[0])
        return;
    if (previous && strcmp(previous, plan_hash(plan)) == 0) /* values and names are not in it */
        terminal_printf("manifest hash  %s (unchanged)\n", plan_hash(plan));
    else if (previous)
        terminal_printf("manifest hash  %s\n            -> %s\n", previous, plan_hash(plan));
    else
        terminal_printf("manifest hash  %s\n", plan_hash(plan));
}

static void print_measurements(const json_t *list, const char *title)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const char *model = json_string_value(json_object_get(item, "cpuModel"));
        terminal_printf("%-14s %" JSON_INTEGER_FORMAT " vCPU%s%s  %s\n", i == 0 ? title : "",
                        json_integer_value(json_object_get(item, "vcpus")), model ? " " : "",
                        model ?: "", output_text(item, "measurement"));
    }
}

static void print_placement(const json_t *placement)
{
    const char *host = json_string_value(json_object_get(placement, "hostId"));
    const json_t *note;
    size_t i;

    if (!json_is_object(placement))
        return;
    terminal_printf("placement      %s, of %" JSON_INTEGER_FORMAT " that could\n",
                    host ?: "no host",
                    json_integer_value(json_object_get(placement, "candidates")));
    json_array_foreach(json_object_get(placement, "notes"), i, note)
    {
        const json_t *hosts = json_object_get(note, "hosts");
        terminal_printf("               %s: ", output_text(note, "reason"));
        print_value(hosts);
        putchar('\n');
    }
}

static void print_cost(const json_t *cost)
{
    const json_t *price = json_object_get(cost, "usdCostPerMin");
    const json_t *previous = json_object_get(cost, "previousUsdCostPerMin");
    const json_t *left = json_object_get(cost, "minutesLeft");
    const json_t *tier = json_object_get(cost, "tier");

    if (!json_is_object(cost))
        return;
    terminal_printf("cost           %.6f USD a minute", json_number_value(price));
    if (json_is_string(tier))
        terminal_printf(", tier %s", json_string_value(tier));
    else if (json_is_object(tier))
        terminal_printf(", tier %s", output_text(tier, "name"));
    if (json_is_number(previous) && json_number_value(previous) != json_number_value(price))
        terminal_printf(" (was %.6f)", json_number_value(previous));
    terminal_printf("\n               the account spends %.6f USD a minute",
                    json_number_value(json_object_get(cost, "accountBurnRatePerMin")));
    if (json_is_number(left))
        terminal_printf(", and has money for %.0f minutes", json_number_value(left));
    putchar('\n');
}

static void print_loss(const json_t *losses)
{
    const json_t *loss;
    size_t i;

    json_array_foreach(losses, i, loss)
        terminal_printf("%-14s %s\n", i == 0 ? "what is lost" : "", json_string_value(loss) ?: "?");
}

static void print_verdict(const json_t *plan)
{
    const json_t *refusal = json_object_get(plan, "refusal");

    if (plan_is_accepted(plan))
        puts("verdict        would be accepted");
    else if (json_is_object(refusal))
        terminal_printf("verdict        would be refused: %s (%s)\n",
                        output_text(refusal, "message"), output_text(refusal, "code"));
    else
        puts("verdict        would be refused: see the findings");
}

void plan_print(const json_t *plan)
{
    const json_t *measurements = json_object_get(plan, "measurements");

    print_findings(json_object_get(plan, "findings"));
    print_changes(plan);
    print_manifest(plan);
    print_measurements(json_object_get(measurements, "previous"), "measured as");
    print_measurements(json_object_get(measurements, "expected"), "will measure");
    print_placement(json_object_get(plan, "placement"));
    print_cost(json_object_get(plan, "cost"));
    print_loss(json_object_get(plan, "dataLoss"));
    print_verdict(plan);
}

/* Of a new one: the same manifest must come out here. */
static struct error *check_new(const json_t *plan, struct project_input *in,
                               const struct fleet_facts *facts)
{
    _cleanup_buffer_ struct buffer manifest = {0};
    char computed[2 * SHA256_SIZE + 1];
    struct error *err = project_input_manifest(in, facts, &manifest);

    if (err)
        return err;
    hash_hex(manifest.data, manifest.size, computed);
    if (strcmp(computed, plan_hash(plan)) == 0)
        return NULL;
    return error_new(ERROR_DATA_LOSS, "the gateway's manifest is %s, computed here: %s",
                     plan_hash(plan), computed);
}

static struct error *plan_new(struct client *client, struct project_input *in, json_t **ret_plan)
{
    _cleanup_(project_body_freep) json_t *body = NULL;
    struct fleet_facts facts;
    struct error *err = project_input_facts(in, client, &facts);

    err = err ?: project_salt_new(in, client_url(client));
    err = err ?: project_body_sizes(in, client);
    if (err)
        return err;
    body = project_body_create(in);
    err = plan_ask(client, body, ret_plan);
    if (!err && json_is_true(json_object_get(*ret_plan, "valid")))
        err = check_new(*ret_plan, in, &facts);
    return err;
}

static struct error *plan_change(struct client *client, struct project_input *in, json_t **ret_plan)
{
    _cleanup_(json_decrefp) json_t *present = NULL;
    _cleanup_(project_body_freep) json_t *body = NULL;
    _cleanup_free_ char *id = NULL;
    struct error *err = workload_resolve(client, in->workload, &id);

    if (err)
        return err;
    _cleanup_free_ char *path = xasprintf("/api/v1/workloads/%s", id);
    err = client_call(client, "GET", path, NULL, &present);
    err = err ?: project_salt(in, id);
    if (err)
        return err;
    body = project_body_update(in, id, present);
    if (project_body_is_empty(body))
        return error_new(ERROR_INVALID_ARGUMENT,
                         "nothing to change is named: give the folder with coffer.yaml, a compose "
                         "file, or options such as --image VERSION");
    sent_trim(client_url(client), present, body);
    err = plan_ask(client, body, ret_plan);
    if (!err && plan_is_accepted(*ret_plan))
        err = plan_check(*ret_plan, &in->project);
    return err;
}

int plan_run(struct client *client, struct project_input *in)
{
    _cleanup_(json_decrefp) json_t *plan = NULL;
    struct error *err = in->workload ? plan_change(client, in, &plan) : plan_new(client, in, &plan);

    if (err)
        return command_fail(err);
    if (in->json)
        output_json(plan);
    else
        plan_print(plan);
    if (!in->json && in->new_id[0] && !invocation()->idempotency_key)
        puts("Secret files have salts of each workload's own: a deployment has another manifest "
             "hash.");
    return plan_is_accepted(plan) ? EXIT_OK : EXIT_FAILED;
}

int plan_main(int argc, char **argv)
{
    _cleanup_(project_input_done) struct project_input input = {0};
    _cleanup_(client_freep) struct client *client = NULL;
    struct error *err = project_input_parse(argc, argv, PROJECT_PLAN, &input);

    if (!err)
        err = client_open(&client);
    return err ? command_fail(err) : plan_run(client, &input);
}
