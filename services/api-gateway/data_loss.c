#include "services/api-gateway/data_loss.h"

static const struct {
    const char *where;
    const char *what;
} rows[] = {
    {"volumes", "everything in the workload's volumes is lost"},
    {"containers", "everything that containers have written to their own file systems is lost"},
    {"vm", "the VM is replaced: what runs in it ends, and connections to it break"},
};

/* A secret file that is given again is in the same manifest with the same commitment; of values and
 * passwords nobody here can tell whether they are the same. */
bool update_changes_nothing(const struct kept *kept, const struct deployment *deployment)
{
    const ProtobufCBinaryData *before = &kept->input->manifest;
    const ProtobufCBinaryData *after = &deployment->manifest;

    return before->len == after->len && memcmp(before->data, after->data, after->len) == 0 &&
           strcmp(kept->workload->name, deployment->input.name) == 0 &&
           !deployment->input.secrets.n_env && !deployment->input.secrets.n_registries;
}

bool update_loses_data(const struct kept *kept)
{
    return kept->workload->status != COFFER__V1__WORKLOAD_STATUS__STOPPED;
}

json_t *data_loss_to_json(void)
{
    json_t *texts = json_array();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        json_array_append_new(texts, json_string(rows[i].what));
    return texts;
}

struct error *data_loss_refuse(struct request *request)
{
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const struct finding finding = {
            .rule = "data-loss",
            .where = rows[i].where,
            .what = rows[i].what,
            .why = "the disk's key exists only in the VM that is replaced",
            .fix = "copy what must stay, then repeat the request with \"confirmDataLoss\": true",
        };
        findings_add(request->findings, request->arena, &finding);
    }
    return http_refuse(request, 412, "DATA_LOSS_NOT_CONFIRMED",
                       error_new(ERROR_FAILED_PRECONDITION,
                                 "this update replaces the VM and loses its data: see findings"));
}
