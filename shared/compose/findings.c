/* The list of findings, and how it is shown. */
#include <string.h>

#include "shared/base/buffer.h"
#include "shared/compose/lint_private.h"

#define SHOW_MAX 80

const char *lint_show(struct arena *arena, const char *text)
{
    size_t size = strlen(text);
    bool cut = size > SHOW_MAX;

    if (cut)
        for (size = SHOW_MAX; size > 0 && ((unsigned char)text[size] & 0xc0) == 0x80;)
            size--;
    char *shown = arena_printf(arena, "%.*s%s", (int)size, text, cut ? "..." : "");
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return shown;
}

void findings_add(struct findings *findings, struct arena *arena, const struct finding *finding)
{
    if (findings->n == COMPOSE_FINDINGS_MAX)
        return;
    if (findings->n == COMPOSE_FINDINGS_MAX - 1) {
        findings->items[findings->n++] = (struct finding){"too-many-findings",
                                                          "",
                                                          0,
                                                          "there are more problems than are listed",
                                                          "the list has a limit",
                                                          "fix these and try again"};
        return;
    }
    findings->items[findings->n++] = (struct finding){
        .rule = arena_strdup(arena, finding->rule),
        .where = arena_strdup(arena, finding->where),
        .line = finding->line,
        .what = arena_strdup(arena, finding->what),
        .why = arena_strdup(arena, finding->why),
        .fix = arena_strdup(arena, finding->fix),
    };
}

char *findings_to_text(const struct findings *findings)
{
    _cleanup_buffer_ struct buffer text = {0};

    for (size_t i = 0; i < findings->n; i++) {
        const struct finding *finding = &findings->items[i];
        if (finding->line)
            buffer_printf(&text, "line %u: ", finding->line);
        if (*finding->where)
            buffer_printf(&text, "%s: ", finding->where);
        buffer_printf(&text, "%s (%s)\n", finding->what, finding->rule);
    }
    return buffer_take_text(&text);
}
