/* Target functions: create_input_read, secrets_read, form_*: the body of a create. */
#include "services/api-gateway/create_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct request request = {.arena = arena};
    struct create_input input;
    struct form form;
    _cleanup_buffer_ struct buffer body = {0};
    json_t *json = NULL;

    buffer_add(&body, data, size);
    request.body = body;
    struct error *err = http_json(&request, &json);
    if (!err) {
        form_init(&form, &request, json);
        create_input_read(&form, &input);
        err = form_result(&form);
    }
    error_free(err);
    json_decref(json);
    return 0;
}
