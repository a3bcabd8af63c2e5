/* Target functions: compose_lint, compose_lint_model. */
#include "shared/compose/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = {"a", "b/c"};
    static const char *const env[] = {"A"};
    const struct compose_options options = {
        .public_service = "web",
        .public_port = 80,
        .files = files,
        .n_files = 2,
        .env = env,
        .n_env = 1,
        .files_dir = "/f",
        .with_ours = size % 2,
    };
    _cleanup_(arena_freep) struct arena *arena = arena_new();
    struct findings *findings = arena_alloc(arena, sizeof(*findings));
    struct compose_summary *summary = arena_alloc(arena, sizeof(*summary));

    compose_lint((const char *)data, size, &options, arena, findings, summary);
    free(findings_to_text(findings));
    error_free(compose_lint_model((const char *)data, size, &options, arena, findings));
    return 0;
}
