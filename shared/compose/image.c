/* Image references (distribution reference grammar, as far as a digest and a shape go). */
#include <string.h>

#include "shared/compose/lint_private.h"

#define IMAGE_MAX 512

bool lint_image_is_pinned(const char *image)
{
    const char *at = strrchr(image, '@');

    return at && strncmp(at + 1, "sha256:", 7) == 0 && strlen(at + 8) == 64 &&
           strspn(at + 8, "0123456789abcdef") == 64;
}

static bool is_reference(const char *image)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-/:@";
    size_t size = strlen(image);

    if (size == 0 || size > IMAGE_MAX || strspn(image, allowed) != size)
        return false;
    /* a digest that is there but is not one would silently count as unpinned */
    return !strchr(image, '@') || lint_image_is_pinned(image);
}

void lint_image(struct lint *lint, const struct place *place)
{
    const char *image = node_text(place->value);

    if (!lint_expect(lint, place, NODE_SCALAR) || strchr(image, '$'))
        return; /* "$" is a finding of its own */
    if (!is_reference(image))
        lint_find(lint, place, "image",
                  arena_printf(lint->arena, "'%s' is not an image reference",
                               lint_show(lint->arena, image)),
                  "the manifest names every image exactly",
                  "write registry/name:tag or registry/name@sha256:<64 lower-case hex digits>");
}
