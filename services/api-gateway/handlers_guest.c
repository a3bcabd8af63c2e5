/* What the guest itself answers: statistics, containers, logs. */
#include "schemas/guest.pb-c.h"
#include "services/api-gateway/form.h"
#include "services/api-gateway/guest_call.h"
#include "services/api-gateway/handlers.h"

enum { LINES_MAX = 1000, NAME_MAX_BYTES = 255 };

static json_t *text(const char *value)
{
    return json_text(value, strlen(value));
}

static struct error *read_nothing_else(struct request *request, const json_t *body)
{
    struct form form;

    form_init(&form, request, body);
    form_text(&form, "workloadId", true, 63);
    form_finish(&form);
    return form_result(&form);
}

/* {"workloadId"} and nothing else; asks the guest. */
static struct error *query(struct request *request, const char *verb,
                           const ProtobufCMessageDescriptor *answer_type, void **ret_answer)
{
    Coffer__V1__GuestQuery question = COFFER__V1__GUEST_QUERY__INIT;
    _cleanup_(json_decrefp) json_t *body = NULL;
    Coffer__V1__Workload *workload;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    err = err ?: read_nothing_else(request, body);
    if (err)
        return err;
    question.issued_at_ms = clock_wall_ms(request->gateway->clock);
    return guest_call(request, workload, verb, &question.base, answer_type, ret_answer);
}

static json_t *cpus_json(const Coffer__V1__GuestSample *sample)
{
    json_t *list = json_array();

    for (size_t i = 0; i < sample->n_cpus && i < 256; i++) {
        const Coffer__V1__CpuSample *cpu = sample->cpus[i];
        double usage = cpu->usage_percent >= 0 && cpu->usage_percent <= 100000
                           ? cpu->usage_percent
                           : 0; /* also what is no number at all */
        json_array_append_new(list, json_pack("{s:o, s:f, s:I}", "name", text(cpu->name), "usage",
                                              usage, "frequency", (json_int_t)cpu->frequency_mhz));
    }
    return list;
}

static json_t *disks_json(const Coffer__V1__GuestSample *sample)
{
    json_t *list = json_array();

    for (size_t i = 0; i < sample->n_disks && i < 16; i++) {
        const Coffer__V1__DiskSample *disk = sample->disks[i];
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:I, s:I}", "name", text(disk->name), "mountPoint",
                            text(disk->mount_point), "filesystem", text(disk->filesystem), "size",
                            (json_int_t)disk->size_bytes, "used", (json_int_t)disk->used_bytes));
    }
    return list;
}

struct error *on_stats(struct request *request, struct response *ret_response)
{
    void *answer = NULL;
    struct error *err = query(request, "stats", &coffer__v1__guest_sample__descriptor, &answer);

    if (err)
        return err;
    const Coffer__V1__GuestSample *sample = answer;
    ret_response->json = json_pack("{s:{s:I, s:I}, s:o, s:o}", "memory", "total",
                                   (json_int_t)sample->memory_total_bytes, "used",
                                   (json_int_t)sample->memory_used_bytes, "cpus", cpus_json(sample),
                                   "disks", disks_json(sample));
    return NULL;
}

static json_t *container_json(const Coffer__V1__Container *container)
{
    return json_pack("{s:[o], s:o, s:o, s:o, s:o, s:o, s:i, s:i, s:b}", "names",
                     text(container->name), "service", text(container->service), "image",
                     text(container->image), "imageId", text(container->image_id), "state",
                     text(container->state), "health", text(container->health), "exitCode",
                     (int)container->exit_code, "restarts", (int)container->restarts, "ours",
                     container->ours);
}

struct error *on_containers(struct request *request, struct response *ret_response)
{
    void *answer = NULL;
    struct error *err =
        query(request, "containers", &coffer__v1__containers_reply__descriptor, &answer);

    if (err)
        return err;
    const Coffer__V1__ContainersReply *reply = answer;
    ret_response->json = json_array();
    for (size_t i = 0; i < reply->n_containers && i < 64; i++)
        json_array_append_new(ret_response->json, container_json(reply->containers[i]));
    return NULL;
}

static void fill_lines(const Coffer__V1__LogsReply *reply, struct response *ret_response)
{
    json_t *lines = json_array();

    for (size_t i = 0; i < reply->n_lines && i < LINES_MAX; i++) {
        const Coffer__V1__LogLine *line = reply->lines[i];
        json_array_append_new(lines, json_text(line->text.data, line->text.len));
    }
    ret_response->json = json_pack("{s:o}", "lines", lines);
}

static struct error *ask_logs(struct request *request, const Coffer__V1__Workload *workload,
                              Coffer__V1__LogsRequest *question, struct response *ret_response)
{
    void *answer = NULL;

    question->issued_at_ms = clock_wall_ms(request->gateway->clock);
    struct error *err = guest_call(request, workload, "logs", &question->base,
                                   &coffer__v1__logs_reply__descriptor, &answer);
    if (!err)
        fill_lines(answer, ret_response);
    return err;
}

static void read_common(struct form *form, Coffer__V1__LogsRequest *question)
{
    form_text(form, "workloadId", true, 63);
    question->tail = form_bool(form, "tail", false);
    question->max_lines = (uint32_t)form_uint(form, "maxLines", 1, LINES_MAX, LINES_MAX);
}

struct error *on_logs(struct request *request, struct response *ret_response)
{
    Coffer__V1__LogsRequest question = COFFER__V1__LOGS_REQUEST__INIT;
    _cleanup_(json_decrefp) json_t *body = NULL;
    Coffer__V1__Workload *workload;
    struct form form;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    if (err)
        return err;
    form_init(&form, request, body);
    read_common(&form, &question);
    const char *source = form_text(&form, "source", false, NAME_MAX_BYTES);
    if (!source || strcmp(source, "cvm-agent") == 0) /* its name in the existing system */
        source = "guest-agent";
    if (strcmp(source, "guest-agent") != 0)
        form_find(&form, "source", "there is no such log",
                  "use guest-agent, or the containers' logs");
    form_finish(&form);
    question.source = (char *)source;
    err = form_result(&form);
    return err ?: ask_logs(request, workload, &question, ret_response);
}

struct error *on_container_logs(struct request *request, struct response *ret_response)
{
    Coffer__V1__LogsRequest question = COFFER__V1__LOGS_REQUEST__INIT;
    _cleanup_(json_decrefp) json_t *body = NULL;
    Coffer__V1__Workload *workload;
    struct form form;
    struct error *err = http_json(request, &body);

    err = err ?: workload_of_body(request, body, &workload);
    if (err)
        return err;
    form_init(&form, request, body);
    read_common(&form, &question);
    const char *container = form_text(&form, "container", true, NAME_MAX_BYTES);
    const char *stream = form_text(&form, "stream", false, 16) ?: "";
    if (*stream && strcmp(stream, "stdout") != 0 && strcmp(stream, "stderr") != 0)
        form_find(&form, "stream", "there is no such stream", "use stdout, stderr, or neither");
    form_finish(&form);
    question.source = (char *)(container ?: "");
    question.stream = (char *)stream;
    err = form_result(&form);
    return err ?: ask_logs(request, workload, &question, ret_response);
}
