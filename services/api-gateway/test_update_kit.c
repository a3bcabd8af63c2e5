#include "services/api-gateway/test_update_kit.h"

#include "shared/base/alloc.h"

const char hello_compose[] = "services:\\n  web:\\n    image: hello:1\\n    environment:\\n"
                             "      A: ${A:-}\\n      B: ${B:-}\\n";

void hello_create(const struct fixture *f)
{
    _cleanup_free_ char *body = xasprintf(
        "{\"workloadId\":\"w-new\",\"name\":\"hello\",\"artifactsVersion\":\"" TEST_IMAGE "\","
        "\"dockerCompose\":\"%s\",\"publicContainerName\":\"web\",\"publicContainerPort\":8080,"
        "\"memory\":1024,\"cpus\":2,\"disk\":10,\"gpus\":0,"
        "\"envVars\":{\"A\":\"" CANARY "-a\",\"B\":\"" CANARY "-b\"},"
        "\"files\":{\"a.txt\":\"aGVsbG8=\"},"
        "\"secretFiles\":{\"key.pem\":{\"content\":\"aGVsbG8=\",\"salt\":\"" SALT "\"}},"
        "\"dockerCredentials\":[{\"server\":\"r.test\",\"username\":\"u\",\"password\":\"" CANARY
        "-p\"}]}",
        hello_compose);
    _cleanup_answer_ struct answer answer = http_post(f, "/api/v1/workloads/create", body);

    if (answer.status != 200)
        fail_msg("%s", buffer_text(&answer.body));
}

struct answer hello_update(const struct fixture *f, const char *fields)
{
    _cleanup_free_ char *body = xasprintf("{\"workloadId\":\"w-new\"%s}", fields);

    return http_post(f, UPDATE, body);
}

struct answer hello_update_confirmed(const struct fixture *f, const char *fields)
{
    _cleanup_free_ char *all = xasprintf(",\"confirmDataLoss\":true%s", fields);

    return hello_update(f, all);
}

bool holds(const struct buffer *buffer, const char *text)
{
    return buffer->size && memmem(buffer->data, buffer->size, text, strlen(text));
}

const Coffer__V1__UpdateWorkloadRequest *sent_update(const struct fixture *f, struct arena *arena)
{
    assert_string_equal(f->last_subject, "svc.scheduler.workload.update");
    return last_request(f, &coffer__v1__update_workload_request__descriptor, arena);
}

static void add_names(struct buffer *text, const char *what, const char *const *names, size_t n)
{
    buffer_printf(text, "%s", what);
    for (size_t i = 0; i < n; i++)
        buffer_printf(text, "%s%s", i ? "," : "", names[i]);
}

static void add_files(struct buffer *text, const char *what, const struct manifest_hash *files,
                      size_t n)
{
    buffer_printf(text, "%s", what);
    for (size_t i = 0; i < n; i++)
        buffer_printf(text, "%s%s", i ? "," : "", files[i].name);
}

const char *update_names(const Coffer__V1__UpdateWorkloadRequest *request, struct arena *arena)
{
    _cleanup_buffer_ struct buffer text = {0};
    struct manifest *manifest;

    assert_null(manifest_parse(request->manifest.data, request->manifest.len, arena, &manifest));
    add_names(&text, "env ", manifest->env, manifest->n_env);
    add_files(&text, " files ", manifest->files, manifest->n_files);
    add_files(&text, " secret ", manifest->secret_files, manifest->n_secret_files);
    add_names(&text, " registries ", manifest->registries, manifest->n_registries);
    return arena_strdup(arena, buffer_text(&text));
}

const char *update_sealed(const struct fixture *f, const Coffer__V1__UpdateWorkloadRequest *request,
                          struct arena *arena)
{
    const Coffer__V1__Secrets *secrets = open_secrets(f, "w-new", request->sealed_secrets, arena);
    _cleanup_buffer_ struct buffer text = {0};

    for (size_t i = 0; secrets && i < secrets->n_environment; i++)
        buffer_printf(&text, "%s=%s ", secrets->environment[i]->name,
                      secrets->environment[i]->value);
    for (size_t i = 0; secrets && i < secrets->n_files; i++)
        buffer_printf(&text, "%s ", secrets->files[i]->path);
    for (size_t i = 0; secrets && i < secrets->n_registries; i++)
        buffer_printf(&text, "%s ", secrets->registries[i]->server);
    return arena_strdup(arena, buffer_text(&text));
}
