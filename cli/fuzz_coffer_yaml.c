/* Target: coffer_yaml_parse(). A mistake is a finding, never a crash, and says where it is. */
#include <assert.h>

#include "cli/coffer_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > COFFER_YAML_MAX)
        return 0;
    struct arena *arena = arena_new();
    struct findings *found = arena_alloc(arena, sizeof(*found));
    struct coffer_yaml *yaml = arena_alloc(arena, sizeof(*yaml));

    coffer_yaml_parse((const char *)data, size, arena, found, yaml);
    assert(yaml->n_env <= COFFER_YAML_ENV_MAX && yaml->files.n <= MANIFEST_FILES_MAX);
    for (size_t i = 0; i < found->n; i++)
        assert(found->items[i].line > 0 && *found->items[i].what);
    arena_free(arena);
    return 0;
}
